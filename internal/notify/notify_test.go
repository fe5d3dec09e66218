package notify

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"mime"
	"mime/quotedprintable"
	"net/http"
	"net/http/httptest"
	"net/mail"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

func report(state, before event.RunState) Report {
	return Report{
		Run: event.Run{
			ID: event.NewID(time.UnixMilli(1)), Number: 7, GitDir: "/srv/git/größe.git", State: state, Reason: masked.Const("lint: exit 1"), Pusher: "ann",
			Update: event.Update{Ref: "refs/heads/main", Old: strings.Repeat("0", 40), New: strings.Repeat("ab", 20)},
		},
		Jobs:   []event.Job{{ID: "lint", State: event.JobFailed, Reason: masked.Const("exit 1"), Duration: 1500 * time.Millisecond}},
		Before: before,
	}
}

func TestWants(t *testing.T) {
	all := []string{OnFailed, OnFixed}
	for _, c := range []struct {
		name string
		rule Rule
		r    Report
		want bool
	}{
		{"failure", Rule{On: all}, report(event.RunFailed, ""), true},
		{"orphan counts as failure", Rule{On: all}, report(event.RunOrphaned, ""), true},
		{"first success", Rule{On: all}, report(event.RunSucceeded, ""), false},
		{"success after success", Rule{On: all}, report(event.RunSucceeded, event.RunSucceeded), false},
		{"fixed", Rule{On: all}, report(event.RunSucceeded, event.RunFailed), true},
		{"every success", Rule{On: []string{OnSucceeded}}, report(event.RunSucceeded, ""), true},
		{"canceled on purpose", Rule{On: all}, report(event.RunCanceled, ""), false},
		{"other repository", Rule{On: all, Repos: []string{"other"}}, report(event.RunFailed, ""), false},
		{"other ref", Rule{On: all, Refs: []string{"release/*"}}, report(event.RunFailed, ""), false},
		{"malformed pattern", Rule{On: all, Refs: []string{"[", "main"}}, report(event.RunFailed, ""), true},
		{"only a malformed pattern", Rule{On: all, Refs: []string{"["}}, report(event.RunFailed, ""), false},
	} {
		if got := c.rule.wants(c.r); got != c.want {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
	}
}

func TestWebhookIsSignedAndRetried(t *testing.T) {
	tries, key := 0, []byte("k3y")
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries++
		if tries < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		body, _ := io.ReadAll(r.Body)
		mac := hmac.New(sha256.New, key)
		mac.Write(body)
		if got, want := r.Header.Get("X-Quire-Signature-256"), "sha256="+hex.EncodeToString(mac.Sum(nil)); got != want {
			t.Errorf("signature %q, want %q", got, want)
		}
		var p payload
		if err := json.Unmarshal(body, &p); err != nil || p.Run.Number != 7 || p.Jobs[0].ID != "lint" || r.Header.Get("X-Quire-Delivery") != p.Run.ID {
			t.Errorf("body %s, %v", body, err)
		}
	}))
	defer srv.Close()
	s := Sender{Poster: Poster{Pauses: []time.Duration{0, 0}}}
	rules := []Rule{{On: []string{OnFailed}, Webhook: srv.URL + "/hook", Key: key}}
	if err := s.Deliver(context.Background(), rules, report(event.RunFailed, "")); err != nil || tries != 3 {
		t.Errorf("%v after %d tries", err, tries)
	}
}

func TestWebhookRefusalIsFinalAndKeepsItsPathToItself(t *testing.T) {
	tries := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tries++
		http.Redirect(w, r, "http://127.0.0.1:1/elsewhere", http.StatusFound)
	}))
	s := Sender{Poster: Poster{Pauses: []time.Duration{0}}}
	rules := []Rule{{On: []string{OnFailed}, Webhook: srv.URL + "/T0KENPATH"}}
	err := s.Deliver(context.Background(), rules, report(event.RunFailed, ""))
	if err == nil || tries != 1 || !strings.Contains(err.Error(), "302") {
		t.Errorf("%v after %d tries; a redirect is not followed: it would send the report to a host nobody named", err, tries)
	}
	srv.Close()
	err = s.Deliver(context.Background(), rules, report(event.RunFailed, ""))
	if err == nil || strings.Contains(err.Error(), "T0KENPATH") {
		t.Errorf("%v; the URL's path may be a token and must not be printed", err)
	}
}

func TestMailIsWellFormed(t *testing.T) {
	dir := t.TempDir()
	sendmail := filepath.Join(dir, "sendmail")
	script := "#!/bin/sh\nprintf '%s\\n' \"$@\" >" + dir + "/args\ncat >" + dir + "/message\n"
	if err := os.WriteFile(sendmail, []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	rules := []Rule{{On: []string{OnFailed}, Mail: []string{"ann@example.org"}}}
	if err := (Sender{Sendmail: sendmail}).Deliver(context.Background(), rules, report(event.RunFailed, "")); err != nil {
		t.Fatal(err)
	}
	args, _ := os.ReadFile(filepath.Join(dir, "args"))
	if string(args) != "-i\n--\nann@example.org\n" {
		t.Errorf("sendmail was called with %q", args)
	}
	f, err := os.Open(filepath.Join(dir, "message"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	m, err := mail.ReadMessage(f)
	if err != nil {
		t.Fatal(err)
	}
	subject, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
	if err != nil || subject != "[quire] größe main: failed (run 7, abababab)" {
		t.Errorf("subject %q, %v", subject, err)
	}
	body, _ := io.ReadAll(quotedprintable.NewReader(m.Body))
	for _, part := range []string{"lint: exit 1", "quire log 7", "/srv/git/größe.git"} {
		if !strings.Contains(string(body), part) {
			t.Errorf("the mail does not say %q:\n%s", part, body)
		}
	}
}

func TestMailAddressCannotBecomeAnOption(t *testing.T) {
	for _, a := range []string{"-oQ/tmp", "a@b\nBcc: c@d"} {
		rules := []Rule{{On: []string{OnFailed}, Mail: []string{a}}}
		if err := (Sender{Sendmail: "/bin/true"}).Deliver(context.Background(), rules, report(event.RunFailed, "")); err == nil {
			t.Errorf("%q was taken for an address", a)
		}
	}
}

func TestAMirrorsTroubleGoesToThoseWhoAskedForIt(t *testing.T) {
	var got []string
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		var p payload
		if err := json.Unmarshal(body, &p); err != nil || p.Trouble == nil || p.Run != nil {
			t.Errorf("body %s, %v", body, err)
			return
		}
		got = append(got, r.Header.Get("X-Quire-Event")+" "+r.URL.Path+" "+p.Trouble.Text)
	}))
	defer srv.Close()
	rules := []Rule{
		{On: []string{OnFailed}, Webhook: srv.URL + "/runs"},
		{On: []string{OnMirror}, Webhook: srv.URL + "/mirrors"},
		{On: []string{OnMirror}, Repos: []string{"other"}, Webhook: srv.URL + "/other"},
	}
	trouble := Trouble{GitDir: "/srv/git/a.git", Mirror: "github.com", Text: "main diverged"}
	if err := (Sender{}).Mirror(context.Background(), rules, trouble); err != nil {
		t.Fatal(err)
	}
	if len(got) != 1 || got[0] != "mirror /mirrors main diverged" {
		t.Errorf("delivered %q", got)
	}
}

// Whoever names a branch or a job writes no line of a mail, and nothing that a
// terminal obeys.
func TestAMailsBodyHasOthersTextInItsLines(t *testing.T) {
	r := report(event.RunFailed, "")
	r.Run.Ref, r.Run.Pusher = "refs/heads/a\nreason      none\u202e", "ann\x1b[2J"
	r.Run.Reason = masked.Const("bad\r\n\x1b]0;t\x07 \u202eend")
	text := r.text()
	if strings.ContainsAny(text, "\x1b\x07\r\u202e") || strings.Count(text, "\nreason ") != 1 {
		t.Errorf("%q", text)
	}
}

// A receiver with a certificate of a private authority is reached as [network] says.
func TestWebhookToAPrivateAuthority(t *testing.T) {
	got := make(chan string, 1)
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got <- r.Header.Get("X-Quire-Event") }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // of the handshake that is refused
	server.StartTLS()
	defer server.Close()
	rules := []Rule{{On: []string{OnMirror}, Webhook: server.URL}}
	s := Sender{Poster: Poster{Pauses: []time.Duration{}}}
	if err := s.Mirror(t.Context(), rules, Trouble{GitDir: "/srv/a.git"}); err == nil {
		t.Error("an authority that nobody named is trusted")
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	s.Poster.Route.CAFile = ca
	if err := s.Mirror(t.Context(), rules, Trouble{GitDir: "/srv/a.git"}); err != nil {
		t.Fatal(err)
	}
	if event := <-got; event != "mirror" {
		t.Errorf("event %q", event)
	}
}
