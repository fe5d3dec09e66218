package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"quire/internal/executor"
	"quire/internal/gitrepo"
	"quire/internal/jobfile"
)

// The bounds on what an image is built of. It is in memory while it is built;
// what is larger is fetched by a RUN, or comes with a base image.
const (
	maxContextFiles = 10_000
	maxContextBytes = 64 << 20
)

const contextDir = ".quire"

// imageContext is what an image is built of: .quire of the commit, or of the
// checkout that a local run is of.
func (s *supervision) imageContext(commit string) func(context.Context) ([]executor.ContextFile, error) {
	if s.local {
		return func(ctx context.Context) ([]executor.ContextFile, error) { return directoryContext(ctx, s.workspace) }
	}
	return func(ctx context.Context) ([]executor.ContextFile, error) { return commitContext(ctx, s.repo, commit) }
}

// commitContext reads the commit itself. In the workspace the same files may
// differ, for .gitattributes says how they are written there.
func commitContext(ctx context.Context, repo *gitrepo.Repo, commit string) ([]executor.ContextFile, error) {
	if id, err := repo.Identity(commit, contextDir+"/Dockerfile"); err != nil || id == "" {
		return nil, err
	} else if strings.HasPrefix(id, "120000 ") {
		return nil, errDockerfileLink
	}
	paths, err := repo.List(commit, contextDir)
	if err != nil {
		return nil, err
	}
	c := contextReader{ctx: ctx}
	for _, path := range paths {
		err := c.add(strings.TrimPrefix(path, contextDir+"/"), func() ([]byte, bool, error) {
			id, err := repo.Identity(commit, path)
			if err != nil {
				return nil, false, err
			}
			content, _, err := repo.File(commit, path)
			return content, strings.HasPrefix(id, "100755 "), err
		})
		if err != nil {
			return nil, err
		}
	}
	return c.files, nil
}

// directoryContext reads a person's checkout, in which jobs work.
func directoryContext(ctx context.Context, top string) ([]executor.ContextFile, error) {
	root, err := jobfile.OpenRoot(ctx, top)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	if there, err := root.IsRegular(ctx, contextDir+"/Dockerfile"); err == nil && !there {
		f, err := root.Open(ctx, contextDir+"/Dockerfile")
		if err == nil {
			f.Close()
		}
		if err == nil || errors.Is(err, jobfile.ErrOutside) { // behind a link, then
			return nil, errDockerfileLink
		}
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	c := contextReader{ctx: ctx}
	err = root.Walk(ctx, contextDir, checkoutBounds, func(e jobfile.Entry) error {
		if !e.IsRegular() {
			return nil
		}
		return c.add(e.Name, func() ([]byte, bool, error) {
			if e.Size() > maxContextBytes {
				return nil, false, errContextTooLarge
			}
			f, err := e.Open(ctx)
			if err != nil {
				return nil, false, err
			}
			defer f.Close()
			content, err := io.ReadAll(io.LimitReader(f, maxContextBytes+1))
			return content, e.Mode()&0o111 != 0, err
		})
	})
	slices.SortFunc(c.files, func(a, b executor.ContextFile) int { return strings.Compare(a.Path, b.Path) })
	return c.files, err
}

// checkoutBounds are how much of .quire is looked at in a checkout.
var checkoutBounds = jobfile.Bounds{Entries: 100_000, Depth: 200}

// errDockerfileLink: without it the run would go on in another image, as if there were
// no Dockerfile.
var errDockerfileLink = fmt.Errorf("%s/Dockerfile is no plain file: links are not part of an image's context; put the file itself there", contextDir)

var errContextTooLarge = fmt.Errorf("its context, %s, holds more than %d MiB: fetch the rest with RUN, or take it from a base image", contextDir, maxContextBytes>>20)

// contextReader gathers files within the bounds.
type contextReader struct {
	ctx   context.Context
	files []executor.ContextFile
	bytes int64
}

// add takes a file, unless it is Fennel: a pipeline that changes builds no image.
func (c *contextReader) add(path string, read func() (content []byte, executable bool, err error)) error {
	if strings.HasSuffix(path, ".fnl") {
		return nil
	}
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if len(c.files) == maxContextFiles {
		return fmt.Errorf("its context, %s, has more than %d files", contextDir, maxContextFiles)
	}
	content, executable, err := read()
	if err != nil {
		return err
	}
	if c.bytes += int64(len(content)); c.bytes > maxContextBytes {
		return errContextTooLarge
	}
	c.files = append(c.files, executor.ContextFile{Path: path, Content: content, Executable: executable})
	return nil
}
