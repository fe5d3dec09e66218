package web

import (
	"context"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

// Every log that a run's page links to is there, whatever its job is called.
func TestLogsOfOddlyNamedJobs(t *testing.T) {
	srv, run := serve(t)
	_, page, _ := get(t, srv.URL+"/run/"+run.ID)
	if strings.Contains(page, "\u202e") {
		t.Error("the page holds U+202E")
	}
	var logs []string
	for _, part := range strings.Split(page, `href="`)[1:] {
		href, _, _ := strings.Cut(part, `"`)
		if strings.Contains(href, "/log/") {
			logs = append(logs, html.UnescapeString(href))
		}
	}
	if len(logs) != len(oddJobs)+1 {
		t.Fatalf("links %q", logs)
	}
	for _, job := range oddJobs {
		found := false
		for _, href := range logs {
			status, body, _ := get(t, srv.URL+href)
			if status != http.StatusOK {
				t.Errorf("%s: %d", href, status)
			}
			if strings.Contains(html.UnescapeString(body), "output of "+readable([]byte(job))+"<") {
				found = true
				_, rest, _ := strings.Cut(body, `href="/run/1/raw/`)
				raw, _, _ := strings.Cut(rest, `"`)
				if status, text, _ := get(t, srv.URL+"/run/1/raw/"+html.UnescapeString(raw)); status != http.StatusOK || text != "output of "+job+"\n" {
					t.Errorf("the whole log of %q: %d %q", job, status, text)
				}
			}
		}
		if !found {
			t.Errorf("no link leads to the log of %q: %q", job, logs)
		}
	}
}

// serving is a server that runs.
type serving struct {
	addr   net.Addr
	access *Access
}

func startServer(t *testing.T, addr, baseURL string, open bool) serving {
	t.Helper()
	s := Server{Pages: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "the pages") }), BaseURL: baseURL}
	var out serving
	var err error
	if out.access, err = OpenAccess(t.TempDir()); err != nil {
		t.Fatal(err)
	}
	if !open {
		s.Access = out.access
	}
	ctx, cancel := context.WithCancel(context.Background())
	ready := make(chan net.Addr, 1)
	var running sync.WaitGroup
	running.Go(func() {
		if err := s.Serve(ctx, addr, func(a net.Addr) { ready <- a }); err != nil {
			t.Error(err)
			close(ready)
		}
	})
	t.Cleanup(func() { cancel(); running.Wait() })
	out.addr = <-ready
	if out.addr == nil {
		t.FailNow()
	}
	return out
}

// ask makes one request under a host name.
func (s serving) ask(t *testing.T, client *http.Client, path, host string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(http.MethodGet, "http://"+s.addr.String()+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Host = host
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func browser(t *testing.T) *http.Client {
	t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	return &http.Client{Jar: jar}
}

// A page of somebody else's reaches loopback by a name of its own, and gets no
// answer there.
func TestOnlyOurNamesAreAnswered(t *testing.T) {
	s := startServer(t, "127.0.0.1:0", "https://ci.example.org/quire", true)
	for host, want := range map[string]int{
		"":                           200, // the address itself
		"localhost":                  200,
		"LOCALHOST:7780":             200,
		"127.0.0.1:1":                200,
		"127.8.8.8":                  200,
		"[::1]:7780":                 200,
		"[::1]":                      200,
		"ci.example.org":             200,
		"CI.example.org:443":         200,
		"evil.example.net":           421,
		"127.0.0.1.evil.example.net": 421,
		"localhost.evil.example.net": 421,
		"10.1.2.3":                   421,
		"xci.example.org":            421,
	} {
		status, body := s.ask(t, http.DefaultClient, "/", host)
		if status != want || (want == 200) != (body == "the pages") || want != 200 && !strings.Contains(body, "[web] base_url") {
			t.Errorf("%q: %d %q, want %d", host, status, body, want)
		}
	}
	if !ours("192.168.1.5", "0.0.0.0") || ours("evil.example.net", "0.0.0.0") || ours("evil.example.net", "") {
		t.Error("on all addresses, any address is ours and no name is")
	}
	if !ours("build.lan", "build.lan") || ours("", "127.0.0.1") {
		t.Error("the name that is listened on is ours, and none is not")
	}
}

// Reaching the address is not enough: another user, or a job with the machine's
// network, reaches it too.
func TestPagesAreForReadersOfTheStateDirectory(t *testing.T) {
	s := startServer(t, "127.0.0.1:0", "", false)
	stranger, operator := browser(t), browser(t)
	for _, path := range []string{"/", "/run/1", "/open", "/open?ticket=", "/open?ticket=..%2Fkey", "/open?ticket=" + strings.Repeat("a", 26)} {
		if status, body := s.ask(t, stranger, path, ""); status != http.StatusForbidden || !strings.Contains(body, "quire serve --link") {
			t.Errorf("%s: %d %q", path, status, body)
		}
	}
	to, err := s.access.Link("http://" + s.addr.String() + "/")
	if err != nil {
		t.Fatal(err)
	}
	u, err := url.Parse(to)
	if err != nil {
		t.Fatal(err)
	}
	link := u.RequestURI()
	if status, body := s.ask(t, operator, link, ""); status != http.StatusOK || body != "the pages" {
		t.Errorf("the link: %d %q", status, body)
	}
	if status, body := s.ask(t, operator, "/run/1", ""); status != http.StatusOK || body != "the pages" {
		t.Errorf("after the link: %d %q", status, body)
	}
	if status, _ := s.ask(t, operator, link, ""); status != http.StatusOK {
		t.Errorf("the link again, by who was let in: %d", status)
	}
	if status, body := s.ask(t, stranger, link, ""); status != http.StatusForbidden || !strings.Contains(body, "was used") {
		t.Errorf("the link again, by another: %d %q", status, body)
	}

	key, err := os.ReadFile(s.access.keyFile())
	if err != nil {
		t.Fatal(err)
	}
	for token, want := range map[string]int{strings.TrimSpace(string(key)): 200, "": 403, "x": 403} {
		if status, _ := s.ask(t, stranger, "/", "", "Authorization", "Bearer "+token); status != want {
			t.Errorf("a bearer of %d bytes: %d, want %d", len(token), status, want)
		}
	}
	year := s.access.session(time.Now().Add(365 * 24 * time.Hour))
	for value, want := range map[string]int{
		year:       200,
		year + "0": 403,
		s.access.session(time.Now().Add(-time.Second)): 403,
		"9999999999.": 403, "": 403, ".": 403,
	} {
		if status, _ := s.ask(t, stranger, "/", "", "Cookie", cookieName+"="+value); status != want {
			t.Errorf("cookie %q: %d, want %d", value, status, want)
		}
	}
	for path, want := range map[string]os.FileMode{s.access.dir: 0o700, s.access.links(): 0o700, s.access.keyFile(): 0o600} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v %v", path, info.Mode(), err)
		}
	}

	// A link that is old is none, and is cleared away.
	if to, err = s.access.Link("http://x"); err != nil {
		t.Fatal(err)
	}
	_, ticket, _ := strings.Cut(to, "ticket=")
	old := time.Now().Add(-linkLife)
	if err := os.Chtimes(s.access.ticketFile(ticket), old, old); err != nil {
		t.Fatal(err)
	}
	if s.access.use(ticket) {
		t.Error("an old link was taken")
	}
	if err := os.Chmod(s.access.keyFile(), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenAccess(filepath.Dir(s.access.dir)); err == nil || !strings.Contains(err.Error(), "others may read") {
		t.Errorf("a key that others may read: %v", err)
	}
}

// A Unix socket is for this user alone, and what a killed server left is no
// hindrance.
func TestASocketIsForItsUser(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	left, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	left.(*net.UnixListener).SetUnlinkOnClose(false)
	left.Close()
	s := startServer(t, "unix:"+path, "", false)
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	client := &http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return new(net.Dialer).DialContext(ctx, "unix", path)
	}}}
	s.addr = &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 1}
	if status, body := s.ask(t, client, "/", "whatever.the.proxy.says"); status != http.StatusOK || body != "the pages" {
		t.Errorf("%d %q", status, body)
	}
	client.CloseIdleConnections()
}
