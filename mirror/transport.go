package mirror

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"time"
)

// api is one forge's API for one credential. The library of the forge makes the
// calls; where they go, how long they may take and what is read of the answers
// is decided here, for all of them alike.
type api struct {
	base  *url.URL // as the configuration has it, without a slash at the end
	own   string   // the path below the host where the library believes the API: "/api/v4"; "": it takes base as it is
	token string
	scrub func(string) string // takes the credential out of a text
	way   passage
}

func newAPI(base, token string, way passage, scrub func(string) string) (*api, error) {
	u, err := url.Parse(base)
	if err != nil {
		return nil, errors.New("the forge's api is no URL")
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" || u.User != nil || u.RawQuery != "" || u.Fragment != "" {
		return nil, fmt.Errorf("the forge's api is %s: want https://HOST/PATH, and the credential in the secret", u.Redacted())
	}
	return &api{base: u, token: token, way: way, scrub: scrub}, nil
}

// root is what a library with a path of its own is told.
func (a *api) root() string { return a.base.Scheme + "://" + a.base.Host }

const (
	apiTimeout = 30 * time.Second // a call in whole
	maxAnswer  = 1 << 20          // bytes that are read of an answer
	userAgent  = "quire"          // GitHub refuses calls without one
)

// httpClient is for the library's calls. It is made anew for each, since go-github
// and GitLab's library put things into the one they are given; connections are
// shared all the same. It keeps no cookies, and follows no redirects: the
// credential would go along, and the forges' APIs redirect only for repositories
// that were renamed.
func (a *api) httpClient() *http.Client {
	return &http.Client{
		Transport:     transport{a},
		Timeout:       apiTimeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

type transport struct{ *api }

func (t transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if t.own != "" {
		req = req.Clone(req.Context())
		req.URL = t.place(req.URL)
	}
	by, err := t.way.roundTripper(req)
	if err != nil {
		return nil, err
	}
	res, err := by.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	bounded := io.LimitReader(res.Body, maxAnswer)
	if res.StatusCode < 300 {
		res.Body = struct {
			io.Reader
			io.Closer
		}{bounded, res.Body}
		return res, nil
	}
	// What came is enough to tell what is wrong, even if the rest did not come.
	text, _ := io.ReadAll(bounded)
	res.Body.Close()
	res.Body = again{bytes.NewReader(text)}
	return res, nil
}

// roundTripper is what makes a call's connection: for a pipeline in a sandbox one
// that looks at the address it comes to. A proxy's is the operator's.
func (p passage) roundTripper(req *http.Request) (http.RoundTripper, error) {
	judged := p.walled && !p.named && !p.throughProxy(req.URL)
	if !judged && p.route.IsZero() {
		return http.DefaultTransport, nil
	}
	t, err := p.route.Transport()
	if err != nil {
		return nil, err
	}
	t.DisableKeepAlives = true // it serves this call alone
	if judged {
		t.Proxy = nil
		t.DialContext = (&net.Dialer{Timeout: apiTimeout, Control: func(_, address string, _ syscall.RawConn) error { return checkDialed(address) }}).DialContext
	}
	return t, nil
}

func (p passage) throughProxy(u *url.URL) bool {
	via, err := p.route.ProxyFor(u)
	return err != nil || via != nil
}

// proxied reports whether a remote is reached through the operator's proxy, which
// looks names up itself.
func (p passage) proxied(to remote) bool {
	u, err := url.Parse(to.url)
	return err == nil && p.throughProxy(u)
}

// place is where a call of the library's is meant to go: GitLab's and Gitea's
// have a fixed path between the host and the call, the configuration has its own.
func (a *api) place(u *url.URL) *url.URL {
	if a.own == "" {
		return u
	}
	moved := *u
	moved.Path = a.base.Path + strings.TrimPrefix(u.Path, a.own)
	moved.RawPath = a.base.EscapedPath() + strings.TrimPrefix(u.EscapedPath(), a.own)
	return &moved
}

// again is the body of a refusal, which can be read once more after it was
// closed: by told, after the library.
type again struct{ *bytes.Reader }

func (b again) Close() error {
	_, err := b.Seek(0, io.SeekStart)
	return err
}
