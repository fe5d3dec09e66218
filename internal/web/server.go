package web

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// Server serves the pages on an address.
type Server struct {
	Pages   http.Handler // from Handler
	Access  *Access      // nil: whoever reaches the address may read
	BaseURL string       // what the pages are called from outside; "" if they are not
}

// Serve answers on addr until ctx is done, and then gives requests under way a
// few seconds. ready is told what it listens on.
//
// A path, or unix:PATH, is a Unix socket that only this user can open. Whoever
// can has the right to read, and calls the pages what they like.
func (s Server) Serve(ctx context.Context, addr string, ready func(net.Addr)) error {
	l, err := listen(ctx, addr)
	if err != nil {
		return err
	}
	h := s.Pages
	if l.Addr().Network() != "unix" {
		if s.Access != nil {
			h = s.Access.guard(h, s.overTLS)
		}
		h = s.called(h, addr)
	}
	srv := &http.Server{Handler: guard(h), ReadHeaderTimeout: 10 * time.Second, WriteTimeout: 5 * time.Minute, IdleTimeout: time.Minute}
	ready(l.Addr())
	ended := make(chan error, 1)
	go func() { ended <- srv.Serve(l) }()
	select {
	case err := <-ended:
		return err
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	err = srv.Shutdown(last)
	<-ended
	return err
}

// overTLS reports whether the visitor called the pages by a base URL of https: a
// proxy has the TLS.
func (s Server) overTLS(r *http.Request) bool {
	base, err := url.Parse(s.BaseURL)
	return err == nil && base.Scheme == "https" && strings.EqualFold(hostOf(r.Host), base.Hostname())
}

// called answers only those who call the pages by a name of ours. A page of
// somebody else's in a visitor's browser can reach loopback by a name of its own
// (DNS rebinding), and would read what comes.
func (s Server) called(next http.Handler, addr string) http.Handler {
	listening, _, _ := net.SplitHostPort(addr)
	base, err := url.Parse(s.BaseURL)
	if err != nil {
		base = &url.URL{}
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if host := hostOf(r.Host); !ours(host, listening) && (base.Hostname() == "" || !strings.EqualFold(host, base.Hostname())) {
			deny(w, http.StatusMisdirectedRequest, "These pages are not called by that host name here. "+
				"Use the address that quire serve listens on, or set [web] base_url to what they are called.")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// ours reports whether a host name is loopback's or that of the address listened
// on. Where that is every address, it may be any address, which no rebinding
// gives: that takes a name.
func ours(host, listening string) bool {
	ip := net.ParseIP(host)
	if strings.EqualFold(host, "localhost") || ip != nil && ip.IsLoopback() {
		return true
	}
	if at := net.ParseIP(listening); listening == "" || at != nil && at.IsUnspecified() {
		return ip != nil
	}
	return strings.EqualFold(host, listening)
}

// hostOf is a Host header without its port.
func hostOf(header string) string {
	host, _, err := net.SplitHostPort(header)
	if err != nil {
		host = header
	}
	return strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
}

// listen opens the address.
func listen(ctx context.Context, addr string) (net.Listener, error) {
	network, path := "tcp", strings.TrimPrefix(addr, "unix:")
	if strings.HasPrefix(path, "/") {
		network, addr = "unix", path
		clearSocket(path)
		// The mode counts from the moment that the socket is there. Nothing else of
		// this process makes files now.
		defer syscall.Umask(syscall.Umask(0o177))
	}
	l, err := new(net.ListenConfig).Listen(ctx, network, addr)
	if err != nil {
		return nil, fmt.Errorf("serve pages: %w; choose another address with --listen or [web] listen", err)
	}
	return l, nil
}

// clearSocket removes a socket that a server which was killed has left.
func clearSocket(path string) {
	info, err := os.Lstat(path)
	if err != nil || info.Mode().Type() != os.ModeSocket {
		return
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		os.Remove(path) // if not, listening says why
	}
}
