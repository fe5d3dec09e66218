package mirror

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/internal/network"
)

// authority is a private one, which no system trusts.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // its certificate
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t}
	a.cert, a.key, a.file = a.issue("quire test authority", nil)
	return a
}

// issue makes a certificate, of the authority or its own, and returns the PEM file with it
// and its key.
func (a *authority) issue(name string, names []string) (*x509.Certificate, *ecdsa.PrivateKey, string) {
	t := a.t
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	serial, err := rand.Int(rand.Reader, big.NewInt(1<<62))
	if err != nil {
		t.Fatal(err)
	}
	draft := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		DNSNames: names, KeyUsage: x509.KeyUsageDigitalSignature, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	if slices.Contains(names, "forge.test") {
		draft.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	}
	by, with := draft, key
	if a.cert == nil {
		draft.IsCA, draft.KeyUsage, draft.ExtKeyUsage = true, x509.KeyUsageCertSign, nil
	} else {
		by, with = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, draft, by, &key.PublicKey, with)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	if a.cert != nil {
		pk, err := x509.MarshalPKCS8PrivateKey(key)
		if err != nil {
			t.Fatal(err)
		}
		text = append(text, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pk})...)
	}
	file := filepath.Join(t.TempDir(), "cert.pem")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return cert, key, file
}

// serve has a handler answer with a certificate of the authority, for forge.test and
// 127.0.0.1; with wanted, only who shows one of the authority's.
func (a *authority) serve(h http.Handler, wanted bool) *httptest.Server {
	a.t.Helper()
	_, _, file := a.issue("forge.test", []string{"forge.test"})
	pair, err := tls.LoadX509KeyPair(file, file)
	if err != nil {
		a.t.Fatal(err)
	}
	s := httptest.NewUnstartedServer(h)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{pair}}
	if wanted {
		s.TLS.ClientAuth, s.TLS.ClientCAs = tls.RequireAndVerifyClientCert, x509.NewCertPool()
		s.TLS.ClientCAs.AddCert(a.cert)
	}
	s.Config.ErrorLog = log.New(io.Discard, "", 0) // a client that gives up is not told
	s.StartTLS()
	a.t.Cleanup(s.Close)
	a.t.Cleanup(s.CloseClientConnections)
	return s
}

// tunnel is a proxy that knows CONNECT, and leads every name to one address.
type tunnel struct {
	*httptest.Server
	to     string
	refuse int // the status in place of a tunnel

	mu    sync.Mutex
	asked []string
}

func newTunnel(t *testing.T, to string) *tunnel {
	p := &tunnel{to: to}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	t.Cleanup(p.CloseClientConnections)
	return p
}

func (p *tunnel) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	p.mu.Unlock()
	if p.refuse != 0 || r.Method != http.MethodConnect {
		w.WriteHeader(max(p.refuse, http.StatusForbidden))
		return
	}
	there, err := net.Dial("tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer there.Close()
	here, buffered, err := w.(http.Hijacker).Hijack()
	if err != nil {
		return
	}
	defer here.Close()
	io.WriteString(here, "HTTP/1.1 200 Connection established\r\n\r\n")
	go func() {
		io.Copy(there, buffered)
		there.(*net.TCPConn).CloseWrite()
	}()
	io.Copy(here, there)
}

func (p *tunnel) tunnels() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.asked)
}

// A server with a certificate of a private authority is trusted where ca_file says so,
// by whichever library git speaks TLS, and not otherwise.
func TestAPrivateAuthority(t *testing.T) {
	w := newWorld(t)
	a := newAuthority(t)
	server := a.serve(w.forge, false)
	one := w.commit("refs/heads/main", "one")
	w.target.URL = server.URL + "/me/repo.git"
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
	if r.Class != ClassTLS || r.Status != Refused || !strings.Contains(r.Advice, "ca_file") {
		t.Errorf("without: %+v", r)
	}
	w.engine.route.CAFile = a.file
	w.push(Want{"refs/heads/main", one})
	w.wantThere("refs/heads/main", one)

	w.engine.route.CAFile = w.src + "/HEAD"
	if r := only(t, w.deliver(w.request(Want{"refs/heads/main", w.commit("refs/heads/main", "two", one)}))); r.Class != ClassBadTarget || !strings.Contains(r.Detail.String(), "holds no certificate") {
		t.Errorf("a file without a certificate: %+v", r)
	}
}

func TestAClientCertificate(t *testing.T) {
	w := newWorld(t)
	a := newAuthority(t)
	server := a.serve(w.forge, true)
	one := w.commit("refs/heads/main", "one")
	w.target.URL, w.engine.route = server.URL+"/me/repo.git", network.Route{CAFile: a.file}
	if r := only(t, w.deliver(w.request(Want{"refs/heads/main", one}))); r.Status.Good() {
		t.Errorf("without: %+v", r)
	}
	_, _, w.engine.route.ClientCert = a.issue("quire", nil)
	w.push(Want{"refs/heads/main", one})
	w.wantThere("refs/heads/main", one)
}

// The forge's name is known to nobody but the proxy: what arrives went through it.
func TestThroughAProxy(t *testing.T) {
	for _, name := range []string{"http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://127.0.0.1:1") // what is configured wins
	}
	t.Setenv("no_proxy", "forge.test")
	t.Setenv("NO_PROXY", "forge.test")
	w := newWorld(t)
	a := newAuthority(t)
	server := a.serve(w.forge, false)
	proxy := newTunnel(t, server.Listener.Addr().String())
	one := w.commit("refs/heads/main", "one")
	w.target.URL = "https://forge.test/me/repo.git"
	w.engine.route = network.Route{CAFile: a.file, Proxy: proxy.URL}
	w.push(Want{"refs/heads/main", one})
	w.wantThere("refs/heads/main", one)
	if got := proxy.tunnels(); len(got) == 0 || slices.ContainsFunc(got, func(s string) bool { return s != "CONNECT forge.test:443" }) {
		t.Errorf("the proxy was asked %q", got)
	}

	proxy.refuse = http.StatusProxyAuthRequired
	two := w.commit("refs/heads/main", "two", one)
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", two})))
	if r.Class != ClassProxy || r.Status != Refused || !strings.Contains(r.Advice, "no_proxy") {
		t.Errorf("a proxy that wants a login: %+v", r)
	}
	before := len(proxy.tunnels())
	w.target.URL, w.engine.route.Proxy = server.URL+"/me/repo.git", network.None
	w.push(Want{"refs/heads/main", two})
	if got := proxy.tunnels(); len(got) != before {
		t.Errorf("without the proxy: %q", got[before:])
	}
}

// The forge's API and Git LFS go the same way as git.
func TestAPIAndLFSTakeTheRouteOfThePushes(t *testing.T) {
	a := newAuthority(t)
	var mu sync.Mutex
	var shown []string
	server := a.serve(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		shown = append(shown, r.TLS.PeerCertificates[0].Subject.CommonName+" "+r.URL.Path)
		mu.Unlock()
		agreeable(w, r)
	}), true)
	proxy := newTunnel(t, server.Listener.Addr().String())
	_, _, cert := a.issue("quire", nil)
	to, err := parseRemote("https://forge.test/me/repo.git")
	if err != nil {
		t.Fatal(err)
	}
	way := passage{route: network.Route{CAFile: a.file, ClientCert: cert, Proxy: proxy.URL}}
	f, err := forgeOf(Target{URL: to.url, Forge: "gitea"}, to, way, token, scrubToken)
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := f.repository(context5(t)); err != nil {
		t.Error(err)
	}
	sess := &session{to: to, way: way}
	l, err := openLFSServer(context5(t), sess, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer l.close()
	if _, err := l.call(context5(t), http.MethodGet, l.base.JoinPath("objects/batch"), nil, nil, strings.NewReader(""), 0); err != nil {
		t.Error(err)
	}
	if want := []string{"quire /api/v1/repos/me/repo", "quire /me/repo.git/info/lfs/objects/batch"}; !slices.Equal(shown, want) {
		t.Errorf("shown %q, want %q", shown, want)
	}
	// Another host that an answer names gets no certificate of ours.
	other := &url.URL{Scheme: "https", Host: "storage.test", Path: "/object"}
	if _, err := l.call(context.Background(), http.MethodPut, other, nil, nil, strings.NewReader(""), 0); err == nil || len(shown) != 2 {
		t.Errorf("%v; shown %q", err, shown)
	}
	if got := proxy.tunnels(); !slices.Contains(got, "CONNECT forge.test:443") {
		t.Errorf("the proxy was asked %q", got)
	}
}

// A pipeline's target in a sandbox is reached as [network] says, without the
// operator's certificate.
func TestAPipelineShowsNoCertificateOfTheOperator(t *testing.T) {
	route := network.Route{CAFile: "/ca.pem", ClientCert: "/cert.pem", ClientKey: "/key.pem", Proxy: "http://proxy:3128"}
	w := newWorld(t, Network(route))
	own := Target{Route: network.Route{Proxy: "http://its-own:3128"}}
	if got := w.engine.along(passage{}, own).route; got.Proxy != own.Route.Proxy || got.CAFile != "" {
		t.Errorf("an order: %+v", got)
	}
	if got := w.engine.along(passage{}, Target{Asked: true}).route; got.ClientCert != route.ClientCert {
		t.Errorf("on the host: %+v", got)
	}
	if got := w.engine.along(passage{walled: true}, Target{Asked: true}).route; got.ClientCert != "" || got.ClientKey != "" || got.CAFile != route.CAFile || got.Proxy != route.Proxy {
		t.Errorf("in a sandbox: %+v", got)
	}
}
