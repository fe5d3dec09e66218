package cache

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

const main = Trusted + "main"

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func use(t *testing.T, s Store, domain, ref string) *Domain {
	t.Helper()
	d, err := s.Use(t.Context(), domain, ref)
	must(t, err)
	t.Cleanup(func() { d.lock.Close() })
	return d
}

// dir is a cache's directory, with what was copied into it.
func dir(t *testing.T, d *Domain, bytes int64) (string, Copied) {
	t.Helper()
	path, c, err := d.Dir(t.Context(), "tools", 0, main, &Bound{Bytes: bytes})
	must(t, err)
	return path, c
}

func names(t *testing.T, dir string) []string {
	t.Helper()
	var out []string
	must(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if path != dir {
			rel, _ := filepath.Rel(dir, path)
			out = append(out, rel)
		}
		return err
	}))
	return out
}

func write0(path, text string, mode fs.FileMode) error {
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		return err
	}
	return os.Chmod(path, mode)
}

// A branch begins with what the default branch left, and nothing of what it does
// to that reaches back.
func TestABranchBeginsWithACopy(t *testing.T) {
	s := Of(t.TempDir(), "/srv/git/app.git")
	trusted, c := dir(t, use(t, s, main, "refs/heads/main"), 1<<20)
	if len(names(t, trusted)) != 0 || c.Files != 0 {
		t.Fatalf("a new cache holds something: %v", names(t, trusted))
	}
	old := time.Unix(1_700_000_000, 0)
	must(t, os.MkdirAll(filepath.Join(trusted, "bin", "deep"), 0o755),
		write0(filepath.Join(trusted, "bin", "tool"), "main's", 0o755),
		os.Link(filepath.Join(trusted, "bin", "tool"), filepath.Join(trusted, "again")),
		os.Symlink("bin/tool", filepath.Join(trusted, "link")),
		os.Chtimes(filepath.Join(trusted, "bin", "tool"), old, old),
		os.Chtimes(filepath.Join(trusted, "bin"), old, old))
	branch := use(t, s, "ref-b", "refs/heads/b")
	mine, c := dir(t, branch, 1<<20)
	if want := []string{"again", "bin", "bin/deep", "bin/tool", "link"}; !slices.Equal(names(t, mine), want) || c.Files != 2 || c.Bytes != 12 || c.Err != nil {
		t.Errorf("copied %v: %+v", names(t, mine), c)
	}
	for _, name := range []string{"bin/tool", "bin"} {
		if info, err := os.Stat(filepath.Join(mine, name)); err != nil || !info.ModTime().Equal(old) || info.Mode().Perm() != 0o755 {
			t.Errorf("%s: %v, %v", name, info, err)
		}
	}
	must(t, os.WriteFile(filepath.Join(mine, "bin", "tool"), []byte("evil"), 0o755), os.WriteFile(filepath.Join(mine, "again"), []byte("evil"), 0o755),
		os.WriteFile(filepath.Join(mine, "new"), nil, 0o644))
	if b, err := os.ReadFile(filepath.Join(trusted, "bin", "tool")); err != nil || string(b) != "main's" {
		t.Errorf("the default branch's file: %q, %v", b, err)
	}
	if slices.Contains(names(t, trusted), "new") {
		t.Error("the default branch has a branch's file")
	}
	other, _ := dir(t, use(t, s, "ref-c", "refs/heads/c"), 1<<20)
	if b, err := os.ReadFile(filepath.Join(other, "bin", "tool")); err != nil || string(b) != "main's" {
		t.Errorf("another branch's file: %q, %v", b, err)
	}
	// It is copied once: later the branch has what it left.
	again, c := dir(t, branch, 1<<20)
	if b, err := os.ReadFile(filepath.Join(again, "bin", "tool")); err != nil || string(b) != "evil" || c.Files != 0 {
		t.Errorf("the branch's own file: %q, %v, copied %+v", b, err, c)
	}
}

// What a job may leave in a cache is neither opened nor followed, and gives no
// rights in a copy.
func TestAHostileCacheIsCopied(t *testing.T) {
	s := Of(t.TempDir(), "/srv/git/app.git")
	trusted, _ := dir(t, use(t, s, main, "refs/heads/main"), 1<<20)
	outside := filepath.Join(t.TempDir(), "outside")
	must(t, os.WriteFile(outside, []byte("private"), 0o644), syscall.Mkfifo(filepath.Join(trusted, "fifo"), 0o666),
		os.Symlink(outside, filepath.Join(trusted, "out")), os.Symlink("/", filepath.Join(trusted, "root")), os.Symlink("loop", filepath.Join(trusted, "loop")),
		os.Mkdir(filepath.Join(trusted, "closed"), 0o100),
		write0(filepath.Join(trusted, "rights"), "x", 0o755|fs.ModeSetuid|fs.ModeSetgid))
	if os.Geteuid() == 0 {
		must(t, syscall.Mknod(filepath.Join(trusted, "device"), syscall.S_IFCHR|0o666, 1<<8|5)) // /dev/zero
	}
	mine, c := dir(t, use(t, s, "ref-b", "refs/heads/b"), 1<<20)
	if c.Err != nil && os.Geteuid() == 0 {
		t.Fatal(c.Err)
	}
	if c.Err != nil { // a directory that may not be read, as another user
		if len(names(t, mine)) != 0 {
			t.Errorf("half a copy: %v", names(t, mine))
		}
		return
	}
	if want := []string{"closed", "loop", "out", "rights", "root"}; !slices.Equal(names(t, mine), want) || c.Missing != 2 {
		t.Errorf("copied %v: %+v", names(t, mine), c)
	}
	if info, err := os.Lstat(filepath.Join(mine, "rights")); err != nil || info.Mode() != 0o755 {
		t.Errorf("rights: %v, %v", info.Mode(), err)
	}
	if to, err := os.Readlink(filepath.Join(mine, "out")); err != nil || to != outside {
		t.Errorf("a link: %q, %v", to, err)
	}
	for _, d := range []string{"ref-b", main} {
		if gone, err := s.remove(t.Context(), d); gone || err != nil {
			t.Errorf("%s is in use: %v, %v", d, gone, err)
		}
	}
}

// More than the bound, in any way, and the cache is empty.
func TestACopyHasABound(t *testing.T) {
	for name, fill := range map[string]func(dir string) error{
		"bytes": func(dir string) error { return os.WriteFile(filepath.Join(dir, "a"), make([]byte, 2000), 0o644) },
		"sparse": func(dir string) error {
			return errors.Join(os.WriteFile(filepath.Join(dir, "a"), nil, 0o644), os.Truncate(filepath.Join(dir, "a"), 1<<42))
		},
		"depth": func(dir string) error {
			return os.MkdirAll(filepath.Join(dir, strings.Repeat("d/", walkBounds.Depth+1)), 0o755)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := Of(t.TempDir(), "/srv/git/app.git")
			trusted, _ := dir(t, use(t, s, main, "refs/heads/main"), 1000)
			must(t, fill(trusted), os.WriteFile(filepath.Join(trusted, "0"), []byte("small"), 0o644))
			mine, c := dir(t, use(t, s, "ref-b", "refs/heads/b"), 1000)
			if c.Err == nil || len(names(t, mine)) != 0 {
				t.Errorf("%+v, %v", c, names(t, mine))
			}
			if left, _ := filepath.Glob(filepath.Join(s.dir, tempPrefix+"*")); len(left) != 0 {
				t.Errorf("left behind: %v", left)
			}
		})
	}
}

func TestACopyEndsWithItsRun(t *testing.T) {
	s := Of(t.TempDir(), "/srv/git/app.git")
	trusted, _ := dir(t, use(t, s, main, "refs/heads/main"), 1<<20)
	must(t, os.WriteFile(filepath.Join(trusted, "a"), []byte("a"), 0o644))
	d := use(t, s, "ref-b", "refs/heads/b")
	stop := errors.New("canceled by ann")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, _, err := d.Dir(ctx, "tools", 0, main, &Bound{Bytes: 1 << 20}); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	// Nothing that looks like a cache was left by the attempt.
	if mine, c := dir(t, d, 1<<20); !slices.Equal(names(t, mine), []string{"a"}) {
		t.Errorf("the next run: %v, %+v", names(t, mine), c)
	}
}

func TestCollect(t *testing.T) {
	state := t.TempDir()
	s := Of(state, filepath.Join(state, "app.git"))
	domain := func(name, ref string, size int, used time.Duration) {
		d := use(t, s, name, ref)
		path, _, err := d.Dir(t.Context(), "c", 0, "", &Bound{})
		must(t, err, os.WriteFile(filepath.Join(path, "f"), make([]byte, size), 0o644))
		must(t, os.Mkdir(filepath.Join(path, "closed"), 0))
		must(t, d.Close(t.Context()))
		at := time.Now().Add(-used)
		must(t, os.Chtimes(s.file(name, ".lock"), at, at))
	}
	domain(main, "refs/heads/main", 500_000, 100*time.Hour)
	domain("ref-gone", "refs/heads/gone", 1, 0)
	domain("ref-old", "refs/heads/old", 1, 200*time.Hour)
	domain("ref-1", "refs/heads/1", 60_000, time.Hour)
	domain("ref-2", "refs/heads/2", 60_000, 2*time.Hour)
	domain("ref-3", "refs/heads/3", 20_000, 3*time.Hour)
	domain("ref-used", "refs/heads/used", 200_000, 4*time.Hour)
	held := use(t, s, "ref-used", "refs/heads/used")
	keep := Keep{Ref: func(ref string) bool { return ref != "refs/heads/gone" }, Age: 150 * time.Hour, Bytes: 120_000}
	if n, err := s.Collect(t.Context(), keep); err != nil || n != 3 {
		t.Errorf("removed %d, %v", n, err)
	}
	left := func() []string {
		dirs, err := filepath.Glob(filepath.Join(s.dir, "*-*.lock"))
		must(t, err)
		var out []string
		for _, d := range dirs {
			out = append(out, strings.TrimSuffix(filepath.Base(d), ".lock"))
		}
		return out
	}
	if want := []string{main, "ref-1", "ref-3", "ref-used"}; !slices.Equal(left(), want) {
		t.Errorf("left %v, want %v", left(), want)
	}
	// The repository is gone: all but what is in use, and then that.
	if n, err := s.RemoveAll(t.Context()); err != nil || n != 3 || s.Empty() {
		t.Errorf("removed %d, %v", n, err)
	}
	must(t, held.Close(t.Context()))
	if n, err := s.RemoveAll(t.Context()); err != nil || n != 1 || !s.Empty() {
		t.Errorf("removed %d, %v", n, err)
	}
}

// A domain that is being removed is not used, and one that was is made anew.
func TestUseWaitsForARemoval(t *testing.T) {
	s := Of(t.TempDir(), "/srv/git/app.git")
	d := use(t, s, "ref-b", "refs/heads/b")
	path, _ := dir(t, d, 0)
	must(t, os.WriteFile(filepath.Join(path, "old"), nil, 0o644), d.Close(t.Context()))
	lock, err := s.lock(t.Context(), "ref-b", exclusive)
	must(t, err)
	stop := errors.New("canceled")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(stop)
	if _, err := s.Use(ctx, "ref-b", "refs/heads/b"); !errors.Is(err, stop) {
		t.Errorf("%v", err)
	}
	lock.Close()
	if gone, err := s.remove(t.Context(), "ref-b"); !gone || err != nil {
		t.Fatal(gone, err)
	}
	again := use(t, s, "ref-b", "refs/heads/b")
	if path, _ := dir(t, again, 0); len(names(t, path)) != 0 {
		t.Errorf("it holds %v", names(t, path))
	}
}
