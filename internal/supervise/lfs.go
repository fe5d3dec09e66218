package supervise

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"quire/internal/executor"
	"quire/internal/gitrepo"
	"quire/mirror"
)

// lfsFile is a file of the workspace that is a pointer of Git LFS.
type lfsFile struct {
	path    string // below the workspace
	mode    fs.FileMode
	pointer mirror.LFSPointer
}

// lfs puts the objects of Git LFS that the run's repository has into the new workspace,
// in the place of their pointers, and says of the others that they are pointers. Only
// what stands there is looked at, no filter is run: a tree could name any.
func (s *supervision) lfs(ctx context.Context, ground executor.Ground, repo *gitrepo.Repo, commit string, bounds gitrepo.ExtentBounds) error {
	attributes, _, err := repo.File(commit, ".gitattributes")
	if err != nil {
		return nil // git has made of it what it could
	}
	if !bytes.Contains(attributes, []byte("filter=lfs")) && !mirror.LFSKept(repo.GitDir()) {
		return nil // nobody waits for a look at all files
	}
	objects := mirror.OpenLFSObjects(ctx, repo.GitDir())
	var here, missing []lfsFile
	var bytes int64
	err = eachPointer(ctx, s.workspace, func(f lfsFile) {
		if !objects.Has(f.pointer) {
			missing = append(missing, f)
			return
		}
		here = append(here, f)
		if bytes += f.pointer.Size(); bytes < 0 {
			bytes = 1<<63 - 1
		}
	})
	if err != nil {
		return err
	}
	if len(here) > 0 && bounds.Bytes > 0 {
		size, err := repo.Extent(commit, bounds)
		if err != nil {
			return err
		}
		if left := bounds.Bytes - size.Bytes; bytes > left {
			return &gitrepo.TooLargeError{What: fmt.Sprintf("commit %.12s with its objects of Git LFS", commit), Size: bytes + min(size.Bytes, 1<<63-1-bytes), Bound: bounds.Bytes,
				Unit: "bytes of files", Done: "checked out ([limits] workspace)"}
		}
	}
	var names strings.Builder
	for _, f := range here {
		if err := putObject(ctx, objects, f, s.workspace); err != nil {
			return fmt.Errorf("put the object of Git LFS at %q: %w", f.path, err)
		}
		names.WriteString(f.path + "\x00")
	}
	if len(missing) > 0 {
		s.journal.say(s.journal.report.Warning(s.journal.mask(fmt.Sprintf(
			"pointers of Git LFS stay in the workspace, since their objects are not in the repository on this machine: %d, such as %q; a job fetches them with `git lfs pull`",
			len(missing), missing[0].path))))
	}
	if len(here) == 0 {
		return nil
	}
	// Else every file would be modified where git-lfs is not set up.
	var said lastWords
	exit, err := ground.Own(ctx, executor.Command{
		Argv: []string{"git", "update-index", "--assume-unchanged", "-z", "--stdin"}, Env: plainGitEnv(), Dir: s.workspace, Stdin: []byte(names.String()),
	}, checkoutMemory, &said)
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return err
	case exit.Code != 0:
		return fmt.Errorf("git update-index: exit status %d: %s", exit.Code, said.text())
	}
	return nil
}

// eachPointer looks at the files of a workspace in which no job has run. Those of
// submodules are other repositories'.
func eachPointer(ctx context.Context, workspace string, visit func(lfsFile)) error {
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case d.IsDir() && path == ".git":
			return fs.SkipDir
		case d.IsDir() && path != ".":
			if _, err := root.Lstat(filepath.Join(path, ".git")); err == nil {
				return fs.SkipDir
			}
			return nil
		case !d.Type().IsRegular():
			return nil
		}
		info, err := d.Info()
		if err != nil || info.Size() < mirror.MinPointer || info.Size() >= mirror.MaxPointer {
			return err
		}
		content, err := root.ReadFile(path)
		if err != nil {
			return err
		}
		if p, ok := mirror.ParseLFSPointer(content); ok {
			visit(lfsFile{path, info.Mode().Perm(), p})
		}
		return nil
	})
}

// putObject replaces a pointer by its object.
func putObject(ctx context.Context, objects mirror.LFSObjects, f lfsFile, workspace string) error {
	from, err := objects.Open(ctx, f.pointer)
	if err != nil {
		return err
	}
	defer from.Close()
	root, err := os.OpenRoot(workspace)
	if err != nil {
		return err
	}
	defer root.Close()
	aside := filepath.Join(filepath.Dir(f.path), ".lfs-"+rand.Text())
	to, err := root.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_EXCL, f.mode)
	if err != nil {
		return err
	}
	// In pieces: a copy within the kernel cannot be stopped.
	for err == nil && ctx.Err() == nil {
		_, err = io.CopyN(to, from, 16<<20)
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	if err = errors.Join(err, ctx.Err(), to.Close()); err != nil {
		return err
	}
	return root.Rename(aside, f.path)
}
