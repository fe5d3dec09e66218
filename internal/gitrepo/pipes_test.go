package gitrepo

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// pipe puts a named pipe, which nobody writes to, at a path.
func pipe(t *testing.T, parts ...string) string {
	t.Helper()
	path := filepath.Join(parts...)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	if err := syscall.Mkfifo(path, 0o644); err != nil {
		t.Fatal(err)
	}
	return path
}

// Who may write to the repository can put a named pipe in the place of any of its
// files. To open one waits for somebody who writes to it.
func TestANamedPipeInTheRepositoryIsNotWaitedFor(t *testing.T) {
	const oid = "aabbccddeeff00112233445566778899aabbccdd"
	for name, c := range map[string]struct {
		path string
		read func(r *Repo) error
	}{
		"a loose object":      {"objects/" + oid[:2] + "/" + oid[2:], func(r *Repo) error { _, err := r.Commit(oid); return err }},
		"a pack's index":      {"objects/pack/pack-" + oid + ".idx", func(r *Repo) error { _, err := r.Commit(oid); return err }},
		"packed refs":         {"packed-refs", func(r *Repo) error { _, _, err := r.ResolveRef("refs/heads/absent"); return err }},
		"packed refs, a list": {"packed-refs", func(r *Repo) error { _, err := r.Refs("refs/"); return err }},
		"the configuration":   {"config", func(r *Repo) error { return nil }},
	} {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "r.git")
			gitIn(t, t.TempDir(), "", "init", "-q", "--bare", dir)
			path := pipe(t, dir, c.path)
			r, err := Open(context.Background(), dir)
			if err == nil {
				err = c.read(r)
				r.Close()
			}
			if !errors.Is(err, errNotPlain) || !strings.Contains(err.Error(), path) {
				t.Errorf("%v, want an error that names %s", err, path)
			}
		})
	}
}

// What only git reads, it waits for; it is ended.
func TestAGitThatWaitsForANamedPipeIsEnded(t *testing.T) {
	const oid = "aabbccddeeff00112233445566778899aabbccdd"
	dir := filepath.Join(t.TempDir(), "r.git")
	gitIn(t, t.TempDir(), "", "init", "-q", "--bare", dir)
	pipe(t, dir, "objects", oid[:2], oid[2:])
	pipe(t, dir, "packed-refs")
	src, err := openPlumbing(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer src.close()
	src.(*gitPlumbing).answering, src.(*gitPlumbing).walking = 50*time.Millisecond, 50*time.Millisecond
	if _, _, err := src.object(oid); !errors.Is(err, errSilent) {
		t.Errorf("an object: %v", err)
	}
	if _, _, err := src.resolve("refs/heads/absent"); !errors.Is(err, errSilent) {
		t.Errorf("a ref: %v", err)
	}
	if _, _, err := src.object(oid); !errors.Is(err, errSilent) {
		t.Errorf("an object, by another git: %v", err)
	}
	// One reading of many must not be many waits.
	r := &Repo{ctx: context.Background(), gitDir: dir, src: src}
	if _, _, err := r.ResolveRef("refs/heads/absent"); !errors.Is(err, errSilent) {
		t.Errorf("the first reading: %v", err)
	}
	src.(*gitPlumbing).answering, src.(*gitPlumbing).walking = time.Hour, time.Hour
	if _, err := r.Commit(oid); !errors.Is(err, errSilent) {
		t.Errorf("the second reading: %v", err)
	}
}
