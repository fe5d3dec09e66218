package mirror

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"time"

	"quire/internal/network"
)

// lfsClient makes the requests of one session to servers of Git LFS.
type lfsClient struct {
	sess   *session
	stall  time.Duration
	own    transports // to the mirror's own server
	others transports
}

// stallLimit is how long a server may take or send nothing, as for git's own
// transfers (http.lowSpeedTime).
const stallLimit = 2 * time.Minute

// errStalled ends a request in which nothing moves.
var errStalled = errors.New("nothing moved for too long")

func newLFSClient(s *session, stall time.Duration) (*lfsClient, error) {
	c := &lfsClient{sess: s, stall: stall}
	var err error
	if c.own, err = c.transports(s.way.route); err == nil {
		// Our certificate is for the mirror's own server, as the credential is.
		c.others, err = c.transports(s.way.route.Anonymous())
	}
	if err != nil {
		return nil, &lfsFault{ClassBadTarget, err.Error()}
	}
	return c, nil
}

// transports are the ways to connect along a route.
type transports struct{ direct, proxied *http.Transport }

func (c *lfsClient) transports(r network.Route) (t transports, err error) {
	if t.proxied, err = r.Transport(); err != nil {
		return t, err
	}
	t.proxied.MaxIdleConnsPerHost = lfsAtOnce
	t.direct = t.proxied.Clone()
	t.direct.DialContext, t.direct.Proxy = c.dial, nil
	return t, nil
}

func (c *lfsClient) close() {
	for _, t := range []transports{c.own, c.others} {
		t.direct.CloseIdleConnections()
		t.proxied.CloseIdleConnections()
	}
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
	by := c.others
	if s := c.sess; s.to.kind == "http" && strings.EqualFold(req.URL.Hostname(), s.to.host) && cmp.Or(req.URL.Port(), defaultPorts[req.URL.Scheme]) == s.port() {
		by = c.own
	}
	transport := by.direct
	if c.sess.way.throughProxy(req.URL) {
		transport = by.proxied
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
