package mirror

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"quire/internal/secret"
	"quire/mirror/forgetest"
)

func marshal(k ssh.PublicKey) string { return base64.StdEncoding.EncodeToString(k.Marshal()) }

// forms of the token that must be nowhere.
func tokenForms() [][]byte {
	return [][]byte{
		[]byte(token), []byte(base64.StdEncoding.EncodeToString([]byte("x-access-token:" + token))),
		[]byte(base64.StdEncoding.EncodeToString([]byte(token))),
	}
}

func holdsToken(b []byte) bool {
	for _, f := range tokenForms() {
		if bytes.Contains(b, f[:len(f)-2]) {
			return true
		}
	}
	return false
}

// grep lists the files below dir that hold text.
func grep(t testing.TB, dir, text string) (found []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(text)) {
			found = append(found, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// While a push is under way, and stands still in each of its requests, no
// process on this machine has the token in its argv; afterwards it is in no
// file of the state directory, no report, and no file left behind.
func TestTokenIsNowhere(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	var mu sync.Mutex
	looks := 0
	w.forge.Inject(&forgetest.Fault{Do: func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		mu.Lock()
		defer mu.Unlock()
		cmdlines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, p := range cmdlines {
			line, err := os.ReadFile(p)
			if err == nil && bytes.Contains(line, []byte("push")) && bytes.Contains(line, []byte(w.target.URL)) {
				looks++
			}
			if holdsToken(line) {
				t.Errorf("argv: %q", line)
			}
		}
		next.ServeHTTP(rw, r)
	}})
	forgetest.Hook(t, w.dst, "pre-receive", "env; cat >&2; exit 0")
	forgetest.Hook(t, w.src, "pre-push", "env > "+filepath.Join(w.state, "pre-push-ran"))
	rep := w.push(Want{"refs/heads/main", one})
	if looks == 0 {
		t.Error("the push was never seen in /proc: the test looks at the wrong place")
	}
	bad := w.request(Want{"refs/heads/main", w.commit("refs/heads/main", "two", one)})
	forgetest.Hook(t, w.dst, "pre-receive", "echo you sent "+token+" to us >&2; exit 1")
	rep2 := w.deliver(bad)
	if rep2.OK() || !strings.Contains(rep2.String(), "you sent {{ forge_token }} to us") {
		t.Errorf("%s", rep2)
	}
	for _, text := range []string{rep.String(), rep2.String(), rep2.Err().Error()} {
		if holdsToken([]byte(text)) {
			t.Errorf("report: %s", text)
		}
	}
	if _, err := os.Stat(filepath.Join(w.state, "pre-push-ran")); err == nil {
		t.Error("a pre-push hook ran")
	}
	if err := w.store.Close(); err != nil {
		t.Fatal(err)
	}
	for _, form := range tokenForms() {
		for _, dir := range []string{w.state, w.src} {
			if found := grep(t, dir, string(form[:len(form)-2])); len(found) > 0 {
				t.Errorf("the token is in %v", found)
			}
		}
	}
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "quire-mirror-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

// answering is a forge that takes a push and says of main what a remote likes to.
func answering(reason, progress string) func(http.ResponseWriter, *http.Request, http.Handler) {
	packet := func(s string) string { return fmt.Sprintf("%04x%s", len(s)+4, s) }
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		io.Copy(io.Discard, r.Body)
		w.Header().Set("Content-Type", "application/x-git-receive-pack-result")
		report := packet("unpack ok\n") + packet("ng refs/heads/main "+reason+"\n") + "0000"
		io.WriteString(w, packet("\x02"+progress+"\n")+packet("\x01"+report)+"0000")
	}
}

// A remote may put what it was sent into any of its words: the reason beside a
// ref, what it prints, a header; as it is, or encoded.
func TestTokenInARemotesWords(t *testing.T) {
	const value = "5ecret/Token+that=nobody&may:see"
	forms := map[string]string{
		"plain":   value,
		"base64":  base64.StdEncoding.EncodeToString([]byte(value)),
		"basic":   base64.StdEncoding.EncodeToString([]byte("x-access-token:" + value)),
		"hex":     hex.EncodeToString([]byte(value)),
		"percent": url.QueryEscape(value),
		"colours": value[:9] + "\x1b[1m" + value[9:],
	}
	for name, form := range forms {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.forge.Require(nil)
			w.forge.Inject(&forgetest.Fault{On: "POST", Do: answering("denied "+form, "you sent "+form)})
			req := w.request(Want{"refs/heads/main", w.commit("refs/heads/main", "one")})
			req.Credential = secret.NewValue(value)
			rep := w.deliver(req)
			if r := only(t, rep); r.Status != Refused || !strings.Contains(rep.String(), "{{ forge_token }}") {
				t.Errorf("%s", rep)
			}
			row := w.row("refs/heads/main")
			if err := w.store.Close(); err != nil {
				t.Fatal(err)
			}
			for what, form := range forms {
				if strings.Contains(rep.String()+fmt.Sprint(row, rep.Err()), form) {
					t.Errorf("%s stands in the report:\n%s\n%+v", what, rep, row)
				}
				if found := grep(t, w.state, form); len(found) > 0 {
					t.Errorf("%s stands in %v", what, found)
				}
			}
		})
	}
}

// A secret in the URL reaches neither a command line nor the ledger's messages.
func TestSecretInTheURL(t *testing.T) {
	w := newWorld(t)
	const value = "a-user-that-is-the-secret"
	w.target.URL = strings.Replace(w.target.URL, "://", "://"+value+"@", 1)
	req := w.request(Want{"refs/heads/main", w.commit("refs/heads/main", "one")})
	req.Credential = secret.NewValue(value)
	rep := w.deliver(req)
	if r := only(t, rep); r.Status != Refused || r.Class != ClassBadTarget || strings.Contains(rep.String(), value) || strings.Contains(rep.URL, value) {
		t.Errorf("%s at %s", rep, rep.URL)
	}
	if n := len(w.forge.Requests()); n != 0 {
		t.Errorf("%d requests were made", n)
	}
	// Whoever brings no secret can mean nothing but a token.
	req.Target.Secret, req.Credential, req.Seq = "", secret.Value{}, w.next()
	rep = w.deliver(req)
	if r := only(t, rep); r.Status != Refused || r.Class != ClassBadTarget || len(w.forge.Requests()) != 0 {
		t.Errorf("%s", rep)
	}
}

// The environment of a file remote's hooks, which run as git's children on this
// machine, has no credential, even if the mirror names one.
func TestFileRemotesHooksSeeNoCredential(t *testing.T) {
	w := newWorld(t)
	dst := filepath.Join(t.TempDir(), "dst.git")
	forgetest.InitBare(t, dst)
	seen := filepath.Join(t.TempDir(), "env")
	forgetest.Hook(t, dst, "post-receive", "env > "+seen)
	for _, url := range []string{dst, "file://" + dst} {
		w.target.URL, w.dst = url, dst
		one := w.commit("refs/heads/main", url)
		git(t, dst, "update-ref", "-d", "refs/heads/main")
		w.push(Want{"refs/heads/main", one})
		w.wantThere("refs/heads/main", one)
		env, err := os.ReadFile(seen)
		if err != nil {
			t.Fatal(err)
		}
		if holdsToken(env) || bytes.Contains(env, []byte("GIT_CONFIG_COUNT")) {
			t.Errorf("the hook's environment:\n%s", env)
		}
		os.Remove(seen)
	}
}

// The repository's own configuration cannot send the push, or the credential,
// elsewhere.
func TestRepositoryConfigurationHasNoSay(t *testing.T) {
	w := newWorld(t)
	evil := forgetest.New(t)
	evil.Repo("me/repo.git")
	git(t, w.src, "config", "url."+evil.URL+"/.insteadOf", w.forge.URL+"/")
	git(t, w.src, "config", "url."+evil.URL+"/.pushInsteadOf", w.forge.URL+"/")
	git(t, w.src, "config", "http.proxy", evil.URL)
	git(t, w.src, "config", "credential.helper", "!touch "+filepath.Join(w.state, "helper-ran")+"; echo")
	git(t, w.src, "config", "core.hooksPath", filepath.Join(w.state, "hooks"))
	git(t, w.src, "config", "remote.pushDefault", "evil")
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	w.wantThere("refs/heads/main", one)
	if got := evil.Requests(); len(got) != 0 {
		t.Errorf("the other host was asked: %+v", got)
	}
	if _, err := os.Stat(filepath.Join(w.state, "helper-ran")); err == nil {
		t.Error("a credential helper ran")
	}
}

func TestCredentialShapes(t *testing.T) {
	_, pem := forgetest.NewKey(t)
	for _, c := range []struct {
		name, value, url, forge string
		header                  string // plain
		key                     bool
		bad                     string
	}{
		{name: "a token", value: "tok\n", url: "https://github.com/a/b", header: "Authorization: Basic x-access-token:tok"},
		{name: "a token for GitLab", value: "tok", url: "https://gitlab.com/a/b", forge: "gitlab", header: "Authorization: Basic oauth2:tok"},
		{name: "a token for Bitbucket", value: "tok", url: "https://bitbucket.org/a/b", header: "Authorization: Basic x-token-auth:tok"},
		{name: "a token and a user in the url", value: "tok", url: "https://ada@git.example.org/a/b", header: "Authorization: Basic ada:tok"},
		{name: "a header", value: "Authorization: Bearer abc", url: "https://h/a", header: "Authorization: Bearer abc"},
		{name: "another header", value: "PRIVATE-TOKEN: abc", url: "https://h/a", header: "PRIVATE-TOKEN: abc"},
		{name: "a token with a colon", value: "user:pass", url: "https://h/a", header: "Authorization: Basic x-access-token:user:pass"},
		{name: "a key for ssh", value: pem, url: "git@github.com:a/b.git", key: true},
		{name: "a key with CR LF", value: strings.ReplaceAll(pem, "\n", "\r\n"), url: "ssh://git@h/a", key: true},
		{name: "a token for ssh", value: "tok", url: "ssh://git@h/a", bad: "ssh takes nothing else"},
		{name: "blank", value: " \n", url: "https://h/a", bad: "blank"},
		{name: "a token and CR LF", value: "tok\r\n", url: "https://h/a", header: "Authorization: Basic x-access-token:tok"},
		{name: "blanks round a token", value: " tok", url: "https://h/a", bad: "blanks or empty lines before or after"},
		{name: "a blank behind a token", value: "tok \n", url: "https://h/a", bad: "blanks or empty lines before or after"},
		{name: "a control character", value: "to\x00k", url: "https://h/a", bad: "control characters"},
		{name: "none", value: "", url: "https://h/a"},
	} {
		t.Run(c.name, func(t *testing.T) {
			to, err := parseRemote(c.url)
			if err != nil {
				t.Fatal(err)
			}
			got, err := parseCredential(secret.NewValue(c.value).Reveal(), "s", to, c.forge)
			if c.bad != "" {
				if err == nil || !strings.Contains(err.Error(), c.bad) || c.value != "" && strings.Contains(err.Error(), "tok ") {
					t.Errorf("error %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			header := got.header
			if b, ok := strings.CutPrefix(header, "Authorization: Basic "); ok {
				plain, err := base64.StdEncoding.DecodeString(b)
				if err != nil {
					t.Fatal(err)
				}
				header = "Authorization: Basic " + string(plain)
			}
			if header != c.header || (got.key != "") != c.key {
				t.Errorf("header %q, key %v", header, got.key != "")
			}
		})
	}
}

func TestParseRemote(t *testing.T) {
	for _, c := range []struct{ url, kind, host, display, bad string }{
		{url: "https://h/a b", bad: "write %20"},
		{url: "https://github.com/me/repo.git", kind: "http", host: "github.com", display: "github.com/me/repo"},
		{url: "http://127.0.0.1:8080/r", kind: "http", host: "127.0.0.1", display: "127.0.0.1/r"},
		{url: "git@github.com:me/repo.git", kind: "ssh", host: "github.com", display: "github.com/me/repo"},
		{url: "ssh://git@h:2222/srv/r.git", kind: "ssh", host: "h", display: "h/srv/r"},
		{url: "host:r", kind: "ssh", host: "host", display: "host/r"},
		{url: "/srv/git/r.git", kind: "file", display: "/srv/git/r.git"},
		{url: "file:///srv/r.git", kind: "file", display: "file:///srv/r.git"},
		{url: "ext::sh -c x", bad: "want https"},
		{url: "fd::17", bad: "want https"},
		{url: "git://h/r", bad: "no way to push"},
		{url: "relative/path", bad: "want https"},
		{url: "-oProxyCommand=x:r", bad: "dash"},
		{url: "ssh://-oProxyCommand=x/r", bad: "names no host"},
		{url: "https://h", bad: "names no repository"},
		{url: "https:///x", bad: "names no host"},
		{url: "https://h/r?token=x", bad: "no ? or #"},
		{url: "https://a:b@h/r", bad: "password"},
		{url: "https://h/\nr", bad: "control"},
		{url: "https://h/\x00r", bad: "control"},
		{url: "h:-r", bad: "dash"},
		{url: "-u@h:r", bad: "dash"},
		{url: "ssh://%2DoProxyCommand=x@h/r", bad: "dash"},
		{url: "https://a@b@h/r", bad: "where its host begins"},
		{url: "https://" + token + "@h/r", bad: "looks like a token"},
		{url: "https://glpat-0123@h/r", bad: "looks like a token"},
		{url: "https://3f2a91c8d7e6b5a40918273645546372819fa0be@h/r", bad: "looks like a token"},
		{url: "https://alice-at-123456789012@h/r", kind: "http", host: "h", display: "h/r"},
		{url: "https://departmentofcontracts42@h/r", kind: "http", host: "h", display: "h/r"},
		{url: "https://h/" + strings.Repeat("r", maxURL), bad: "longer"},
		{url: "", bad: "empty"},
	} {
		r, err := parseRemote(c.url)
		if c.bad != "" {
			if err == nil || !strings.Contains(err.Error(), c.bad) {
				t.Errorf("%q: error %v, want %q", c.url, err, c.bad)
			}
			continue
		}
		if err != nil || r.kind != c.kind || r.host != c.host || r.display() != c.display {
			t.Errorf("%q: %+v, %v", c.url, r, err)
		}
	}
}

func FuzzParseRemote(f *testing.F) {
	f.Add("https://u:p@h/r")
	f.Add("git@h:r")
	f.Add("ext::x")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := parseRemote(s)
		if err == nil && (strings.HasPrefix(r.url, "-") || strings.Contains(r.url, "\n") || strings.HasPrefix(r.host, "-") || strings.Contains(s, "::") && r.kind == "") {
			t.Errorf("%q accepted as %+v", s, r)
		}
		withoutPassword(s)
	})
}
