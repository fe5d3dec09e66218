package supervise

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quire/internal/executor"
	"quire/internal/gitrepo"
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
