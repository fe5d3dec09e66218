package forgetest

import (
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
)

// TB is what of testing.TB this package needs.
type TB interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
	TempDir() string
}

// Forge is an HTTP server on loopback with repositories below Root.
type Forge struct {
	Root string
	URL  string // without a slash at the end

	t      TB
	mu     sync.Mutex
	check  Check
	watch  func()
	faults []*Fault
	seen   []Request

	api       *API
	apiPrefix string
}

// Request is what the forge remembers of a request.
type Request struct {
	Method, Path, Authorization string
}

// Fault is a way to misbehave, for requests that it matches.
type Fault struct {
	// On is part of "METHOD PATH?QUERY": "info/refs", "POST",
	// "service=git-receive-pack". "" is every request.
	On string
	// Times is how often; 0 is always.
	Times int
	// Do answers. next is the real thing.
	Do func(w http.ResponseWriter, r *http.Request, next http.Handler)

	done atomic.Int32
}

// Done is how often the fault has struck.
func (f *Fault) Done() int { return int(f.done.Load()) }

// New starts a forge that lets everybody in and stops with the test.
func New(t TB) *Forge {
	t.Helper()
	f := &Forge{Root: t.TempDir(), t: t}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	t.Cleanup(s.CloseClientConnections) // runs first: a stalled answer must not hold Close up
	f.URL = s.URL
	return f
}

// Repo makes an empty bare repository and returns its directory; name is a path
// such as "me/repo.git".
func (f *Forge) Repo(name string) string {
	f.t.Helper()
	dir := filepath.Join(f.Root, name)
	InitBare(f.t, dir)
	return dir
}

// RepoURL is what to push to.
func (f *Forge) RepoURL(name string) string { return f.URL + "/" + name }

// Require sets who is let in from now on.
func (f *Forge) Require(check Check) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.check = check
}

// Inject adds a fault; faults are tried in the order in which they came.
func (f *Forge) Inject(fault *Fault) *Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fault)
	return fault
}

// Watch has f called while each request stands still, before it is answered.
func (f *Forge) Watch(w func()) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watch = w
}

// Heal removes all faults.
func (f *Forge) Heal() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// Requests are all requests so far, and Pushes counts those that carried a pack
// or ref updates.
func (f *Forge) Requests() []Request {
	f.mu.Lock()
	defer f.mu.Unlock()
	return append([]Request(nil), f.seen...)
}

// Pushes is the number of pushes that reached git-receive-pack.
func (f *Forge) Pushes() int {
	n := 0
	for _, r := range f.Requests() {
		if r.Method == http.MethodPost && strings.HasSuffix(r.Path, "/git-receive-pack") {
			n++
		}
	}
	return n
}

func (f *Forge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, Request{r.Method, r.URL.Path, r.Header.Get("Authorization")})
	next := Handler(f.Root, f.check)
	if path, ok := strings.CutPrefix(r.URL.EscapedPath(), f.apiPrefix); ok && f.api != nil {
		api := f.api
		next = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { api.serve(w, r, path) })
	}
	var strike *Fault
	for _, fault := range f.faults {
		if strings.Contains(r.Method+" "+r.URL.RequestURI(), fault.On) && (fault.Times == 0 || fault.Done() < fault.Times) {
			fault.done.Add(1)
			strike = fault
			break
		}
	}
	watch := f.watch
	f.mu.Unlock()
	if watch != nil {
		watch()
	}
	if strike != nil {
		strike.Do(w, r, next)
		return
	}
	next.ServeHTTP(w, r)
}

// InitBare makes an empty bare repository at dir whose HEAD is main.
func InitBare(t TB, dir string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		t.Fatalf("%v", err)
	}
	c := exec.Command("git", "init", "-q", "--bare", "-b", "main", dir)
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	if out, err := c.CombinedOutput(); err != nil {
		t.Fatalf("git init: %v: %s", err, out)
	}
}

// Hook puts a shell script into a bare repository's hooks.
func Hook(t TB, dir, name, script string) {
	t.Helper()
	path := filepath.Join(dir, "hooks", name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatalf("%v", err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatalf("%v", err)
	}
}
