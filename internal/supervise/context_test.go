package supervise

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quire/internal/executor"
	"quire/internal/gitrepo"
	"quire/pipeline"

	"golang.org/x/sys/unix"
)

func paths(files []executor.ContextFile) []string {
	var out []string
	for _, f := range files {
		name := f.Path
		if f.Executable {
			name = "+" + name
		}
		out = append(out, name+"="+string(f.Content))
	}
	return out
}

// An image is built of what was committed, whatever attributes and jobs make of
// it in a workspace; and of a checkout as it lies there.
func TestImageContext(t *testing.T) {
	gitDir, _ := bareRepo(t, map[string]string{PipelineFile: "(main)"})
	work := filepath.Join(filepath.Dir(gitDir), "work")
	repo := openRepo(t, gitDir)
	if files, err := commitContext(t.Context(), repo, git(t, work, "rev-parse", "HEAD")); err != nil || len(files) != 0 {
		t.Errorf("without a Dockerfile: %v, %v", paths(files), err)
	}
	if err := os.Symlink("/etc/passwd", filepath.Join(work, ".quire", "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(work, ".quire", "run"), []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	commit := pushCommit(t, gitDir, work, map[string]string{
		".quire/Dockerfile": "FROM x\n", ".quire/sub/data": "$Id$\n", ".quire/lib/m.fnl": "m",
		".gitattributes": ".quire/** ident\n.quire/Dockerfile text eol=crlf\n",
	})
	want := []string{"Dockerfile=FROM x\n", "+run=#!/bin/sh\n", "sub/data=$Id$\n"}
	files, err := commitContext(t.Context(), repo, commit)
	if err != nil || !slices.Equal(paths(files), want) {
		t.Errorf("of the commit: %q, %v", paths(files), err)
	}
	dir := filepath.Join(t.TempDir(), "workspace")
	if err := makeWorkspace(t.Context(), ground(t), repo, commit, gitrepo.ExtentBounds{}, dir); err != nil {
		t.Fatal(err)
	}
	files, err = directoryContext(t.Context(), dir)
	if err != nil || len(files) != 3 || files[0].Path != "Dockerfile" || !strings.Contains(string(files[0].Content), "\r\n") {
		t.Errorf("of a checkout: %q, %v", paths(files), err)
	}
}

// A run must not go on in another image because nobody follows a link.
func TestADockerfileThatIsALinkIsRefused(t *testing.T) {
	gitDir, _ := bareRepo(t, map[string]string{PipelineFile: "(main)", ".quire/real": "FROM x\n"})
	work := filepath.Join(filepath.Dir(gitDir), "work")
	if err := os.Symlink("real", filepath.Join(work, ".quire", "Dockerfile")); err != nil {
		t.Fatal(err)
	}
	commit := pushCommit(t, gitDir, work, map[string]string{"other": "x"})
	if files, err := commitContext(t.Context(), openRepo(t, gitDir), commit); !errors.Is(err, errDockerfileLink) {
		t.Errorf("of the commit: %v, %v", paths(files), err)
	}
	if files, err := directoryContext(t.Context(), work); !errors.Is(err, errDockerfileLink) {
		t.Errorf("of a checkout: %v, %v", paths(files), err)
	}
}

func TestImageContextHasBounds(t *testing.T) {
	c := contextReader{ctx: t.Context()}
	chunk := make([]byte, 1<<20)
	read := func() ([]byte, bool, error) { return chunk, false, nil }
	for range maxContextBytes >> 20 {
		if err := c.add("file", read); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.add("file", read); err == nil || !strings.Contains(err.Error(), "64 MiB") {
		t.Errorf("more bytes: %v", err)
	}
	c = contextReader{ctx: t.Context()}
	chunk = nil
	for range maxContextFiles {
		if err := c.add("file", read); err != nil {
			t.Fatal(err)
		}
	}
	if err := c.add("file", read); err == nil || !strings.Contains(err.Error(), "10000 files") {
		t.Errorf("more files: %v", err)
	}
}

// A checkout is a person's, and jobs work in it: what lies there is of any kind and
// size.
func TestWhatACheckoutHoldsHasBounds(t *testing.T) {
	top := t.TempDir()
	make := func(name string, size int64) string {
		t.Helper()
		path := filepath.Join(top, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte("{:x 1}\n"), 0o644); err != nil {
			t.Fatal(err)
		}
		if size > 0 { // one hole
			if err := os.Truncate(path, size); err != nil {
				t.Fatal(err)
			}
		}
		return path
	}
	make(PipelineFile, 0)
	make(".quire/Dockerfile", 0)
	make(".quire/lib/good.fnl", 0)
	make(".quire/lib/notes", 1<<40) // no module
	make(".quire/lib/large.fnl", gitrepo.MaxFile+1)
	for _, pipe := range []string{".quire/lib/pipe.fnl", ".quire/pipe"} {
		if err := unix.Mkfifo(filepath.Join(top, pipe), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	source, err := sourceIn(t.Context(), top)
	if err != nil {
		t.Fatal(err)
	}
	if text, _, err := source.Lib("good"); string(text) != "{:x 1}\n" || err != nil {
		t.Errorf("module good: %q, %v", text, err)
	}
	if _, _, err := source.Lib("pipe"); !errors.Is(err, pipeline.ErrNoModule) {
		t.Errorf("a named pipe as a module: %v", err)
	}
	if _, _, err := source.Lib("large"); err == nil || !strings.Contains(err.Error(), ".quire/lib/large.fnl has 8388609 bytes") {
		t.Errorf("a large module: %v", err)
	}
	if _, err := directoryContext(t.Context(), top); !errors.Is(err, errContextTooLarge) {
		t.Errorf("the context: %v", err)
	}
	make(PipelineFile, gitrepo.MaxFile+1)
	if _, err := sourceIn(t.Context(), top); err == nil || !strings.Contains(err.Error(), "larger than 8 MiB") {
		t.Errorf("a large pipeline: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	cause := errors.New("canceled by the test")
	cancel(cause)
	if _, err := sourceIn(ctx, top); !errors.Is(err, cause) {
		t.Errorf("after the run's end: %v", err)
	}
	if _, err := directoryContext(ctx, top); !errors.Is(err, cause) {
		t.Errorf("the context after the run's end: %v", err)
	}
}
