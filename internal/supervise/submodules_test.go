package supervise

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/executor/executortest"
	"quire/internal/gitrepo"
)

const updateSubmodules = head + `
(ci.job :test [:quire/push] (fn [] (runtime.run
  "git submodule update --init --recursive && cat lib/file lib/deep/file && git -C lib status --short && git status --short && git submodule status --recursive")))`

// beside makes a bare repository in the bench's directory, and says at which commit it is.
func (b *bench) beside(name string, files map[string]string) (commit string) {
	b.t.Helper()
	dir := filepath.Dir(b.gitDir)
	gitDir := filepath.Join(dir, name+".git")
	git(b.t, dir, "init", "-q", "--bare", "-b", "main", gitDir)
	work := filepath.Join(dir, name+"-work")
	git(b.t, dir, "init", "-q", "-b", "main", work)
	return pushCommit(b.t, gitDir, work, files)
}

// link puts a submodule into the index of a checkout.
func link(t testing.TB, work, path, commit string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Join(work, path), 0o755); err != nil {
		t.Fatal(err)
	}
	git(t, work, "update-index", "--add", "--cacheinfo", "160000,"+commit+","+path)
}

func module(path, url string) string {
	return fmt.Sprintf("[submodule %q]\n\tpath = %s\n\turl = %s\n", path, path, url)
}

// libraries are two repositories beside the bench's, one in the other, and the first
// is in the bench's.
func (b *bench) libraries(url string) map[string]string {
	b.t.Helper()
	deep := b.beside("deep", map[string]string{"file": "of deep\n"})
	dir := filepath.Dir(b.gitDir)
	b.beside("lib", map[string]string{"file": "of lib\n"})
	link(b.t, filepath.Join(dir, "lib-work"), "deep", deep)
	lib := pushCommit(b.t, filepath.Join(dir, "lib.git"), filepath.Join(dir, "lib-work"), map[string]string{".gitmodules": module("deep", "../deep.git")})
	link(b.t, b.work, "lib", lib)
	return map[string]string{".gitmodules": module("lib", url)}
}

func TestSubmodulesBesideTheRepository(t *testing.T) {
	for _, use := range []string{"host", "bwrap"} {
		t.Run(use, func(t *testing.T) {
			if use == "bwrap" {
				if _, err := exec.LookPath("bwrap"); err != nil {
					executortest.Needs(t, "bubblewrap")
				}
			}
			b := newBench(t)
			b.cfg.Executor.Default = use
			if use != "host" {
				b.cfg.Submodules.Allow = []string{"lib", "deep"}
			}
			r := b.run(updateSubmodules, b.libraries("../lib.git"))
			if r.State != event.RunSucceeded {
				t.Fatalf("%s: %s\n%s", r.State, r.Reason, r.report)
			}
			if log := r.log(t, "test", 1); !strings.Contains(log, "of lib\nof deep\n ") {
				t.Errorf("%s", log)
			}
			if strings.Contains(r.report, "submodule") {
				t.Errorf("%s", r.report)
			}
		})
	}
}

func TestSubmodulesThatAreNotFetched(t *testing.T) {
	look := head + `(ci.job :test [:quire/push] (fn [] (runtime.run "ls -A lib")))`
	for name, c := range map[string]struct {
		prepare func(t *testing.T, b *bench)
		url     string
		says    string
	}{
		"in a sandbox by default": {func(t *testing.T, b *bench) { b.cfg.Executor.Default = "bwrap" }, "../lib.git", `[submodules] allow = ["lib"]`},
		"not on the list":         {func(t *testing.T, b *bench) { b.cfg.Submodules.Allow = []string{"deep"} }, "../lib.git", `[submodules] allow = ["lib"]`},
		"the list is empty":       {func(t *testing.T, b *bench) { b.cfg.Submodules.Allow = []string{} }, "../lib", `[submodules] allow = ["lib"]`},
		"a link to another directory": {func(t *testing.T, b *bench) {
			elsewhere := filepath.Join(t.TempDir(), "secret.git")
			dir := filepath.Dir(b.gitDir)
			if err := os.Rename(filepath.Join(dir, "lib.git"), elsewhere); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink(elsewhere, filepath.Join(dir, "lib.git")); err != nil {
				t.Fatal(err)
			}
		}, "../lib.git", "does not allow it"},
		"none there":            {func(t *testing.T, b *bench) {}, "../none.git", "no such repository"},
		"the repository itself": {func(t *testing.T, b *bench) {}, "./objects", "does not lead out"},
		"far up":                {func(t *testing.T, b *bench) {}, "../../../../../../../../etc", "does not allow it"},
		"another's": {func(t *testing.T, b *bench) {
			b.cfg.Submodules.Allow = []string{"/**"}
			other := filepath.Join(filepath.Dir(b.gitDir), "other.git")
			err := os.Symlink("/usr", other)
			if os.Geteuid() == 0 { // to whom that one belongs
				err = os.Rename(filepath.Join(filepath.Dir(b.gitDir), "lib.git"), other+"s")
				err = errors.Join(err, os.Chown(other+"s", 4321, 4321), os.Remove(other), os.Symlink(other+"s", other))
			}
			if err != nil {
				t.Fatal(err)
			}
		}, "../other.git", "belongs to another user"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			more := b.libraries(c.url)
			c.prepare(t, b)
			if b.cfg.Executor.Default == "bwrap" {
				if _, err := exec.LookPath("bwrap"); err != nil {
					executortest.Needs(t, "bubblewrap")
				}
			}
			r := b.run(look, more)
			if r.State != event.RunSucceeded || r.log(t, "test", 1) != "" || !strings.Contains(r.report, c.says) {
				t.Errorf("%s: %q\n%s", r.State, r.log(t, "test", 1), r.report)
			}
		})
	}
}

// Root runs the pipelines of others where it is told to, and git then asks whose a
// repository is.
func TestSubmodulesOfTheOwnerWhoIsNotTheRunner(t *testing.T) {
	b := newBench(t)
	dir := filepath.Dir(b.gitDir)
	odd := filepath.Join(dir, "it's $(here)")
	b.queue(head, b.libraries("../lib.git"))
	commit := git(t, b.gitDir, "rev-parse", "refs/heads/main")
	if err := os.Mkdir(odd, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{filepath.Base(b.gitDir), "lib.git", "deep.git"} {
		if err := os.Rename(filepath.Join(dir, name), filepath.Join(odd, name)); err != nil {
			t.Fatal(err)
		}
	}
	err := filepath.WalkDir(odd, func(path string, _ fs.DirEntry, err error) error {
		if err != nil || os.Geteuid() != 0 { // whoever is not root gives nothing to anybody, and tries the odd name
			return err
		}
		return os.Lchown(path, 4321, 4321)
	})
	if err != nil {
		t.Fatal(err)
	}
	repo, workspace := openRepo(t, filepath.Join(odd, filepath.Base(b.gitDir))), filepath.Join(t.TempDir(), "w")
	on := ground(t)
	if err := makeWorkspace(t.Context(), on, repo, commit, gitrepo.ExtentBounds{}, workspace); err != nil {
		t.Fatal(err)
	}
	s := &submodules{ground: on, allow: func(string, string) bool { return true }, warn: func(text string) { t.Error(text) }}
	if err := s.fill(t.Context(), repo, commit, workspace, 1); err != nil {
		t.Fatal(err)
	}
	if text, err := os.ReadFile(filepath.Join(workspace, "lib", "deep", "file")); string(text) != "of deep\n" {
		t.Errorf("%q, %v", text, err)
	}
}

// A submodule counts against the run's bounds.
func TestSubmodulesHaveBounds(t *testing.T) {
	b := newBench(t)
	more := b.libraries("../lib.git")
	b.cfg.Limits.Workspace = config.Size(600)
	r := b.run(head+`(ci.job :test [:quire/push] (fn [] nil))`, map[string]string{".gitmodules": more[".gitmodules"], "large": strings.Repeat("x", 400)})
	if r.State != event.RunFailed || !strings.Contains(r.Reason.String(), "submodule") || !strings.Contains(r.Reason.String(), "[limits] workspace") {
		t.Errorf("%s: %s\n%s", r.State, r.Reason, r.report)
	}
}

// What .gitmodules names is looked for only where the checkout made a directory.
func TestASubmodulesPathIsADirectoryOfTheCheckout(t *testing.T) {
	root := t.TempDir()
	for _, dir := range []string{"a/b", ".git/x", "full/x"} {
		if err := os.MkdirAll(filepath.Join(root, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"link", "a/link"} {
		if err := os.Symlink(root, filepath.Join(root, name)); err != nil {
			t.Fatal(err)
		}
	}
	if at, err := emptyDirectory(root, "a/b"); err != nil || at != filepath.Join(root, "a", "b") {
		t.Errorf("%q, %v", at, err)
	}
	for _, path := range []string{"", ".", "..", "a/../a/b", "link/a/b", "a/link", ".git/x", "full", "none", "a//b", "/a/b"} {
		if at, err := emptyDirectory(root, path); err == nil {
			t.Errorf("%q: %q", path, at)
		}
	}
}
