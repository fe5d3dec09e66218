package supervise

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/executor"
	"quire/internal/executor/choose"
	"quire/internal/gitrepo"
)

// git runs git for a test, without anybody's configuration.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir = dir
	cmd.Env = append(plainGitEnv(), "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// gitHash writes an object that git's own commands would not make.
func gitHash(t testing.TB, gitDir, kind, content string) string {
	t.Helper()
	cmd := exec.Command("git", "hash-object", "-t", kind, "--literally", "-w", "--stdin")
	cmd.Dir, cmd.Env, cmd.Stdin = gitDir, plainGitEnv(), strings.NewReader(content)
	out, err := cmd.Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

// treeRow is an entry of a tree object.
func treeRow(t testing.TB, gitDir, what, mode, name string) string {
	t.Helper()
	oid, err := hex.DecodeString(git(t, gitDir, "rev-parse", what))
	if err != nil {
		t.Fatal(err)
	}
	return mode + " " + name + "\x00" + string(oid)
}

// bareRepo makes a bare repository whose main holds the files, and says at
// which commit.
func bareRepo(t testing.TB, files map[string]string, initArgs ...string) (gitDir, commit string) {
	t.Helper()
	dir := t.TempDir()
	gitDir = filepath.Join(dir, "project.git")
	work := filepath.Join(dir, "work")
	git(t, dir, append([]string{"init", "-q", "--bare", "-b", "main", gitDir}, initArgs...)...)
	git(t, dir, append([]string{"init", "-q", "-b", "main", work}, initArgs...)...)
	return gitDir, pushCommit(t, gitDir, work, files)
}

func pushCommit(t testing.TB, gitDir, work string, files map[string]string) string {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(work, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	git(t, work, "add", "-A")
	git(t, work, "commit", "-q", "--allow-empty", "-m", "a commit\n\nwith a body")
	git(t, work, "push", "-q", gitDir, "HEAD:refs/heads/main")
	return git(t, work, "rev-parse", "HEAD")
}

func openRepo(t testing.TB, gitDir string) *gitrepo.Repo {
	t.Helper()
	r, err := gitrepo.Open(context.Background(), gitDir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

// ground is where git fills workspaces.
func ground(t testing.TB) executor.Ground {
	t.Helper()
	g, err := choose.Hold("host", executor.Spec{RunID: event.NewID(time.Now())})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := g.Close(); err != nil {
			t.Error(err)
		}
	})
	return g
}

// hashTree is a digest of every name, mode, and byte below dir.
func hashTree(t testing.TB, dir string) string {
	t.Helper()
	h := sha256.New()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(h, "%s %v\n", path, info.Mode())
		if info.Mode().IsRegular() {
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			h.Write(data)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

func TestWorkspaceIsAWorkingClone(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		t.Run(format, func(t *testing.T) {
			gitDir, commit := bareRepo(t, map[string]string{"a.txt": "one\n", "dir/ü \"b\"": "two\n"}, "--object-format="+format)
			git(t, gitDir, "tag", "light", commit)
			git(t, gitDir, "tag", "-a", "-m", "noted", "v1", commit)
			before := hashTree(t, gitDir)
			ws := filepath.Join(t.TempDir(), "workspace")
			if err := makeWorkspace(t.Context(), ground(t), openRepo(t, gitDir), commit, gitrepo.ExtentBounds{}, ws); err != nil {
				t.Fatal(err)
			}
			for _, c := range []struct{ want, args string }{
				{commit, "rev-parse HEAD"},
				{"HEAD", "rev-parse --abbrev-ref HEAD"},
				{"", "status --porcelain"},
				{"light\nv1", "tag"},
				{"v1", "describe"},
				{"origin/main", "branch -r --format=%(refname:short)"},
				{"", "fsck --strict --no-dangling"},
				{"", "fetch -q origin"},
				{"one", "show HEAD:a.txt"},
			} {
				if got := git(t, ws, strings.Fields(c.args)...); got != c.want {
					t.Errorf("git %s: %q, want %q", c.args, got, c.want)
				}
			}
			// What a job makes stays in the workspace.
			git(t, ws, "commit", "-q", "--allow-empty", "-m", "mine")
			git(t, ws, "tag", "mine")
			git(t, ws, "gc", "-q")
			if err := exec.Command("git", "-C", ws, "push", "-q", "origin", "HEAD:refs/heads/x").Run(); err == nil {
				t.Error("a push to origin succeeded")
			}
			if hashTree(t, gitDir) != before {
				t.Error("the bare repository has changed")
			}
		})
	}
}

func TestWorkspaceOfARepositoryInAnOddPlace(t *testing.T) {
	gitDir, commit := bareRepo(t, map[string]string{"a": "1"})
	odd := filepath.Join(t.TempDir(), "a \"b\" #ü\\\n'c'.git")
	if err := os.Rename(gitDir, odd); err != nil {
		t.Fatal(err)
	}
	ws := filepath.Join(t.TempDir(), "w")
	if err := makeWorkspace(t.Context(), ground(t), openRepo(t, odd), commit, gitrepo.ExtentBounds{}, ws); err != nil {
		t.Fatal(err)
	}
	if got := git(t, ws, "config", "remote.origin.url"); got != odd {
		t.Errorf("origin is %q, want %q", got, odd)
	}
	git(t, ws, "fetch", "-q", "origin")
}

func TestWorkspaceOfAnEmptyCommitAndNoTags(t *testing.T) {
	gitDir, commit := bareRepo(t, nil)
	ws := filepath.Join(t.TempDir(), "w")
	if err := makeWorkspace(t.Context(), ground(t), openRepo(t, gitDir), commit, gitrepo.ExtentBounds{}, ws); err != nil {
		t.Fatal(err)
	}
	if got := git(t, ws, "status", "--porcelain"); got != "" {
		t.Errorf("status: %q", got)
	}
}

func BenchmarkWorkspace(b *testing.B) {
	gitDir, commit := bareRepo(b, map[string]string{"a": "1"})
	repo := openRepo(b, gitDir)
	b.Run("ours", func(b *testing.B) {
		for b.Loop() {
			if err := makeWorkspace(b.Context(), ground(b), repo, commit, gitrepo.ExtentBounds{}, filepath.Join(b.TempDir(), "w")); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("git-clone", func(b *testing.B) {
		for b.Loop() {
			ws := filepath.Join(b.TempDir(), "w")
			git(b, "/", "clone", "-q", "--shared", "--no-checkout", gitDir, ws)
			git(b, ws, "checkout", "-q", "--detach", commit)
		}
	})
}
