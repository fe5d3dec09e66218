package network

import (
	"errors"
	"io/fs"
	"net/url"
	"path/filepath"
	"testing"

	"quire/internal/config"
)

func TestNoProxy(t *testing.T) {
	r := Route{Proxy: "http://proxy:3128", NoProxy: "intern.example.org, .corp.test,10.0.0.0/8,one.test:8443,[2001:db8::1]:443,fd00::/8,192.0.2.7"}
	for server, direct := range map[string]bool{
		"https://github.com/a": false, "https://intern.example.org/a": true, "https://git.intern.example.org/a": true, "https://INTERN.example.org./a": true,
		"https://xintern.example.org/a": false, "https://git.corp.test/a": true, "https://10.1.2.3/a": true, "https://11.1.2.3/a": false,
		"https://one.test/a": false, "https://one.test:8443/a": true, "https://[2001:db8::1]/a": true, "https://[2001:db8::1]:8443/a": false,
		"https://[fd00::7]/a": true, "http://192.0.2.7/a": true, "http://192.0.2.70/a": false, "https://x.192.0.2.7.test/a": false,
		"http://localhost:3000/a": true, "http://127.0.0.9/a": true, "http://[::1]:3000/a": true,
	} {
		u, err := url.Parse(server)
		if err != nil {
			t.Fatal(err)
		}
		via, err := r.ProxyFor(u)
		if err != nil || (via == nil) != direct || via != nil && via.Host != "proxy:3128" {
			t.Errorf("%s: %v, %v; direct should be %v", server, via, err, direct)
		}
	}
	u, _ := url.Parse("https://github.com/a")
	for _, r := range []Route{{Proxy: None}, {Proxy: "http://proxy:3128", NoProxy: "*"}} {
		if via, err := r.ProxyFor(u); via != nil || err != nil {
			t.Errorf("%+v: %v, %v", r, via, err)
		}
	}
}

// What a mirror does not say is as in [network]; a certificate and its key go together.
func TestAMirrorSaysItsOwn(t *testing.T) {
	c, err := config.Parse("/etc/quire/config.toml", `
[network]
ca_file = "ca.pem"
client_cert = "c.pem"
client_key = "k.pem"
proxy = "http://proxy:3128"
no_proxy = ["a", "b"]
[[mirror]]
name = "as it is"
repos = ["*"]
url = "https://h/{repo}"
[[mirror]]
name = "its own"
repos = ["*"]
url = "https://h/{repo}"
ca_file = "/own.pem"
client_cert = "/both.pem"
proxy = "none"
no_proxy = []
`)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := OfMirror(c, c.Mirrors[0]), (Route{"/etc/quire/ca.pem", "/etc/quire/c.pem", "/etc/quire/k.pem", "http://proxy:3128", "a,b"}); got != want || Of(c) != want {
		t.Errorf("%+v and %+v", got, Of(c))
	}
	if got, want := OfMirror(c, c.Mirrors[1]), (Route{"/own.pem", "/both.pem", "", None, ""}); got != want {
		t.Errorf("%+v", got)
	}
}

// git's variables for authorities hold as before where nothing is configured.
func TestGitAsTheEnvironmentSays(t *testing.T) {
	for _, name := range []string{"GIT_SSL_CAINFO", "GIT_SSL_CAPATH", "SSL_CERT_FILE"} {
		t.Setenv(name, "")
	}
	if pairs, err := (Route{}).Git("https://h/r", t.TempDir()); err != nil || len(pairs) != 0 {
		t.Errorf("%q, %v", pairs, err)
	}
	t.Setenv("SSL_CERT_FILE", "/some.pem") // which a git with GnuTLS does not read
	pairs, err := (Route{}).Git("https://h/r", t.TempDir())
	if err != nil || len(pairs) != 2 || pairs[0] != [2]string{"http.sslCAInfo", "/some.pem"} {
		t.Errorf("%q, %v", pairs, err)
	}
	if pairs, err := (Route{CAFile: filepath.Join(t.TempDir(), "none.pem")}).Git("https://h/r", t.TempDir()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%q, %v", pairs, err)
	}
	if pairs, err := (Route{ClientCert: "/nonexistent/cert.pem"}).Git("https://h/r", t.TempDir()); err == nil {
		t.Errorf("%q", pairs)
	}
}
