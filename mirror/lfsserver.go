package mirror

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"time"
)

// lfsServer is a server of Git LFS: the batch API, with basic transfers (git-lfs,
// docs/api). Locks are not asked for: they keep people from editing one file at
// once, and here nobody edits.
//
// The credential goes to the mirror's own host and port. Of the other addresses
// that an answer names, each gets what the answer says for it, and is connected to
// only where that is no reserved address. No redirect is followed.
type lfsServer struct {
	sess   *session
	base   *url.URL          // of the API, without a slash at the end
	header map[string]string // that goes to the API's origin
	client *lfsClient
}

const lfsType = "application/vnd.git-lfs+json"

// lfsActions is what a server says of one object.
type lfsActions struct {
	upload, verify *lfsAction
	until          time.Time // when its permission ends; zero: not said
}

func (a lfsActions) over() bool { return !a.until.IsZero() && time.Now().After(a.until) }

type lfsAction struct {
	Href      string            `json:"href"`
	Header    map[string]string `json:"header"`
	ExpiresIn int64             `json:"expires_in"` // seconds
	ExpiresAt time.Time         `json:"expires_at"`
}

// until is a little before the end of what an action permits.
func (a *lfsAction) until(now time.Time) time.Time {
	const margin = 5 * time.Second
	switch {
	case a == nil:
	case a.ExpiresIn > 0:
		return now.Add(time.Duration(min(a.ExpiresIn, 1<<31-1))*time.Second - margin)
	case !a.ExpiresAt.IsZero():
		return a.ExpiresAt.Add(-margin)
	}
	return time.Time{}
}

// openLFSServer finds the server of the session's target: at the repository's URL,
// or for ssh where the server's git-lfs-authenticate says.
func openLFSServer(ctx context.Context, s *session, stall time.Duration) (*lfsServer, error) {
	l := &lfsServer{sess: s, header: map[string]string{}}
	raw := s.to.url
	if s.to.kind == "ssh" {
		at, err := s.authenticateLFS(ctx)
		if err != nil {
			return nil, err
		}
		raw = at.Href
		l.accept(at.Header)
	} else if name, value, ok := strings.Cut(s.cred.header, ":"); ok {
		l.header[name] = strings.TrimSpace(value)
	}
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, &lfsFault{ClassLFS, "the server's LFS address is no http address"}
	}
	u.User, u.RawQuery, u.Fragment, u.RawPath = nil, "", "", ""
	if u.Path = strings.TrimSuffix(u.Path, "/"); s.to.kind == "http" {
		u.Path = strings.TrimSuffix(u.Path, ".git") + ".git/info/lfs"
	}
	l.base = u
	l.client, err = newLFSClient(s, stall)
	return l, err
}

// accept takes headers of an answer, which hold credentials, to be redacted, too.
func (l *lfsServer) accept(header map[string]string) {
	for name, value := range header {
		l.header[name] = value
		l.sess.cred.redact(value)
	}
}

// authenticateLFS asks the server over ssh where its LFS API is, and for a header
// for it (git-lfs, docs/api/server-discovery.md). The path is the one that git
// itself would ask for.
func (s *session) authenticateLFS(ctx context.Context) (at lfsAction, err error) {
	_, path, _ := strings.Cut(s.to.url, ":")
	if strings.Contains(s.to.url, "://") {
		if path = "/" + s.to.path; strings.HasPrefix(path, "/~") {
			path = path[1:]
		}
	}
	args := []string{"-c", "exec " + s.ssh + ` "$@"`, "sh"}
	if s.to.port != "" {
		args = append(args, "-p", s.to.port)
	}
	host := s.to.host
	if s.to.user != "" {
		host = s.to.user + "@" + host
	}
	out := s.run(ctx, "sh", append(args, host, "git-lfs-authenticate "+quoted(path)+" upload")...)
	if out.err != nil {
		return at, out.err
	}
	if out.exit == 255 { // ssh's own
		c := orServer(classify(out.stderr))
		return at, &lfsFault{c, cause(out.stderr)}
	}
	if out.exit != 0 {
		said := cause(out.stderr)
		if said != "" {
			said = ": " + said
		}
		return at, &lfsFault{ClassLFS, "the server tells no LFS address over ssh (git-lfs-authenticate)" + said + "; objects are sent over HTTP only, so mirror to its https URL"}
	}
	if err := json.Unmarshal([]byte(out.stdout), &at); err != nil || at.Href == "" {
		return at, &lfsFault{ClassLFS, "the server's git-lfs-authenticate answers with something else than an LFS address"}
	}
	return at, nil
}

func (l *lfsServer) close() { l.client.close() }

// missing asks the batch API. What it does not answer for is a fault of its.
func (l *lfsServer) missing(ctx context.Context, ref string, all []pointer) ([]lfsTransfer, error) {
	type object struct {
		OID     string                `json:"oid"`
		Size    int64                 `json:"size"`
		Actions map[string]*lfsAction `json:"actions,omitempty"`
		Error   *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error,omitempty"`
	}
	question := map[string]any{"operation": "upload", "transfers": []string{"basic"}, "ref": map[string]string{"name": ref}, "hash_algo": "sha256"}
	var list []object
	for _, p := range all {
		list = append(list, object{OID: p.oid, Size: p.size})
	}
	question["objects"] = list
	body, err := json.Marshal(question)
	if err != nil {
		return nil, err
	}
	var answer struct {
		Transfer string   `json:"transfer"`
		Hash     string   `json:"hash_algo"`
		Objects  []object `json:"objects"`
	}
	now := time.Now()
	address := l.base.JoinPath("objects/batch")
	text, err := l.call(ctx, http.MethodPost, address, l.header, map[string]string{"Accept": lfsType, "Content-Type": lfsType}, bytes.NewReader(body), int64(len(body)))
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(text, &answer); err != nil {
		return nil, &lfsFault{ClassServer, l.name(address) + " answers with something else than Git LFS's"}
	}
	if answer.Transfer != "" && answer.Transfer != "basic" || answer.Hash != "" && answer.Hash != "sha256" {
		return nil, &lfsFault{ClassLFS, fmt.Sprintf("%s wants transfers of another kind (%q, %q) than basic, sha256", l.name(address), answer.Transfer, answer.Hash)}
	}
	said := map[string]object{}
	for _, o := range answer.Objects {
		said[o.OID] = o
	}
	var out []lfsTransfer
	for _, p := range all {
		o, ok := said[p.oid]
		t := lfsTransfer{pointer: p}
		switch {
		case !ok:
			return nil, &lfsFault{ClassServer, l.name(address) + " says nothing of " + p.path}
		case o.Error != nil:
			t.fault = l.fault(o.Error.Code, p.path+": "+o.Error.Message)
		case o.Actions["upload"] == nil:
			continue // it is there
		default:
			t.upload, t.verify = o.Actions["upload"], o.Actions["verify"]
			for _, a := range []*lfsAction{t.upload, t.verify} {
				if a == nil {
					continue
				}
				for name, value := range a.Header {
					if secretHeader(name) {
						l.sess.cred.redact(value)
					}
				}
				if end := a.until(now); !end.IsZero() && (t.until.IsZero() || end.Before(t.until)) {
					t.until = end
				}
			}
		}
		out = append(out, t)
	}
	return out, nil
}

// secretHeader reports whether a header's value is a credential by its name.
func secretHeader(name string) bool {
	name = strings.ToLower(name)
	return strings.Contains(name, "auth") || strings.Contains(name, "token") || strings.Contains(name, "key") || strings.Contains(name, "cookie")
}

// put uploads one object, and has the server look at it if it wants to.
func (l *lfsServer) put(ctx context.Context, t lfsTransfer, from *os.File) error {
	address, own, err := l.place(t.upload)
	if err != nil {
		return err
	}
	if _, err := l.call(ctx, http.MethodPut, address, own, actionHeader(t.upload, map[string]string{"Content-Type": "application/octet-stream"}), from, t.size); err != nil {
		return l.about(t, err)
	}
	if t.verify == nil {
		return nil
	}
	if address, own, err = l.place(t.verify); err != nil {
		return err
	}
	body, err := json.Marshal(map[string]any{"oid": t.oid, "size": t.size})
	if err != nil {
		return err
	}
	_, err = l.call(ctx, http.MethodPost, address, own, actionHeader(t.verify, map[string]string{"Accept": lfsType, "Content-Type": lfsType}), bytes.NewReader(body), int64(len(body)))
	return l.about(t, err)
}

// about names the file in a fault of one object.
func (l *lfsServer) about(t lfsTransfer, err error) error {
	var f *lfsFault
	if errors.As(err, &f) && f.ofObject() {
		return &lfsFault{f.class, t.path + ": " + f.detail}
	}
	return err
}

// place is where an action leads, and what of ours goes along: at the API's own
// origin the credential, unless the answer brings one.
func (l *lfsServer) place(a *lfsAction) (address *url.URL, own map[string]string, err error) {
	u, err := url.Parse(a.Href)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, nil, &lfsFault{ClassLFS, "the server sends objects to what is no http address"}
	}
	if u.Scheme == "http" && l.base.Scheme == "https" {
		return nil, nil, &lfsFault{ClassNotAllowed, "the server sends objects to " + l.name(u) + ", without encryption; its own address is https"}
	}
	u.User = nil
	for name := range a.Header {
		if strings.EqualFold(name, "Authorization") {
			return u, nil, nil
		}
	}
	if origin(u) == origin(l.base) {
		return u, l.header, nil
	}
	return u, nil, nil
}

func origin(u *url.URL) string {
	return u.Scheme + "://" + strings.ToLower(u.Hostname()) + ":" + cmp.Or(u.Port(), defaultPorts[u.Scheme])
}

// actionHeader is an answer's header over the usual one.
func actionHeader(a *lfsAction, usual map[string]string) map[string]string {
	out := maps.Clone(usual)
	for name, value := range a.Header {
		for have := range usual {
			if strings.EqualFold(name, have) {
				delete(out, have)
			}
		}
		out[name] = value
	}
	return out
}

// name is an address as it may be told: its query may be a signature.
func (l *lfsServer) name(u *url.URL) string { return u.Scheme + "://" + u.Host + u.Path }

const maxLFSAnswer = 4 << 20 // bytes; a batch's addresses carry signatures

// call makes one request and returns the body of a good answer.
func (l *lfsServer) call(ctx context.Context, method string, u *url.URL, own, said map[string]string, body io.Reader, size int64) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, u.String(), io.NopCloser(body))
	if err != nil {
		return nil, &lfsFault{ClassLFS, l.name(u) + " cannot be asked"}
	}
	req.ContentLength = size
	req.Header.Set("User-Agent", userAgent)
	for _, header := range []map[string]string{own, said} {
		for name, value := range header {
			switch http.CanonicalHeaderKey(name) {
			case "Host", "Content-Length", "Connection", "Te", "Trailer", "Upgrade", "Proxy-Authorization": // the connection's, and ours
			case "Transfer-Encoding":
				if strings.EqualFold(value, "chunked") {
					req.ContentLength = -1
				}
			default:
				req.Header.Set(name, value)
			}
		}
	}
	status, header, text, err := l.client.do(req)
	if err != nil {
		return nil, l.unanswered(ctx, u, err)
	}
	switch {
	case status >= 200 && status < 300:
		return text, nil
	case status >= 300 && status < 400:
		to := "elsewhere"
		if at, err := u.Parse(header.Get("Location")); err == nil {
			to = l.name(at)
		}
		return nil, &lfsFault{ClassRedirect, fmt.Sprintf("%s has moved to %s", l.name(u), to)}
	}
	var refusal struct {
		Message string `json:"message"`
	}
	_ = json.Unmarshal(text, &refusal) // a page of a proxy says no more than its status
	f := l.fault(status, refusal.Message)
	f.detail = l.name(u) + ": " + f.detail
	return nil, f
}

// fault is a refusal by its status. What is not ours to mend by trying again in
// another way, and not the target's as a whole, is the object's.
func (l *lfsServer) fault(status int, message string) *lfsFault {
	detail := "HTTP " + strconv.Itoa(status)
	if message = l.clean(message); message != "" {
		detail += ": " + message
	}
	c := ClassLFS
	switch {
	case status == 401:
		c = ClassAuth
	case status == 403:
		c = ClassForbidden
		if words := classify(message); words == ClassQuota || words == ClassRateLimit || words == ClassArchived {
			c = words
		}
	case status == 408, status == 425:
		c = ClassServer
	case status == 429, status == 509: // 509 is git-lfs's for a used up bandwidth
		c = ClassRateLimit
	case status == 507:
		c = ClassRemoteFull
	case status >= 500:
		c = ClassServer
	case status == 404 && message == "":
		detail += ": no Git LFS is served there"
	}
	return &lfsFault{c, detail}
}

// clean makes one bounded line of a server's words, redacted before it is cut.
func (l *lfsServer) clean(text string) string {
	text = l.sess.cred.scrub(plainText(text))
	return firstRunes(strings.Join(strings.Fields(text), " "), maxMessage)
}

// unanswered is a request to which nothing came.
func (l *lfsServer) unanswered(ctx context.Context, u *url.URL, err error) error {
	if errors.Is(err, errStalled) {
		return &lfsFault{ClassStalled, l.name(u) + ": " + err.Error()}
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	var no *NotAllowedError
	if errors.As(err, &no) {
		return &lfsFault{ClassNotAllowed, no.Why}
	}
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err // its text has the whole address
	}
	c := ClassNetwork
	if isCertificate(err) {
		c = ClassTLS
	}
	return &lfsFault{c, l.name(u) + ": " + l.clean(err.Error())}
}
