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
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/store"
	"quire/pipeline"
)

// gitFed runs git with this standard input.
func gitFed(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	cmd.Env = append(plainGitEnv(), "GIT_AUTHOR_NAME=Ann", "GIT_AUTHOR_EMAIL=ann@example.org",
		"GIT_COMMITTER_NAME=Ann", "GIT_COMMITTER_EMAIL=ann@example.org")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// bombCommit is a commit whose tree has 100 times 100 times … the file, beside a
// pipeline; pushed to main.
func bombCommit(t testing.TB, gitDir string, levels int) string {
	t.Helper()
	blob := gitFed(t, gitDir, strings.Repeat("x", 1000), "hash-object", "-w", "--stdin")
	at := gitFed(t, gitDir, "100644 blob "+blob+"\tf\n", "mktree")
	for range levels {
		var rows strings.Builder
		for i := range 100 {
			fmt.Fprintf(&rows, "040000 tree %s\td%02d\n", at, i)
		}
		at = gitFed(t, gitDir, rows.String(), "mktree")
	}
	ci := gitFed(t, gitDir, head+`(ci.job :test [:quire/push] (fn [] (runtime.run "true")))`, "hash-object", "-w", "--stdin")
	quire := gitFed(t, gitDir, "100644 blob "+ci+"\tci.fnl\n", "mktree")
	top := gitFed(t, gitDir, "040000 tree "+quire+"\t.quire\n040000 tree "+at+"\tbomb\n", "mktree")
	c := gitFed(t, gitDir, "bomb\n", "commit-tree", top)
	git(t, gitDir, "update-ref", "refs/heads/main", c)
	return c
}

// Of a commit that would become too much, nothing is checked out.
func TestATreeBombIsNotCheckedOut(t *testing.T) {
	for _, c := range []struct {
		levels int
		bounds gitrepo.ExtentBounds
		want   string
	}{
		{20, gitrepo.ExtentBounds{Entries: 1_000_000}, "more than 1000000 files and directories, and no more are checked out ([limits] files)"},
		{2, gitrepo.ExtentBounds{Entries: 20_000}, "has 20103 files and directories; at most 20000 are checked out ([limits] files)"},
		{2, gitrepo.ExtentBounds{Bytes: 10_000_000}, "bytes of files; at most 10000000 are checked out ([limits] workspace)"},
	} {
		gitDir, _ := bareRepo(t, nil)
		commit := bombCommit(t, gitDir, c.levels)
		ws := filepath.Join(t.TempDir(), "w")
		err := makeWorkspace(t.Context(), ground(t), openRepo(t, gitDir), commit, c.bounds, ws)
		if !errors.Is(err, gitrepo.ErrTooLarge) || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%d levels, %+v: %v; want %q", c.levels, c.bounds, err, c.want)
		}
		if _, err := os.Lstat(ws); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("there is a workspace: %v", err)
		}
	}
}

// queueCommit queues a run of a commit that is there.
func (b *bench) queueCommit(commit string) event.Run {
	b.t.Helper()
	now := time.Now()
	u := event.Update{Old: strings.Repeat("0", 40), New: commit, Ref: "refs/heads/main"}
	p := event.Push{ID: event.NewID(now), At: now, GitDir: b.gitDir, Pusher: "ann", Updates: []event.Update{u}}
	taken, err := b.store.TakePush(b.t.Context(), p, []store.Planned{{ID: event.NewID(now), Update: u}}, nil, now)
	if err != nil {
		b.t.Fatal(err)
	}
	return taken.Runs[0]
}

// The run fails with a sentence, by the limits that nobody set.
func TestARunOfATreeBombFails(t *testing.T) {
	b := newBench(t)
	r := b.queueCommit(bombCommit(t, b.gitDir, 6))
	if err := Run(t.Context(), b.cfg, r.ID); err != nil {
		t.Fatal(err)
	}
	got := b.result(r.ID)
	const want = "has 2010101010103 files and directories; at most 1000000 are checked out ([limits] files)"
	if got.State != event.RunFailed || !strings.Contains(got.Reason.String(), want) || !strings.Contains(got.report, want) {
		t.Errorf("the run %s: %s\n%s", got.State, got.Reason, got.report)
	}
}

// The git that fills a workspace is held by the run's limits: a file that is
// written in another encoding is held in memory, twice.
func TestGitThatFillsTheWorkspaceIsWithinTheLimits(t *testing.T) {
	b := newBench(t)
	b.cfg.Limits.Memory = config.Size(64 << 20)
	blob := func() string {
		// Not made here: where the limit is a cgroup of version 1, the largest
		// process that has a thread in it is the one that is ended.
		cmd := exec.Command("sh", "-c", "head -c 100M /dev/zero | tr '\\0' x | git hash-object -w --stdin")
		cmd.Dir = b.gitDir
		out, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		return strings.TrimSpace(string(out))
	}()
	attributes := gitFed(t, b.gitDir, "* working-tree-encoding=UTF-32\n", "hash-object", "-w", "--stdin")
	ci := gitFed(t, b.gitDir, head+`(ci.job :test [:quire/push] (fn [] (runtime.run "true")))`, "hash-object", "-w", "--stdin")
	quire := gitFed(t, b.gitDir, "100644 blob "+ci+"\tci.fnl\n", "mktree")
	top := gitFed(t, b.gitDir, "100644 blob "+attributes+"\t.gitattributes\n040000 tree "+quire+"\t.quire\n100644 blob "+blob+"\tlarge\n", "mktree")
	r := b.queueCommit(gitFed(t, b.gitDir, "large\n", "commit-tree", top))
	if err := Run(t.Context(), b.cfg, r.ID); err != nil {
		t.Fatal(err)
	}
	// Where there is a cgroup the kernel ends git; elsewhere git says it itself.
	if got := b.result(r.ID); got.State != event.RunFailed || !strings.Contains(got.Reason.String(), "make the workspace: git") || !strings.Contains(got.Reason.String(), "memory") {
		t.Errorf("the run %s: %s\n%s", got.State, got.Reason, got.report)
	}
}

// Nobody's filters run, and no link leads git out of the workspace.
func TestACheckoutRunsNothing(t *testing.T) {
	home, outside := t.TempDir(), t.TempDir()
	planted := filepath.Join(outside, "planted")
	config := fmt.Sprintf("[filter \"evil\"]\n\tsmudge = touch %s; cat\n\tprocess = touch %s\n\trequired = true\n[core]\n\tfsmonitor = touch %s\n\thooksPath = %s\n",
		planted, planted, planted, home)
	for name, text := range map[string]string{".gitconfig": config, "post-checkout": "#!/bin/sh\ntouch " + planted + "\n", "post-index-change": "#!/bin/sh\ntouch " + planted + "\n"} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(text), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("HOME", home)
	t.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(home, ".gitconfig"))
	t.Setenv("GIT_CONFIG_COUNT", "1")
	t.Setenv("GIT_CONFIG_KEY_0", "filter.evil.smudge")
	t.Setenv("GIT_CONFIG_VALUE_0", "touch "+planted)
	gitDir, _ := bareRepo(t, nil)
	blob := gitFed(t, gitDir, "text\n", "hash-object", "-w", "--stdin")
	attributes := gitFed(t, gitDir, "* filter=evil\n", "hash-object", "-w", "--stdin")
	link := gitFed(t, gitDir, outside, "hash-object", "-w", "--stdin")
	below := gitFed(t, gitDir, "100644 blob "+blob+"\tplanted\n", "mktree")
	module := strings.Repeat("12", 20)
	for name, rows := range map[string]string{
		"attributes": "100644 blob " + attributes + "\t.gitattributes\n100644 blob " + blob + "\tf\n160000 commit " + module + "\tmodule\n",
		"a link":     "120000 blob " + link + "\tout\n100644 blob " + blob + "\tf\n",
		"a link that is also a directory, to those that ignore case": "120000 blob " + link + "\tOut\n100644 blob " + blob + "\tf\n040000 tree " + below + "\tout\n",
	} {
		commit := gitFed(t, gitDir, "c\n", "commit-tree", gitFed(t, gitDir, rows, "mktree", "--missing"))
		ws := filepath.Join(t.TempDir(), "w")
		if err := makeWorkspace(t.Context(), ground(t), openRepo(t, gitDir), commit, gitrepo.ExtentBounds{Entries: 100, Bytes: 1 << 20}, ws); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if text, err := os.ReadFile(filepath.Join(ws, "f")); string(text) != "text\n" || err != nil {
			t.Errorf("%s: f is %q, %v", name, text, err)
		}
		if _, err := os.Lstat(planted); err == nil {
			t.Errorf("%s: something ran, or was written outside", name)
		}
	}
}

// A module that is too large is not called missing.
func TestAModuleThatIsTooLargeIsTold(t *testing.T) {
	gitDir, commit := bareRepo(t, map[string]string{
		PipelineFile:         "(require :big)",
		".quire/lib/big.fnl": strings.Repeat(";", gitrepo.MaxFile+1),
	})
	src, err := sourceAt(openRepo(t, gitDir), commit)
	if err != nil {
		t.Fatal(err)
	}
	_, err = pipeline.Load(t.Context(), src, pipeline.Limits{})
	want := fmt.Sprintf(".quire/lib/big.fnl has %d bytes; at most %d are read", gitrepo.MaxFile+1, gitrepo.MaxFile)
	if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "not found") {
		t.Errorf("got %v; want %q", err, want)
	}
}
