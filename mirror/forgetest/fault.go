package forgetest

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
)

// The ways of a Fault.

// Answer gives a status and a body in place of the real answer. Header lines
// come as "Name: value".
func Answer(status int, body string, header ...string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, _ *http.Request, _ http.Handler) {
		for _, line := range header {
			for i := range line {
				if line[i] == ':' {
					w.Header().Set(line[:i], line[i+2:])
					break
				}
			}
		}
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// Redirect sends the client to the same path of another server.
func Redirect(to string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
		http.Redirect(w, r, to+r.URL.RequestURI(), http.StatusMovedPermanently)
	}
}

// Stall says nothing until the client goes away or release is closed.
func Stall(release <-chan struct{}) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(_ http.ResponseWriter, r *http.Request, _ http.Handler) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
}

// CutOff does the work and then drops the connection after n bytes of the
// answer: what was pushed has landed, and the client does not hear of it.
func CutOff(n int) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		conn, buf, err := w.(http.Hijacker).Hijack()
		if err != nil {
			return
		}
		defer conn.Close()
		cut(conn, buf, rec, n)
	}
}

func cut(conn net.Conn, buf *bufio.ReadWriter, rec *httptest.ResponseRecorder, n int) {
	body := rec.Body.Bytes()
	fmt.Fprintf(buf, "HTTP/1.1 %d OK\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n",
		rec.Code, rec.Header().Get("Content-Type"), len(body)+1)
	buf.Write(body[:min(n, len(body))])
	buf.Flush()
}

// LandThen does the work and then gives another answer: a gateway's 500 after
// the push was taken.
func LandThen(status int, body string) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		next.ServeHTTP(httptest.NewRecorder(), r)
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// Before runs f and then answers truly: whatever happens between a remote's
// advertisement and the push is put there.
func Before(f func()) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, next http.Handler) {
		f()
		next.ServeHTTP(w, r)
	}
}
