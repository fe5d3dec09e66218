package mirror

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// lfsClient makes the requests of one session to servers of Git LFS.
type lfsClient struct {
	sess    *session
	stall   time.Duration
	direct  *http.Transport
	proxied *http.Transport
}

// stallLimit is how long a server may take or send nothing, as for git's own
// transfers (http.lowSpeedTime).
const stallLimit = 2 * time.Minute

// errStalled ends a request in which nothing moves.
var errStalled = errors.New("nothing moved for too long")

func newLFSClient(s *session, stall time.Duration) (*lfsClient, error) {
	roots, err := extraRoots()
	if err != nil {
		return nil, &lfsFault{ClassLocal, err.Error()}
	}
	c := &lfsClient{sess: s, stall: stall}
	c.direct = &http.Transport{
		DialContext: c.dial, TLSClientConfig: &tls.Config{RootCAs: roots}, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: apiTimeout, MaxIdleConnsPerHost: lfsAtOnce,
	}
	c.proxied = c.direct.Clone()
	c.proxied.DialContext, c.proxied.Proxy = nil, http.ProxyFromEnvironment
	return c, nil
}

// extraRoots are the authorities that git is told of in its own variables besides
// those of SSL_CERT_FILE, which Go reads itself. nil: no others.
func extraRoots() (*x509.CertPool, error) {
	var files []string
	if f := os.Getenv("GIT_SSL_CAINFO"); f != "" {
		files = append(files, f)
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
		pool.AppendCertsFromPEM(pem)
	}
	return pool, nil
}

func (c *lfsClient) close() {
	c.direct.CloseIdleConnections()
	c.proxied.CloseIdleConnections()
}

// dial connects to the mirror's own host as its pushes do, and to any other host
// only at an address that is not reserved: it is the server that names it.
func (c *lfsClient) dial(ctx context.Context, network, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	d := net.Dialer{Timeout: apiTimeout}
	s := c.sess
	if strings.EqualFold(host, s.to.host) {
		if len(s.way.pinned) > 0 {
			var errs []error
			for _, at := range s.way.pinned {
				conn, err := d.DialContext(ctx, network, net.JoinHostPort(at, port))
				if err == nil {
					return conn, nil
				}
				errs = append(errs, err)
			}
			return nil, errors.Join(errs...)
		}
		named := s.way.named && s.to.kind == "http" && port == s.port()
		if !s.way.walled || named {
			return d.DialContext(ctx, network, address)
		}
	}
	d.Control = func(_, address string, _ syscall.RawConn) error { return checkDialed(address) }
	return d.DialContext(ctx, network, address)
}

// port is where the target's server listens.
func (s *session) port() string {
	if s.to.port != "" {
		return s.to.port
	}
	return defaultPorts[s.to.scheme()]
}

// do makes a request and reads its answer, up to a bound. It ends when nothing
// moves any more.
func (c *lfsClient) do(req *http.Request) (status int, header http.Header, text []byte, err error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	defer cancel(nil)
	alarm := time.AfterFunc(c.stall, func() { cancel(errStalled) })
	defer alarm.Stop()
	moving := func(r io.Reader) io.Reader {
		return readerFunc(func(b []byte) (int, error) {
			alarm.Reset(c.stall)
			return r.Read(b)
		})
	}
	req = req.WithContext(ctx)
	if req.Body != nil {
		req.Body = io.NopCloser(moving(req.Body))
	}
	transport := c.direct
	if throughProxy(req) {
		transport = c.proxied
	}
	client := http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	res, err := client.Do(req)
	if err == nil {
		defer res.Body.Close()
		text, err = io.ReadAll(io.LimitReader(moving(res.Body), maxLFSAnswer))
	}
	if cause := context.Cause(ctx); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return 0, nil, nil, err
	}
	return res.StatusCode, res.Header, text, nil
}

// isCertificate reports whether a connection failed for the server's certificate.
func isCertificate(err error) bool {
	var verification *tls.CertificateVerificationError
	return errors.As(err, &verification)
}
