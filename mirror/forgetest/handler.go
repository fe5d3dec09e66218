// Package forgetest serves git repositories as a forge does, for tests and for
// the demonstration: real `git http-backend` behind HTTP, real sshd on loopback.
// The HTTP side can misbehave in the ways in which forges do.
//
// It imports no testing package, so that a program can serve with it too. It is
// no forge: it keeps no users and no permissions beyond one check.
package forgetest

import (
	"fmt"
	"io"
	"net/http"
	"net/http/cgi"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// Check decides about one request: user and pass of HTTP basic auth ("" if there
// is none), and the Authorization header as it came.
type Check func(user, pass, header string) bool

// Handler serves every bare repository below root, for fetching and pushing and
// for uploads of Git LFS, at the path it has below root. A nil check lets everybody in; refused requests
// get 401 and a challenge, as GitHub, GitLab and Gitea answer.
func Handler(root string, check Check) http.Handler {
	backend := backendPath()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, pass, _ := r.BasicAuth()
		if check != nil && !check(user, pass, r.Header.Get("Authorization")) {
			w.Header().Set("WWW-Authenticate", `Basic realm="forge"`)
			http.Error(w, "Invalid username or token.", http.StatusUnauthorized)
			return
		}
		if strings.Contains(r.URL.Path, "/info/lfs/") {
			serveLFS(w, r, root)
			return
		}
		if user == "" {
			user = "git" // http-backend takes pushes from a named user only
		}
		if err := spoolBody(r); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		defer r.Body.Close()
		h := cgi.Handler{
			Path: backend,
			Env: []string{
				"GIT_PROJECT_ROOT=" + root, "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=" + user,
				"GIT_PROTOCOL=" + r.Header.Get("Git-Protocol"), "GIT_CONFIG_NOSYSTEM=1", "HOME=/nonexistent",
			},
			Stderr: io.Discard,
		}
		h.ServeHTTP(w, r)
	})
}

// backendPath asks git once where its programs are.
var backendPath = sync.OnceValue(func() string {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		return "git-http-backend"
	}
	return filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
})

// spoolBody gives a chunked request a length, by way of a file that is removed
// at once: net/http/cgi takes no chunked bodies, and git sends every pack above
// 1 MiB as one.
func spoolBody(r *http.Request) error {
	if r.ContentLength >= 0 {
		return nil
	}
	f, err := os.CreateTemp("", "forge-body-")
	if err != nil {
		return err
	}
	os.Remove(f.Name())
	n, err := io.Copy(f, r.Body)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return fmt.Errorf("read the request: %w", err)
	}
	r.Body.Close()
	r.Body, r.ContentLength, r.TransferEncoding = f, n, nil
	r.Header.Set("Content-Length", fmt.Sprint(n))
	return nil
}
