package mirror

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"quire/internal/secret"
	"quire/mirror/forgetest"
)

func needLFS(t testing.TB) {
	t.Helper()
	if _, err := exec.LookPath("git-lfs"); err == nil {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs git-lfs: install it")
	}
	t.Skip("needs git-lfs: install it")
}

// byGitLFS makes a commit with git-lfs itself, as a push through an LFS server on
// this machine leaves it: the pointer in the commit, the object in lfs/.
func (w *world) byGitLFS(content string) string {
	w.t.Helper()
	needLFS(w.t)
	work := w.t.TempDir()
	run := func(args ...string) { w.t.Helper(); git(w.t, work, args...) }
	run("clone", "-q", w.src, ".")
	run("config", "user.name", "Ada")
	run("lfs", "install", "--local")
	run("lfs", "track", "*.bin")
	write(w.t, filepath.Join(work, "a.bin"), content)
	run("add", "-A")
	run("commit", "-q", "-m", "large")
	if err := os.CopyFS(filepath.Join(w.src, "lfs"), os.DirFS(filepath.Join(work, ".git", "lfs"))); err != nil {
		w.t.Fatal(err)
	}
	run("push", "-q", "--no-verify", w.src, "HEAD:refs/heads/main")
	return git(w.t, work, "rev-parse", "HEAD")
}

const attributes = "*.bin filter=lfs diff=lfs merge=lfs -text\n"

// lfsCommit is the same without git-lfs: a commit on main with a file a.bin.
func (w *world) lfsCommit(content string, keep bool) string {
	w.t.Helper()
	return w.lfsFiles(content, keep, ".gitattributes", "a.bin")
}

// lfsFiles makes a commit on main with attributes and a pointer at some paths,
// either of which may be "" for none.
func (w *world) lfsFiles(content string, keep bool, attributesAt, pointerAt string) string {
	w.t.Helper()
	if keep {
		w.keepLFS(content)
	}
	index := filepath.Join(w.t.TempDir(), "index")
	run := func(stdin string, args ...string) string {
		w.t.Helper()
		return gitIn(w.t, w.src, stdin, append([]string{"-c", "core.bare=true"}, args...)...)
	}
	w.t.Setenv("GIT_INDEX_FILE", index)
	defer os.Unsetenv("GIT_INDEX_FILE")
	for path, text := range map[string]string{attributesAt: attributes, pointerAt: pointerText(content), "README": "about"} {
		if path != "" {
			run("", "update-index", "--add", "--cacheinfo", "100644,"+run(text, "hash-object", "-w", "--stdin")+","+path)
		}
	}
	args := []string{"commit-tree", "-m", "large", run("", "write-tree")}
	if was := at(w.t, w.src, "refs/heads/main"); was != "" {
		args = append(args, "-p", was)
	}
	oid := run("", args...)
	run("", "update-ref", "refs/heads/main", oid)
	return oid
}

func pointerText(content string) string {
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", sha(content), len(content))
}

// keepLFS puts an object into the store of the repository here.
func (w *world) keepLFS(content string) {
	w.t.Helper()
	path := filepath.Join(w.src, "lfs", lfsPath(sha(content)))
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		w.t.Fatal(err)
	}
	write(w.t, path, content)
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
			again := w.byGitLFS("the large file, changed")
			w.push(Want{"refs/heads/main", again})
			w.wantThere("refs/heads/main", again)
			w.wantLFS("the large file, changed")
		})
	}
}

// What went with earlier pushes is not asked for again: a history with ten
// thousand objects would be a hundred requests for each commit.
func TestLFSObjectsOfBeforeAreNotAskedFor(t *testing.T) {
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

// However a forge's LFS server fails, the commit is not sent without its object; what
// may pass is tried again, and then both land.
func TestLFSServerThatFails(t *testing.T) {
	json := "Content-Type: application/vnd.git-lfs+json"
	for name, c := range map[string]struct {
		do    func(http.ResponseWriter, *http.Request, http.Handler)
		on    string
		class Class
		says  string
	}{
		"500":              {do: forgetest.Answer(500, "broken"), class: ClassServer},
		"501":              {do: forgetest.Answer(501, ""), class: ClassServer},
		"503":              {do: forgetest.Answer(503, "down"), class: ClassServer},
		"507":              {do: forgetest.Answer(507, `{"message":"disk full"}`, json), class: ClassRemoteFull, says: "disk full"},
		"429":              {do: forgetest.Answer(429, `{"message":"slow down"}`, json), class: ClassRateLimit, says: "slow down"},
		"401":              {do: forgetest.Answer(401, `{"message":"no"}`, json), class: ClassAuth},
		"403":              {do: forgetest.Answer(403, `{"message":"not yours"}`, json), class: ClassForbidden, says: "not yours"},
		"over quota":       {do: forgetest.Answer(403, `{"message":"This repository is over its data quota. storage quota exceeded"}`, json), class: ClassQuota},
		"404":              {do: forgetest.Answer(404, "<html>"), class: ClassLFS, says: "no Git LFS is served"},
		"422":              {do: forgetest.Answer(422, `{"message":"malformed"}`, json), class: ClassLFS, says: "malformed"},
		"a page":           {do: forgetest.Answer(200, "<html>login", "Content-Type: text/html"), class: ClassServer},
		"nothing of it":    {do: forgetest.Answer(200, `{"objects":[]}`, json), class: ClassServer},
		"other transfers":  {do: forgetest.Answer(200, `{"transfer":"tus","objects":[]}`, json), class: ClassLFS, says: "tus"},
		"cut off":          {do: forgetest.CutOff(10), class: ClassNetwork},
		"a cut connection": {do: func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }, class: ClassNetwork},
		"a PUT that fails": {do: forgetest.Answer(500, ""), on: "PUT", class: ClassServer},
		"a PUT cut off":    {do: func(http.ResponseWriter, *http.Request, http.Handler) { panic(http.ErrAbortHandler) }, on: "PUT", class: ClassNetwork},
		"a PUT refused":    {do: forgetest.Answer(413, ""), on: "PUT", class: ClassLFS, says: "a.bin"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			oid := w.lfsCommit("the large file", true)
			on := c.on
			if on == "" {
				on = "/info/lfs/objects/batch"
			}
			w.forge.Inject(&forgetest.Fault{On: on, Do: c.do})
			r := only(t, w.deliver(w.request(Want{"refs/heads/main", oid})))
			if r.Status != refusedOrPending(c.class) || r.Class != c.class || !strings.Contains(r.Detail.String(), c.says) {
				t.Errorf("%+v", r)
			}
			w.wantThere("refs/heads/main", "")
			if kept := grep(t, w.src, token); len(kept) > 0 {
				t.Errorf("the token is in %v", kept)
			}
			if _, err := os.Stat(filepath.Join(w.src, "lfs", "logs")); err == nil {
				t.Error("logs were written into the repository")
			}
			w.forge.Heal()
			w.push(Want{"refs/heads/main", oid})
			w.wantThere("refs/heads/main", oid)
			w.wantLFS("the large file")
		})
	}
}

func TestLFSServerThatStalls(t *testing.T) {
	w := newWorld(t)
	w.engine.stall = 200 * time.Millisecond
	oid := w.lfsCommit("the large file", true)
	for _, on := range []string{"/info/lfs/objects/batch", "PUT"} {
		release := make(chan struct{})
		w.forge.Heal()
		w.forge.Inject(&forgetest.Fault{On: on, Do: forgetest.Stall(release)})
		r := only(t, w.deliver(w.request(Want{"refs/heads/main", oid})))
		close(release)
		if r.Status != Pending || r.Class != ClassStalled {
			t.Errorf("%s: %+v", on, r)
		}
	}
}

// heard remembers what a server is sent.
type heard struct {
	mu   sync.Mutex
	seen []*http.Request
	body map[string]string // by path
}

func (h *heard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	text, _ := io.ReadAll(r.Body)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen = append(h.seen, r)
	if h.body == nil {
		h.body = map[string]string{}
	}
	h.body[r.URL.Path] = string(text)
}

func (h *heard) requests() []*http.Request {
	h.mu.Lock()
	defer h.mu.Unlock()
	return slices.Clone(h.seen)
}

// A redirect is not followed, so that no header of ours reaches another host.
func TestLFSRedirectsAreNotFollowed(t *testing.T) {
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, on := range []string{"/info/lfs/objects/batch", "PUT"} {
			w := newWorld(t)
			w.forge.Require(func(_, _, header string) bool { return true })
			other := &heard{}
			s := httptest.NewServer(other)
			defer s.Close()
			w.forge.Inject(&forgetest.Fault{On: on, Do: forgetest.Answer(status, "", "Location: "+s.URL+"/stolen?with=query")})
			req := w.request(Want{"refs/heads/main", w.lfsCommit("the large file", true)})
			req.Credential = secret.NewValue("Private-Token: " + token)
			r := only(t, w.deliver(req))
			if r.Status != Refused || r.Class != ClassRedirect || strings.Contains(r.Detail.String(), "query") {
				t.Errorf("%d %s: %+v", status, on, r)
			}
			if got := other.requests(); len(got) != 0 {
				t.Errorf("%d %s: another host was asked: %v", status, on, got)
			}
		}
	}
}

// batchAnswer is a batch's answer with the same actions for each object that is
// asked for. {oid} in it stands for the object.
func batchAnswer(actions string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(rw http.ResponseWriter, r *http.Request, _ http.Handler) {
		var in struct{ Objects []struct{ OID string } }
		if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
			http.Error(rw, err.Error(), 400)
			return
		}
		var out []string
		for _, o := range in.Objects {
			out = append(out, fmt.Sprintf(`{"oid":%q,"actions":%s}`, o.OID, strings.ReplaceAll(actions, "{oid}", o.OID)))
		}
		rw.Header().Set("Content-Type", "application/vnd.git-lfs+json")
		fmt.Fprintf(rw, `{"objects":[%s]}`, strings.Join(out, ","))
	}
}

// An address that an answer names gets what the answer says for it, and nothing of
// ours; it is asked to verify if it says so.
func TestLFSUploadsElsewhere(t *testing.T) {
	for _, credential := range []string{token, "Private-Token: " + token} {
		w := newWorld(t)
		w.forge.Require(nil)
		store := &heard{}
		s := httptest.NewServer(store)
		defer s.Close()
		w.forge.Inject(&forgetest.Fault{On: "/info/lfs/objects/batch", Do: batchAnswer(`{
			"upload": {"href": "` + s.URL + `/put/{oid}?sig=abc", "header": {"X-Signed": "yes", "Content-Type": "text/x-large", "Host": "elsewhere"}, "expires_in": 3600},
			"verify": {"href": "` + s.URL + `/verify/{oid}", "header": {"Authorization": "Remote verifier-token"}}}`)})
		oid := w.lfsCommit("the large file", true)
		req := w.request(Want{"refs/heads/main", oid})
		req.Credential = secret.NewValue(credential)
		if rep := w.deliver(req); !rep.OK() {
			t.Fatalf("%s", rep)
		}
		w.wantThere("refs/heads/main", oid)
		got := store.requests()
		if len(got) != 2 {
			t.Fatalf("%d requests", len(got))
		}
		for _, r := range got {
			if text := fmt.Sprint(r.Header); holdsToken([]byte(text)) || r.Header.Get("Private-Token") != "" {
				t.Errorf("the credential went along: %v", r.Header)
			}
		}
		put, verify := got[0], got[1]
		if put.Method != "PUT" || put.URL.RawQuery != "sig=abc" || put.Header.Get("X-Signed") != "yes" || put.Header.Get("Content-Type") != "text/x-large" ||
			put.Header.Get("Authorization") != "" || put.ContentLength != int64(len("the large file")) || store.body[put.URL.Path] != "the large file" {
			t.Errorf("%+v %q", put, store.body[put.URL.Path])
		}
		if verify.Method != "POST" || verify.Header.Get("Authorization") != "Remote verifier-token" || !strings.Contains(store.body[verify.URL.Path], sha("the large file")) {
			t.Errorf("%+v %q", verify, store.body[verify.URL.Path])
		}
	}
}

// Whatever a server's answer names, no reserved address is connected to, by
// whatever spelling; nor, for a pipeline in a sandbox, another port of a host that
// the operator allows.
func TestLFSServerLeadsNowhereReserved(t *testing.T) {
	port := silentPort(t)
	for _, walled := range []bool{false, true} {
		for _, host := range []string{"127.0.0.2", "localhost", "[::1]", "0.0.0.0", "169.254.169.254", "[::ffff:127.0.0.1]", "127.0.0.1"} {
			if host == "127.0.0.1" && !walled {
				continue // the operator's own mirror is there
			}
			for _, action := range []string{"upload", "verify"} {
				w := newWorld(t)
				actions := fmt.Sprintf(`{%q: {"href": "http://%s:%s/x"}}`, action, host, port)
				if action == "verify" {
					actions = fmt.Sprintf(`{"upload": {"href": "%s/me/repo.git/info/lfs/storage/{oid}"}, "verify": {"href": "http://%s:%s/x"}}`, w.forge.URL, host, port)
				}
				w.forge.Inject(&forgetest.Fault{On: "/info/lfs/objects/batch", Do: batchAnswer(actions)})
				req := w.request(Want{"refs/heads/main", w.lfsCommit("the large file", true)})
				if walled {
					var err error
					if req.Wall, err = SandboxWall([]string{w.forge.URL}, nil); err != nil {
						t.Fatal(err)
					}
				}
				r := only(t, w.deliver(req))
				if r.Status != Refused || r.Class != ClassNotAllowed {
					t.Errorf("walled %v, %s, %s: %+v", walled, host, action, r)
				}
				w.wantThere("refs/heads/main", "")
			}
		}
	}
}

// silentPort is a port of every loopback address at which nobody may connect.
func silentPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			t.Errorf("somebody connected to %s", c.LocalAddr())
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// Pointers are found wherever they stand: attributes of a subdirectory, and a file
// that an earlier commit of the same push had.
func TestLFSPointersAnywhere(t *testing.T) {
	for name, c := range map[string]struct{ attributes, pointer string }{
		"top":             {".gitattributes", "a.bin"},
		"a subdirectory":  {"art/raw/.gitattributes", "art/raw/a.bin"},
		"in history only": {".gitattributes", "a.bin"},
	} {
		for _, keep := range []bool{true, false} {
			t.Run(fmt.Sprint(name, " kept ", keep), func(t *testing.T) {
				w := newWorld(t)
				first := w.commit("refs/heads/main", "plain")
				w.push(Want{"refs/heads/main", first})
				oid := w.lfsFiles("the large file", keep, c.attributes, c.pointer)
				if name == "in history only" {
					oid = w.commit("refs/heads/main", "without it", oid)
				}
				rep := w.deliver(w.request(Want{"refs/heads/main", oid}))
				if keep {
					w.wantThere("refs/heads/main", oid)
					w.wantLFS("the large file")
					return
				}
				if r := only(t, rep); r.Status != Refused || r.Class != ClassLFS || !strings.Contains(r.Detail.String(), c.pointer) {
					t.Errorf("%+v", r)
				}
				w.wantThere("refs/heads/main", first)
			})
		}
	}
}

// A text that looks like a pointer, in a history that never had LFS, is no reason to
// keep it back: a test's data, or a manual.
func TestLFSPointersThatAreText(t *testing.T) {
	w := newWorld(t)
	oid := w.lfsFiles("nobody's", false, "", "testdata/pointer.txt")
	w.push(Want{"refs/heads/main", oid})
	w.wantThere("refs/heads/main", oid)
}

// A ref whose objects are missing keeps no other back, and is taken up when they
// have come.
func TestLFSObjectsThatAreMissing(t *testing.T) {
	for _, kind := range []string{"file", "http"} {
		w := newWorld(t)
		if kind == "file" {
			w.target.URL = "file://" + w.dst
		}
		oid := w.lfsCommit("a large file that nobody has", false)
		plain := w.commit("refs/heads/plain", "plain")
		rep := w.deliver(w.request(Want{"refs/heads/main", oid}, Want{"refs/heads/plain", plain}))
		if r := rep.Results[0]; r.Status != Refused || r.Class != ClassLFS || !strings.Contains(r.Detail.String(), "a.bin") {
			t.Errorf("%+v", r)
		}
		if r := rep.Results[1]; r.Status != Created {
			t.Errorf("%+v", r)
		}
		w.wantThere("refs/heads/main", "")
		w.keepLFS("a large file that nobody has")
		w.push(Want{"refs/heads/main", oid})
		w.wantLFS("a large file that nobody has")
	}
}

// What the store here has under an object's name is sent only if it is that object:
// no link is followed, and nothing else is read out to a server.
func TestLFSObjectsThatAreSomethingElse(t *testing.T) {
	const content = "the large file"
	for name, spoil := range map[string]func(t *testing.T, path string){
		"shorter":        func(t *testing.T, path string) { write(t, path, "the") },
		"other content":  func(t *testing.T, path string) { write(t, path, "the other file") },
		"a link":         func(t *testing.T, path string) { elsewhere(t, path, content) },
		"a named pipe":   func(t *testing.T, path string) { replace(t, path, func() error { return syscall.Mkfifo(path, 0o600) }) },
		"a directory":    func(t *testing.T, path string) { replace(t, path, func() error { return os.Mkdir(path, 0o700) }) },
		"bigger":         func(t *testing.T, path string) { write(t, path, content+content) },
		"of nobody else": func(t *testing.T, path string) { write(t, path, strings.Repeat("x", len(content))) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			oid := w.lfsCommit(content, true)
			spoil(t, filepath.Join(w.src, "lfs", lfsPath(sha(content))))
			r := only(t, w.deliver(w.request(Want{"refs/heads/main", oid})))
			if r.Status.Good() {
				t.Errorf("%+v", r)
			}
			w.wantThere("refs/heads/main", "")
			for _, asked := range w.forge.Requests() {
				if asked.Method == http.MethodPut {
					t.Error("something was sent")
				}
			}
		})
	}
}

func replace(t *testing.T, path string, with func() error) {
	t.Helper()
	if err := errors.Join(os.Remove(path), with()); err != nil {
		t.Fatal(err)
	}
}

func elsewhere(t *testing.T, path, content string) {
	t.Helper()
	other := filepath.Join(t.TempDir(), "private")
	write(t, other, content)
	replace(t, path, func() error { return os.Symlink(other, path) })
}

// lfs.storage says where the objects are, here and at a target on this machine.
func TestLFSStorageElsewhere(t *testing.T) {
	w := newWorld(t)
	w.target.URL = w.dst
	here, there := t.TempDir(), t.TempDir()
	oid := w.lfsCommit("the large file", true)
	if err := os.Rename(filepath.Join(w.src, "lfs", "objects"), filepath.Join(here, "objects")); err != nil {
		t.Fatal(err)
	}
	git(t, w.src, "config", "lfs.storage", here)
	git(t, w.dst, "config", "lfs.storage", there)
	w.push(Want{"refs/heads/main", oid})
	if got, err := os.ReadFile(filepath.Join(there, lfsPath(sha("the large file")))); err != nil || string(got) != "the large file" {
		t.Errorf("%q, %v", got, err)
	}
}

// git-lfs is not needed: a PATH with git and nothing else.
func TestLFSWithoutTheProgram(t *testing.T) {
	w := newWorld(t)
	oid := w.lfsCommit("the large file", true)
	bin := t.TempDir()
	gitPath, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(gitPath, filepath.Join(bin, "git")); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	rep, err := w.engine.Deliver(context.Background(), w.request(Want{"refs/heads/main", oid}))
	if err != nil || !rep.OK() {
		t.Fatalf("%s, %v", rep, err)
	}
	w.wantLFS("the large file")
}

// Over ssh, the server says where its LFS API is, and what to send it.
func TestLFSOverSSH(t *testing.T) {
	w, d, req := sshWorld(t)
	oid := w.lfsCommit("the large file", true)
	req.Refs = []Want{{"refs/heads/main", oid}}
	r := only(t, w.deliver(req))
	if r.Status != Refused || r.Class != ClassLFS || !strings.Contains(r.Detail.String(), "git-lfs-authenticate") || !strings.Contains(r.Detail.String(), "https") {
		t.Errorf("a server without LFS: %+v", r)
	}
	forge := forgetest.New(t)
	dst := forge.Repo("me/repo.git")
	forge.Require(func(_, _, header string) bool { return header == "RemoteAuth for-an-hour" })
	asked := filepath.Join(t.TempDir(), "asked")
	d.Command(t, "git-lfs-authenticate", `echo "$1 $2" >`+asked+`
echo '{"href": "`+forge.URL+`/me/repo.git/info/lfs", "header": {"Authorization": "RemoteAuth for-an-hour"}, "expires_in": 3600}'`)
	req.Seq = w.next()
	if rep := w.deliver(req); !rep.OK() {
		t.Fatalf("%s", rep)
	}
	w.wantThere("refs/heads/main", oid)
	w.dst = dst
	w.wantLFS("the large file")
	if got, err := os.ReadFile(asked); err != nil || !strings.HasSuffix(string(got), "/me/repo.git upload\n") {
		t.Errorf("asked for %q, %v", got, err)
	}
}

func TestParsePointer(t *testing.T) {
	oid := strings.Repeat("0a", 32)
	for text, ok := range map[string]bool{
		"version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 12\n":                             true,
		"version https://git-lfs.github.com/spec/v1\next-0-x sha256:" + oid + "\noid sha256:" + oid + "\nsize 12\n": true,
		"version https://hawser.github.com/spec/v1\noid sha256:" + oid + "\nsize 12":                                true,
		"version https://git-lfs.github.com/spec/v1\r\noid sha256:" + oid + "\r\nsize 12\r\n":                       true,
		"version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 0\n":                              false,
		"version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize -1\n":                             false,
		"version https://git-lfs.github.com/spec/v1\noid sha256:../../../etc/passwd\nsize 12\n":                     false,
		"version https://git-lfs.github.com/spec/v1\noid md5:" + oid + "\nsize 12\n":                                false,
		"version 1\noid sha256:" + oid + "\nsize 12\n":                                                              false,
		"oid sha256:" + oid + "\nsize 12\n":                                                                         false,
		"version https://git-lfs.github.com/spec/v1\noid sha256:" + oid + "\nsize 12\n" + strings.Repeat("x", 1024): false,
		"": false,
	} {
		p, got := parsePointer([]byte(text))
		if got != ok || ok && (p.oid != oid || p.size != 12) {
			t.Errorf("%q: %+v, %v", text, p, got)
		}
	}
}

func FuzzParsePointer(f *testing.F) {
	f.Add([]byte("version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		if p, ok := parsePointer(text); ok && (!filepath.IsLocal(lfsPath(p.oid)) || p.size <= 0) {
			t.Errorf("%q: %+v", text, p)
		}
	})
}
