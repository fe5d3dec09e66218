package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/mirror/forgetest"
)

func needLFS(t *testing.T) {
	t.Helper()
	if _, err := exec.LookPath("git-lfs"); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs git-lfs: install it")
	}
	t.Skip("needs git-lfs: install it")
}

// lfsCommit makes a commit with a file in LFS, as a push through an LFS server
// on this machine leaves it: the pointer in the commit, the object in lfs/.
func (w *world) lfsCommit(content string, keep bool) string {
	w.t.Helper()
	work := w.t.TempDir()
	run := func(args ...string) { w.t.Helper(); git(w.t, work, args...) }
	run("clone", "-q", w.src, ".")
	run("config", "user.name", "Ada")
	run("lfs", "install", "--local")
	run("lfs", "track", "*.bin")
	write(w.t, filepath.Join(work, "a.bin"), content)
	run("add", "-A")
	run("commit", "-q", "-m", "large")
	if keep {
		if err := os.CopyFS(filepath.Join(w.src, "lfs"), os.DirFS(filepath.Join(work, ".git", "lfs"))); err != nil {
			w.t.Fatal(err)
		}
	}
	run("push", "-q", "--no-verify", w.src, "HEAD:refs/heads/main")
	return git(w.t, work, "rev-parse", "HEAD")
}

func sha(content string) string {
	sum := sha256.Sum256([]byte(content))
	return hex.EncodeToString(sum[:])
}

// wantLFS demands that the target has an object of LFS with this content.
func (w *world) wantLFS(content string) {
	w.t.Helper()
	oid := sha(content)
	there, err := os.ReadFile(filepath.Join(w.dst, "lfs", "objects", oid[:2], oid[2:4], oid))
	if err != nil || string(there) != content {
		w.t.Errorf("the object is not there: %v", err)
	}
}

// The objects are there before the commit that names them, with the credential
// that the repository takes, and nobody sees it on a command line.
func TestLFSObjectsGoFirst(t *testing.T) {
	needLFS(t)
	for _, kind := range []string{"file", "http"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			if kind == "file" {
				w.target.URL = "file://" + w.dst
			}
			oid := w.lfsCommit("the large file", true)
			stored := false
			w.forge.Inject(&forgetest.Fault{Do: func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
				cmdlines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
				for _, p := range cmdlines {
					if line, err := os.ReadFile(p); err == nil && holdsToken(line) {
						t.Errorf("argv: %q", line)
					}
				}
				next.ServeHTTP(rw, r)
				stored = stored || r.Method == http.MethodPut
				if strings.HasSuffix(r.URL.Path, "git-receive-pack") && !stored {
					t.Error("the commit came before its object")
				}
			}})
			w.push(Want{"refs/heads/main", oid})
			w.wantThere("refs/heads/main", oid)
			w.wantLFS("the large file")
			// What is there is not sent again.
			again := w.lfsCommit("the large file, changed", true)
			w.push(Want{"refs/heads/main", again})
			w.wantThere("refs/heads/main", again)
			w.wantLFS("the large file, changed")
		})
	}
}

// What went with earlier pushes is not asked for again: a history with ten
// thousand objects would be a hundred requests for each commit.
func TestLFSObjectsOfBeforeAreNotAskedFor(t *testing.T) {
	needLFS(t)
	w := newWorld(t)
	asked := map[string]bool{}
	var mu sync.Mutex
	w.forge.Inject(&forgetest.Fault{On: "/info/lfs/objects/batch", Do: func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		body, err := io.ReadAll(r.Body)
		var in struct{ Objects []struct{ OID string } }
		if err != nil || json.Unmarshal(body, &in) != nil {
			t.Errorf("a batch request of %q, %v", body, err)
		}
		mu.Lock()
		for _, o := range in.Objects {
			asked[o.OID] = true
		}
		mu.Unlock()
		r.Body = io.NopCloser(bytes.NewReader(body))
		next.ServeHTTP(rw, r)
	}})
	// A branch of before, without LFS: what it has counts for nothing.
	w.push(Want{"refs/heads/plain", w.commit("refs/heads/plain", "plain")})
	w.lfsCommit("one", true)
	w.push(Want{"refs/heads/main", w.lfsCommit("two", true)})
	for _, content := range []string{"one", "two"} {
		if w.wantLFS(content); !asked[sha(content)] {
			t.Errorf("the object of %q was not asked for: %v", content, asked)
		}
	}
	for ref, content := range map[string]string{"refs/heads/main": "three", "refs/heads/topic": "four"} {
		clear(asked)
		oid := w.lfsCommit(content, true)
		w.push(Want{ref, oid})
		w.wantThere(ref, oid)
		if w.wantLFS(content); len(asked) != 1 && ref == "refs/heads/main" || !asked[sha(content)] || asked[sha("one")] || asked[sha("two")] {
			t.Errorf("asked for %v, which is not %q alone", asked, content)
		}
	}
	// Somebody took the branch away there. Its objects are looked for again.
	git(t, w.dst, "update-ref", "-d", "refs/heads/main")
	if err := os.RemoveAll(filepath.Join(w.dst, "lfs")); err != nil {
		t.Fatal(err)
	}
	git(t, w.dst, "update-ref", "-d", "refs/heads/topic")
	w.push(Want{"refs/heads/main", w.lfsCommit("five", true)})
	w.wantLFS("one")
	w.wantLFS("five")
}

// A URL without .git: git-lfs puts it there by itself.
func TestLFSOfAURLWithoutTheSuffix(t *testing.T) {
	needLFS(t)
	w := newWorld(t)
	if err := os.Symlink(w.dst, strings.TrimSuffix(w.dst, ".git")); err != nil {
		t.Fatal(err)
	}
	w.target.URL = strings.TrimSuffix(w.target.URL, ".git")
	oid := w.lfsCommit("the large file", true)
	w.push(Want{"refs/heads/main", oid})
	w.wantThere("refs/heads/main", oid)
	w.wantLFS("the large file")
}

// A forge whose LFS store is down: the commit is not sent without its object, and
// both are tried again.
func TestLFSStoreThatIsDown(t *testing.T) {
	needLFS(t)
	w := newWorld(t)
	oid := w.lfsCommit("the large file", true)
	w.forge.Inject(&forgetest.Fault{On: "/info/lfs/", Do: forgetest.Answer(503, "down")})
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", oid})))
	if r.Status != Pending || r.Class != ClassServer {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", "")
	w.forge.Heal()
	w.push(Want{"refs/heads/main", oid})
	w.wantThere("refs/heads/main", oid)
	w.wantLFS("the large file")
}

func TestLFSObjectsThatAreMissing(t *testing.T) {
	needLFS(t)
	w := newWorld(t)
	w.target.URL = "file://" + w.dst
	oid := w.lfsCommit("a large file that nobody has", false)
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", oid})))
	if r.Status != Refused || r.Class != ClassLFS || !strings.Contains(r.Detail.String(), "a.bin") {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", "")
}

func TestLFSWithoutTheProgram(t *testing.T) {
	w := newWorld(t)
	blob := gitIn(t, w.src, "*.bin filter=lfs diff=lfs merge=lfs -text\n", "hash-object", "-w", "--stdin")
	tree := gitIn(t, w.src, "100644 blob "+blob+"\t.gitattributes\n", "mktree")
	oid := git(t, w.src, "commit-tree", "-m", "lfs", tree)
	plain := w.commit("refs/heads/plain", "plain")
	// A PATH with git and nothing else.
	bin := t.TempDir()
	gitPath, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(gitPath, filepath.Join(bin, "git")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	rep, err := w.engine.Deliver(context.Background(), w.request(Want{"refs/heads/main", oid}, Want{"refs/heads/plain", plain}))
	if err != nil {
		t.Fatal(err)
	}
	if r := rep.Results[0]; r.Status != Refused || r.Class != ClassLFS || !strings.Contains(r.Detail.String(), "not installed") {
		t.Errorf("%+v", r)
	}
	if r := rep.Results[1]; r.Status != Created {
		t.Errorf("%+v", r)
	}
}
