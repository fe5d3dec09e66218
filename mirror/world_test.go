package mirror

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/gitrepo"
	"quire/internal/secret"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

// git runs the real git and returns its output without the last newline.
func git(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return gitIn(t, dir, "", args...)
}

func gitIn(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ada", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE=1700000000 +0000",
		"GIT_COMMITTER_NAME=Ada", "GIT_COMMITTER_EMAIL=ada@example.org", "GIT_COMMITTER_DATE=1700000000 +0000")
	c.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

const token = "ghp_5ecretTokenThatNobodyMaySee"

// world is a repository here, an engine with a ledger, and a forge that wants
// the token.
type world struct {
	t      testing.TB
	src    string // bare
	state  string
	store  *store.Store
	engine *Engine
	forge  *forgetest.Forge
	dst    string // me/repo.git on the forge
	target Target
	seq    int
}

func newWorld(t testing.TB, options ...Option) *world {
	t.Helper()
	w := &world{t: t, src: filepath.Join(t.TempDir(), "src.git"), state: filepath.Join(t.TempDir(), "state")}
	forgetest.InitBare(t, w.src)
	s, err := store.Open(context.Background(), w.state)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	w.store = s
	w.engine, err = New(s, filepath.Join(w.state, "locks"), append([]Option{Pauses()}, options...)...)
	if err != nil {
		t.Fatal(err)
	}
	w.forge = forgetest.New(t)
	w.dst = w.forge.Repo("me/repo.git")
	w.forge.Require(func(_, pass, _ string) bool { return pass == token })
	w.target = Target{Name: "forge", URL: w.forge.RepoURL("me/repo.git"), Secret: "forge_token"}
	if _, benchmark := t.(*testing.B); !benchmark {
		w.guard()
	}
	return w
}

// guard holds every test to what no delivery may do, however it ends: touch what
// others put at the forge, show the token on a command line, write it down, or
// leave something behind.
func (w *world) guard() {
	dst := w.dst
	theirs := map[string]string{}
	for _, ref := range []string{"refs/heads/zz/theirs", "refs/tags/zz-theirs", "refs/notes/theirs"} {
		theirs[ref] = w.foreign(dst, ref, "somebody else's "+ref)
	}
	w.forge.Watch(func() {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, p := range lines {
			if line, err := os.ReadFile(p); err == nil && holdsToken(line) {
				w.t.Errorf("argv: %q", line)
			}
		}
	})
	w.t.Cleanup(func() {
		if _, err := os.Stat(dst); err == nil {
			for ref, oid := range theirs {
				if got := at(w.t, dst, ref); got != oid {
					w.t.Errorf("somebody else's %s is %q, and was %s", ref, got, oid)
				}
			}
		}
		for _, form := range tokenForms() {
			if found := grep(w.t, w.state, string(form[:len(form)-2])); len(found) > 0 {
				w.t.Errorf("the token is in %v", found)
			}
		}
		for _, place := range sessionPlaces() {
			if left, _ := filepath.Glob(filepath.Join(place, fmt.Sprintf("%s%d-*", sessionDir, os.Getpid()))); len(left) > 0 {
				w.t.Errorf("left behind: %v", left)
			}
		}
	})
}

// commit makes a commit here and puts ref on it. The parents may be none.
func (w *world) commit(ref, text string, parents ...string) string {
	w.t.Helper()
	blob := gitIn(w.t, w.src, text, "hash-object", "-w", "--stdin")
	tree := gitIn(w.t, w.src, "100644 blob "+blob+"\tfile\n", "mktree")
	args := []string{"commit-tree", "-m", text[:min(len(text), 40)], tree}
	for _, p := range parents {
		args = append(args, "-p", p)
	}
	oid := git(w.t, w.src, args...)
	if ref != "" {
		git(w.t, w.src, "update-ref", ref, oid)
	}
	return oid
}

// foreign makes a commit at the forge that this side does not have.
func (w *world) foreign(dir, ref, text string, parents ...string) string {
	w.t.Helper()
	there := *w
	there.src = dir
	return there.commit(ref, text, parents...)
}

func (w *world) next() string {
	w.seq++
	return fmt.Sprintf("%026d", w.seq)
}

// request is a pipeline's.
func (w *world) request(wants ...Want) Request {
	t := w.target
	t.Asked = true
	return Request{GitDir: w.src, Target: t, Credential: secret.NewValue(token), Refs: wants, Seq: w.next(), Wall: HostWall()}
}

// tag is a tag that a pipeline wants made.
func (w *world) tag(name, commit string) *Tag {
	return &Tag{Name: name, Commit: commit, Make: func(ctx context.Context) (string, error) {
		r, err := gitrepo.Open(context.Background(), w.src)
		if err != nil {
			return "", err
		}
		defer r.Close()
		oid, _, err := r.CreateTag(ctx, name, commit, []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1"})
		return oid, err
	}}
}

func (w *world) deliver(req Request) Report {
	w.t.Helper()
	rep, err := w.engine.Deliver(context.Background(), req)
	if err != nil {
		w.t.Fatalf("Deliver: %v", err)
	}
	return rep
}

// push delivers and demands that all is well.
func (w *world) push(wants ...Want) Report {
	w.t.Helper()
	rep := w.deliver(w.request(wants...))
	if !rep.OK() {
		w.t.Fatalf("not delivered:\n%s", rep)
	}
	return rep
}

// at is what a ref is at a repository, "" for nothing.
func at(t testing.TB, dir, ref string) string {
	t.Helper()
	return git(t, dir, "for-each-ref", "--format=%(objectname)", ref)
}

func (w *world) wantThere(ref, oid string) {
	w.t.Helper()
	if got := at(w.t, w.dst, ref); got != oid {
		w.t.Errorf("%s is %q at the forge, want %q", ref, got, oid)
	}
}

// row is a delivery in the ledger.
func (w *world) row(ref string) store.Delivery {
	w.t.Helper()
	all, err := w.store.Deliveries(context.Background(), w.src, w.target.URL, []string{ref})
	if err != nil {
		w.t.Fatal(err)
	}
	d, ok := all[ref]
	if !ok {
		w.t.Fatalf("%s is not in the ledger", ref)
	}
	return d
}

// only is the one result of a report.
func only(t testing.TB, rep Report) Result {
	t.Helper()
	if len(rep.Results) != 1 {
		t.Fatalf("want one result:\n%s", rep)
	}
	return rep.Results[0]
}

const zero = "0000000000000000000000000000000000000000"
