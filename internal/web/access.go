package web

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Access lets those read the pages who can read the state directory: they make a
// link there that is good for one visit, and the visit gets a cookie. A port of
// loopback is open to every user of the machine, and to jobs with the machine's
// network, so that reaching it proves nothing.
//
// The state directory holds a key, which signs the cookies and serves programs (a
// proxy that knows its users) as a bearer token, and a file for each link that was
// not used yet. Removing the key ends every session.
type Access struct {
	dir string
	key []byte
	now func() time.Time
}

const (
	linkLife    = 24 * time.Hour
	sessionLife = 90 * 24 * time.Hour
	cookieName  = "quire"
	openPath    = "/open"
)

// OpenAccess reads the key of a state directory, making it if it is missing.
func OpenAccess(stateDir string) (*Access, error) {
	a := &Access{dir: filepath.Join(stateDir, "web"), now: time.Now}
	if err := os.MkdirAll(a.links(), 0o700); err != nil {
		return nil, fmt.Errorf("serve pages: %w", err)
	}
	if err := a.makeKey(); err != nil {
		return nil, fmt.Errorf("serve pages: make the key: %w", err)
	}
	info, err := os.Stat(a.keyFile())
	if err != nil {
		return nil, fmt.Errorf("serve pages: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		return nil, fmt.Errorf("serve pages: others may read %s: remove it, and a new one is made", a.keyFile())
	}
	key, err := os.ReadFile(a.keyFile())
	if err != nil {
		return nil, fmt.Errorf("serve pages: %w", err)
	}
	if a.key = []byte(strings.TrimSpace(string(key))); len(a.key) < 32 {
		return nil, fmt.Errorf("serve pages: %s is too short to be a key: remove it, and a new one is made", a.keyFile())
	}
	return a, nil
}

func (a *Access) keyFile() string { return filepath.Join(a.dir, "key") }
func (a *Access) links() string   { return filepath.Join(a.dir, "links") }

// makeKey makes the key appear whole. Of two at once, one wins.
func (a *Access) makeKey() error {
	if _, err := os.Lstat(a.keyFile()); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := os.CreateTemp(a.dir, ".key.") // of mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	_, err = f.WriteString(rand.Text() + rand.Text() + "\n") // 260 random bits
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Link(f.Name(), a.keyFile())
	}
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	return err
}

// Link makes a link to the pages at base (http://HOST:PORT) that is good for one
// visit within a day.
func (a *Access) Link(base string) (string, error) {
	a.sweep()
	ticket := rand.Text()
	f, err := os.OpenFile(a.ticketFile(ticket), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return "", fmt.Errorf("make a link to the pages: %w", err)
	}
	return strings.TrimRight(base, "/") + openPath + "?" + url.Values{"ticket": {ticket}}.Encode(), nil
}

// ticketFile is named by a hash: who lists the directory has no ticket yet, and a
// visitor's text is no path.
func (a *Access) ticketFile(ticket string) string {
	sum := sha256.Sum256([]byte(ticket))
	return filepath.Join(a.links(), hex.EncodeToString(sum[:]))
}

// use takes a ticket, once. Removing its file decides between two visits.
func (a *Access) use(ticket string) bool {
	file := a.ticketFile(ticket)
	info, err := os.Lstat(file)
	return err == nil && os.Remove(file) == nil && a.now().Sub(info.ModTime()) < linkLife
}

// sweep removes links that nobody used in time.
func (a *Access) sweep() {
	entries, err := os.ReadDir(a.links())
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && a.now().Sub(info.ModTime()) >= linkLife {
			os.Remove(filepath.Join(a.links(), e.Name()))
		}
	}
}

// session is the value of a cookie that is good until a time.
func (a *Access) session(until time.Time) string {
	ends := strconv.FormatInt(until.Unix(), 10)
	mac := hmac.New(sha256.New, a.key)
	mac.Write([]byte("session " + ends))
	return ends + "." + hex.EncodeToString(mac.Sum(nil))
}

// admits reports whether a request comes from somebody who was let in.
func (a *Access) admits(r *http.Request) bool {
	if token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer "); ok {
		return subtle.ConstantTimeCompare([]byte(token), a.key) == 1
	}
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return false
	}
	ends, _, _ := strings.Cut(cookie.Value, ".")
	seconds, err := strconv.ParseInt(ends, 10, 64)
	until := time.Unix(seconds, 0)
	return err == nil && a.now().Before(until) && subtle.ConstantTimeCompare([]byte(cookie.Value), []byte(a.session(until))) == 1
}

// guard lets those through who were let in, and takes the links that let them in.
func (a *Access) guard(next http.Handler, secure func(*http.Request) bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/style.css": // it is in every copy of quire
			next.ServeHTTP(w, r)
		case r.URL.Path == openPath && (a.admits(r) || a.use(r.URL.Query().Get("ticket"))):
			http.SetCookie(w, &http.Cookie{
				Name: cookieName, Value: a.session(a.now().Add(sessionLife)), Path: "/", MaxAge: int(sessionLife / time.Second),
				HttpOnly: true, Secure: secure(r),
				SameSite: http.SameSiteLaxMode, // a link in a mail leads to its page
			})
			http.Redirect(w, r, "/", http.StatusSeeOther)
		case r.URL.Path == openPath:
			deny(w, http.StatusForbidden, "This link was used, or is older than a day. Make another, as the user that quire runs as, with: quire serve --link")
		case !a.admits(r):
			deny(w, http.StatusForbidden, "These pages are for those who can read quire's state directory. Open the link that quire serve printed, "+
				"or make another, as the user that quire runs as, with: quire serve --link")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func deny(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintln(w, text) // the visitor may be gone
}
