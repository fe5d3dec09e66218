package web

import (
	"context"
	"errors"
	"fmt"
	"html"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/runlog"
	"quire/internal/secret"
	"quire/internal/secret/masked"
	"quire/internal/store"
	"quire/mirror"
)

// oddJobs are ids that mean something in a URL, to a browser, or to a person's eye.
var oddJobs = []string{"a b", "a+b", "50%", "a%2Fb", "q?x=1", "f#g", "größe 漢字", "a\\b", "a;b", "a&b", "%2e%2e", "~", "a:b", "a\u202eb"}

// site with one push to a hostile ref, run to its end, with a job of every kind
// of name and a log of every kind of line.
func serve(t *testing.T) (*httptest.Server, event.Run) {
	t.Helper()
	ctx, dir := t.Context(), t.TempDir()
	s, err := store.Open(ctx, dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	now := time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)
	u := event.Update{Old: strings.Repeat("0", 40), New: strings.Repeat("a", 40), Ref: `refs/heads/<script>alert(1)</script>"&`}
	push := event.Push{ID: event.NewID(now), At: now, GitDir: "/srv/git/a&b.git", Pusher: "<b>ann</b>", Updates: []event.Update{u}}
	runID := event.NewID(now)
	if _, err := s.TakePush(ctx, push, []store.Planned{{ID: runID, Update: u}}, nil, now); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Start(ctx, runID, store.Holder{PID: 1}, now); err != nil {
		t.Fatal(err)
	}
	commands := []event.Command{{RunID: runID, Job: "quire/mirror", N: 1, Line: masked.Const("printf '<i>'"), Exit: 3, StartedAt: now, FinishedAt: now.Add(time.Second), Duration: time.Second}}
	jobs := []event.Job{{RunID: runID, ID: "quire/mirror", State: event.JobFailed, Attempt: 1, Reason: masked.Const("exit 3"), Duration: time.Second}}
	for _, id := range oddJobs {
		jobs = append(jobs, event.Job{RunID: runID, ID: id, State: event.JobSucceeded, Attempt: 1, Duration: time.Second})
		commands = append(commands, event.Command{RunID: runID, Job: id, N: 1, Line: masked.Const("true"), StartedAt: now, FinishedAt: now.Add(time.Second), Duration: time.Second})
		l, err := runlog.CreateLog(runlog.RunDir(dir, runID).CommandLog(id, 1), 1<<20, nil)
		if err != nil {
			t.Fatal(err)
		}
		record(l.Stream(runlog.Stdout), "output of "+id+"\n")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Record(ctx, runID, jobs, commands); err != nil {
		t.Fatal(err)
	}
	l, err := runlog.CreateLog(runlog.RunDir(dir, runID).CommandLog("quire/mirror", 1), 1<<20, nil)
	if err != nil {
		t.Fatal(err)
	}
	record(l.Stream(runlog.Stdout), "<img src=x onerror=alert(1)>\n\x1b[31mred\x1b[0m\n10%\r100%\n")
	record(l.Stream(runlog.Stderr), "bin\xff\n")
	l.Note(masked.Const("the rest was dropped"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Finish(ctx, runID, store.Final{State: event.RunFailed, Reason: masked.Const("quire/mirror"), FinishedAt: now.Add(2 * time.Second), Duration: 2 * time.Second, Jobs: jobs}); err != nil {
		t.Fatal(err)
	}
	run, err := s.Run(ctx, runID)
	if err != nil {
		t.Fatal(err)
	}
	engine, err := mirror.New(s, filepath.Join(dir, "locks"))
	if err != nil {
		t.Fatal(err)
	}
	mirrored(t, s, filepath.Join(t.TempDir(), "c&d.git"), now)
	srv := httptest.NewServer(Handler(s, dir, func(ctx context.Context, gitDir string) ([]mirror.TargetStatus, error) {
		return engine.Status(ctx, gitDir, nil)
	}))
	t.Cleanup(srv.Close)
	return srv, run
}

// mirrored records three mirrors of a repository: one in step, one with refs that
// are not, and one that nobody asks for.
func mirrored(t *testing.T, s *store.Store, gitDir string, now time.Time) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(gitDir, 0o755), os.WriteFile(filepath.Join(gitDir, "HEAD"), []byte("ref: refs/heads/main\n"), 0o644)); err != nil {
		t.Fatal(err)
	}
	oid := strings.Repeat("b", 40)
	for name, rows := range map[string][]store.Delivery{
		"good": {{Ref: "refs/heads/main", Want: oid, Put: oid, State: store.DeliveryLanded}},
		"<bad>": {
			{Ref: "refs/heads/<i>", Want: oid, State: store.DeliveryRefused, Class: "protected-branch", Error: masked.Const("<img src=x>")},
			{Ref: "refs/heads/late", Want: oid, State: store.DeliveryWaiting, NextAt: now.Add(time.Hour), Class: "network", Error: masked.Const("no route")},
			{Ref: "refs/heads/gone", Want: strings.Repeat("0", 40), Put: oid, State: store.DeliveryDiverged, There: strings.Repeat("c", 40), Class: "diverged", Error: masked.Const("moved")},
		},
		"left": {{Ref: "refs/heads/main", Want: oid, State: store.DeliveryWaiting}},
	} {
		target := store.MirrorTarget{GitDir: gitDir, URL: "https://forge.example/" + url.PathEscape(name), Name: name, Secret: "tok", Asked: name != "left"}
		for i := range rows {
			rows[i].GitDir, rows[i].URL, rows[i].At = target.GitDir, target.URL, now
		}
		if err := errors.Join(s.Owe(t.Context(), target, rows, now, false), s.Settle(t.Context(), rows)); err != nil {
			t.Fatal(err)
		}
	}
}

func get(t *testing.T, url string) (int, string, http.Header) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body), resp.Header
}

func TestPages(t *testing.T) {
	srv, run := serve(t)
	number := fmt.Sprint(run.Number)
	for _, c := range []struct {
		path   string
		status int
		say    []string
	}{
		{"/", 200, []string{"/run/" + number, "a&amp;b", "failed"}},
		{"/?state=queued", 200, []string{"No runs like that"}},
		{"/?state=%27%3B--", 200, []string{"No runs"}},
		{"/run/" + number, 200, []string{"exit 3", "quire/mirror", "printf", "/log/quire%2Fmirror/1"}},
		{"/run/" + run.ID, 200, []string{"exit 3"}},
		{"/run/" + number + "/log/quire%2Fmirror/1", 200, []string{"&lt;img src=x", ">red<", ">100%<", "bin\ufffd", "the rest was dropped"}},
		{"/run/" + number + "/raw/quire%2Fmirror/1", 200, []string{"\x1b[31mred", "bin\xff"}},
		{"/run/999", 404, []string{"there is no run 999"}},
		{"/run/" + number + "/log/..%2F..%2Fetc/1", 404, []string{"there is no command"}},
		{"/run/" + number + "/log/quire%2Fmirror/2", 404, nil},
		{"/run/" + number + "/log/quire%2Fmirror/x", 404, nil},
		{"/mirrors", 200, []string{"c&amp;d", "&lt;bad&gt;", "not in step 1", "all 3", "3 of 3", "protected-branch: &lt;img", "next try 2026-11-23 13:00:00 UTC",
			"→ Allow the account of secret tok to push to &lt;i&gt;", "want nothing", "asks for it any more"}},
		{"/mirrors?state=drift", 200, []string{"&lt;bad&gt;"}},
		{"/mirrors?repo=/nowhere", 200, []string{"Nothing has been mirrored yet from this repository"}},
		{"/mirrors?state=drift&repo=/nowhere", 200, []string{"Every mirror is in step"}},
		{"/style.css", 200, []string{"color-scheme"}},
		{"/nothing", 404, nil},
	} {
		status, body, header := get(t, srv.URL+c.path)
		if status != c.status {
			t.Errorf("%s: status %d, want %d\n%s", c.path, status, c.status, body)
		}
		for _, part := range c.say {
			if !strings.Contains(body, part) {
				t.Errorf("%s does not say %q:\n%s", c.path, part, body)
			}
		}
		raw := strings.Contains(c.path, "/raw/")
		if !raw && (strings.Contains(body, "<script>") || strings.Contains(body, "<img") || strings.Contains(body, "<b>ann")) {
			t.Errorf("%s passes markup on:\n%s", c.path, body)
		}
		if raw && !strings.HasPrefix(header.Get("Content-Type"), "text/plain") {
			t.Errorf("%s is served as %s", c.path, header.Get("Content-Type"))
		}
		if !strings.Contains(header.Get("Content-Security-Policy"), "default-src 'none'") || header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s lacks the headers that keep a page from running anything", c.path)
		}
	}
}

func TestPagesAreReadOnly(t *testing.T) {
	srv, run := serve(t)
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodDelete} {
		req, _ := http.NewRequest(method, srv.URL+"/run/"+run.ID, nil)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		resp.Body.Close()
		if resp.StatusCode != http.StatusMethodNotAllowed {
			t.Errorf("%s: %s", method, resp.Status)
		}
	}
}

func TestLinksLeadToPages(t *testing.T) {
	srv, run := serve(t)
	for _, page := range []string{"/", "/run/" + run.ID, "/mirrors"} {
		_, body, _ := get(t, srv.URL+page)
		for _, part := range strings.Split(body, `href="`)[1:] {
			href, _, _ := strings.Cut(part, `"`)
			href = html.UnescapeString(href)
			if status, _, _ := get(t, srv.URL+href); status != 200 {
				t.Errorf("%s links to %s, which answers %d", page, href, status)
			}
		}
	}
}

func TestServeStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	var at string
	err := Server{Pages: http.NotFoundHandler()}.Serve(ctx, "127.0.0.1:0", func(addr net.Addr) { at = addr.String(); cancel() })
	if err != nil || at == "" {
		t.Errorf("Serve at %q: %v", at, err)
	}
	if err := (Server{Pages: http.NotFoundHandler()}).Serve(t.Context(), "127.0.0.1:99999", nil); err == nil || !strings.Contains(err.Error(), "--listen") {
		t.Errorf("a bad address: %v", err)
	}
}

func TestReadable(t *testing.T) {
	for in, want := range map[string]string{
		"\x1b[1;32mok\x1b[0m":        "ok",
		"\x1b]0;title\x07text":       "text",
		"10%\r50%\r100%":             "100%",
		"crlf\r":                     "crlf",
		"\xff":                       "�",
		"\x1b]8;;http://x\x1b\\link": "link",
		"plain [0m is left as it is": "plain [0m is left as it is",
		"a\tb":                       "a\tb",
		"a\u202eb":                   "a\ufffdb",
		"a\x1bPq\x07":                "aq\ufffd",
	} {
		if got := readable([]byte(in)); got != want {
			t.Errorf("readable(%q) = %q, want %q", in, got, want)
		}
	}
}

// record writes what holds no secret into a log.
func record(to masked.Sink, text string) {
	w := secret.NewRedactor().Into(to)
	io.WriteString(w, text)
	w.Close()
}
