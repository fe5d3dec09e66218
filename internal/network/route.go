// Package network says how quire's own clients reach a server over HTTP: whom they
// trust beside the system's authorities, which certificate they show, and which proxy
// they go through. git, the Git LFS client, the forges' APIs and webhooks all ask
// here, so that one setting holds for each of them.
//
// It reads the environment of this process where nothing is set, and hands nothing to
// jobs.
package network

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"quire/internal/config"
)

// Route is how servers are reached. The zero Route is as the environment says.
type Route struct {
	CAFile     string // PEM; authorities that are trusted beside the others
	ClientCert string // PEM; shown to a server that asks for one
	ClientKey  string // PEM; "": in ClientCert
	Proxy      string // URL; None; "": the environment's
	NoProxy    string // hosts, by commas
}

// None as a proxy is none, whatever the environment says.
const None = "none"

// Of is the route of a configuration's [network].
func Of(c *config.Config) Route { return over(c, config.Network{}) }

// OfMirror is the route of a [[mirror]]: what it does not say is as in [network].
func OfMirror(c *config.Config, m config.Mirror) Route { return over(c, m.Network()) }

func over(c *config.Config, n config.Network) Route {
	if n.ClientCert == "" {
		n.ClientCert, n.ClientKey = c.Network.ClientCert, c.Network.ClientKey
	}
	if n.CAFile == "" {
		n.CAFile = c.Network.CAFile
	}
	if n.Proxy == "" {
		n.Proxy = c.Network.Proxy
	}
	if n.NoProxy == nil {
		n.NoProxy = c.Network.NoProxy
	}
	file := func(name string) string {
		if name == "" {
			return ""
		}
		return c.Resolve(name)
	}
	return Route{file(n.CAFile), file(n.ClientCert), file(n.ClientKey), n.Proxy, strings.Join(n.NoProxy, ",")}
}

// IsZero reports whether nothing is set, here or in git's own variables, that Go's
// usual client does not heed by itself.
func (r Route) IsZero() bool {
	return r.CAFile == "" && r.ClientCert == "" && !r.Proxied() && os.Getenv("GIT_SSL_CAINFO") == "" && os.Getenv("GIT_SSL_CAPATH") == ""
}

// Anonymous is the route without the client's certificate.
func (r Route) Anonymous() Route {
	r.ClientCert, r.ClientKey = "", ""
	return r
}

// Proxied reports whether the route says itself where proxies are used; else the
// environment does.
func (r Route) Proxied() bool { return r.Proxy != "" || r.NoProxy != "" }

// ProxyFor is the proxy for a server; nil: none.
func (r Route) ProxyFor(u *url.URL) (*url.URL, error) {
	switch {
	case r.Proxy == None || r.direct(u):
		return nil, nil
	case r.Proxy == "":
		return http.ProxyFromEnvironment(&http.Request{URL: u})
	}
	return url.Parse(r.Proxy)
}

// direct reports whether a server is reached without a proxy: one of this machine, as
// the environment's rules have it too (net/http.ProxyFromEnvironment), or one of NoProxy.
func (r Route) direct(u *url.URL) bool {
	host := strings.ToLower(strings.TrimSuffix(u.Hostname(), "."))
	address, err := netip.ParseAddr(host)
	if host == "localhost" || err == nil && address.Unmap().IsLoopback() {
		return true
	}
	for _, rule := range strings.Split(r.NoProxy, ",") {
		rule = strings.ToLower(strings.TrimSpace(rule))
		if h, port, err := net.SplitHostPort(rule); err == nil {
			if port != portOf(u) {
				continue
			}
			rule = h
		}
		rule = strings.Trim(rule, "[]")
		if rule == "*" || rule == host || rule == "" {
			if rule != "" {
				return true
			}
			continue
		}
		if block, bad := netip.ParsePrefix(rule); bad == nil {
			if err == nil && block.Contains(address.Unmap()) {
				return true
			}
			continue
		}
		if err == nil {
			continue // an address is below no name
		}
		if strings.HasSuffix(host, "."+strings.TrimPrefix(strings.TrimPrefix(rule, "*"), ".")) {
			return true
		}
	}
	return false
}

func portOf(u *url.URL) string {
	if p := u.Port(); p != "" {
		return p
	}
	if u.Scheme == "http" {
		return "80"
	}
	return "443"
}

// TLS is the client's side of TLS.
func (r Route) TLS() (*tls.Config, error) {
	c := &tls.Config{}
	var err error
	if c.RootCAs, err = r.roots(); err != nil {
		return nil, err
	}
	if r.ClientCert != "" {
		pair, err := tls.LoadX509KeyPair(r.ClientCert, r.key())
		if err != nil {
			return nil, fmt.Errorf("read the client certificate (client_cert, client_key): %w", err)
		}
		c.Certificates = []tls.Certificate{pair}
	}
	return c, nil
}

func (r Route) key() string {
	if r.ClientKey == "" {
		return r.ClientCert
	}
	return r.ClientKey
}

// roots are the system's authorities with CAFile's and those that git's variables name;
// SSL_CERT_FILE Go reads itself. nil: the system's alone.
func (r Route) roots() (*x509.CertPool, error) {
	var files []string
	for _, f := range []string{r.CAFile, os.Getenv("GIT_SSL_CAINFO")} {
		if f != "" {
			files = append(files, f)
		}
	}
	if dir := os.Getenv("GIT_SSL_CAPATH"); dir != "" {
		list, err := filepath.Glob(filepath.Join(dir, "*"))
		if err != nil {
			return nil, fmt.Errorf("read GIT_SSL_CAPATH: %w", err)
		}
		files = append(files, list...)
	}
	if len(files) == 0 {
		return nil, nil
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	for _, f := range files {
		pem, err := os.ReadFile(f)
		if err != nil {
			return nil, fmt.Errorf("read an authority's certificate: %w", err)
		}
		if !pool.AppendCertsFromPEM(pem) && f == r.CAFile {
			return nil, fmt.Errorf("ca_file %s holds no certificate in PEM", f)
		}
	}
	return pool, nil
}

// Transport makes the connections of the route.
func (r Route) Transport() (*http.Transport, error) {
	c, err := r.TLS()
	if err != nil {
		return nil, err
	}
	return &http.Transport{
		Proxy:       func(req *http.Request) (*url.URL, error) { return r.ProxyFor(req.URL) },
		DialContext: (&net.Dialer{Timeout: dialing}).DialContext, TLSClientConfig: c, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: dialing, IdleConnTimeout: time.Minute,
	}, nil
}

// dialing is how long a connection, and how long its handshake, may take.
const dialing = 30 * time.Second

// bundles are where systems keep the authorities they trust, in one file.
var bundles = []string{
	"/etc/ssl/certs/ca-certificates.crt",                // Debian, Arch, Gentoo
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", // Fedora, RHEL
	"/etc/ssl/ca-bundle.pem",                            // SUSE
	"/etc/ssl/cert.pem",                                 // Alpine, the BSDs
}

// Git is the configuration that has git do the same at a server, as pairs of key and value. What it has to
// write lies in dir, which is the caller's to remove. git takes one file of
// authorities in place of the system's, so with CAFile that is both of them together. It is
// told in its own words: a git with GnuTLS, as Debian has it, does not heed SSL_CERT_FILE.
func (r Route) Git(server, dir string) (pairs [][2]string, err error) {
	trusted, err := r.bundle(dir)
	if err != nil {
		return nil, err
	}
	if trusted != "" {
		pairs = append(pairs, [2]string{"http.sslCAInfo", trusted}, [2]string{"http.proxySSLCAInfo", trusted})
	}
	if r.ClientCert != "" {
		if _, err := r.TLS(); err != nil { // git would say less, or ask for a passphrase
			return nil, err
		}
		// Scoped, as a credential is.
		pairs = append(pairs, [2]string{"http." + server + ".sslCert", r.ClientCert}, [2]string{"http." + server + ".sslKey", r.key()})
	}
	if r.Proxied() {
		u, err := url.Parse(server)
		if err != nil {
			return nil, errors.New("the server's address is no URL")
		}
		via, err := r.ProxyFor(u)
		if err != nil {
			return nil, fmt.Errorf("proxy: %w", err)
		}
		text := "" // none (git-config(1), http.proxy)
		if via != nil {
			text = via.String()
		}
		pairs = append(pairs, [2]string{"http.proxy", text})
	}
	return pairs, nil
}

// bundle is the file of all authorities that git is to trust, "" if that is its own
// affair.
func (r Route) bundle(dir string) (path string, err error) {
	if _, err := r.roots(); err != nil {
		return "", err
	}
	base := os.Getenv("GIT_SSL_CAINFO")
	if r.CAFile == "" && base != "" {
		return "", nil // git reads that itself
	}
	if base == "" {
		base = os.Getenv("SSL_CERT_FILE")
	}
	if r.CAFile == "" {
		return base, nil
	}
	var all []byte
	for _, f := range append([]string{base}, bundles...) {
		if f == "" {
			continue
		}
		if pem, err := os.ReadFile(f); err == nil {
			all = append(pem, '\n')
			break
		}
	}
	own, err := os.ReadFile(r.CAFile)
	if err != nil {
		return "", fmt.Errorf("read an authority's certificate: %w", err)
	}
	path = filepath.Join(dir, "authorities.pem")
	if err := os.WriteFile(path, append(all, own...), 0o600); err != nil {
		return "", fmt.Errorf("write the authorities for git: %w", err)
	}
	return path, nil
}
