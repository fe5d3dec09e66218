package mirror

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// apiError is a call to a forge's API that did not do what it was to do.
//
// The libraries' own errors are not passed on. They quote URLs and bodies as
// they are, and differ in what can be asked of them: GitLab's forgets what a 404
// said, Gitea's has no status.
type apiError struct {
	call      string // "GET https://…"
	status    int    // HTTP's; 0: no answer came
	message   string // the forge's, or what kept the answer from coming
	limited   bool   // by a rate limit
	transient bool
	wait      time.Duration // as the forge wishes; 0: it did not say
	cause     error         // of no answer
}

func (e *apiError) Error() string {
	text := e.call
	if e.status != 0 {
		text += fmt.Sprintf(": HTTP %d", e.status)
	}
	if e.message != "" {
		text += ": " + e.message
	}
	switch {
	case e.limited && e.wait > 0:
		text += fmt.Sprintf(" (rate limit; again in %s)", e.wait.Round(time.Second))
	case e.limited:
		text += " (rate limit)"
	}
	return text
}

func (e *apiError) Unwrap() error { return e.cause }

// status is err's HTTP status, 0 if it has none.
func status(err error) int {
	var e *apiError
	if errors.As(err, &e) {
		return e.status
	}
	return 0
}

// transientAPI reports whether the same call may be answered otherwise later:
// nothing came, or no answer of the API's, or 429, 5xx, a rate limit.
func transientAPI(err error) bool {
	var e *apiError
	return errors.As(err, &e) && e.transient
}

// isLimited reports whether the forge refused a call because there were too many.
func isLimited(err error) bool {
	var e *apiError
	return errors.As(err, &e) && e.limited
}

// retryAfter is how long the forge wishes not to be asked again, counted from
// its answer; 0 if it did not say.
func retryAfter(err error) time.Duration {
	var e *apiError
	if errors.As(err, &e) {
		return e.wait
	}
	return 0
}

// told is what a library's call came to: nil if the answer has the status that
// is documented for success and the library could read it, else an *apiError.
// res is nil if there was no answer.
func (a *api) told(res *http.Response, err error, want int) error {
	if res == nil {
		return a.unanswered(err)
	}
	if err == nil && res.StatusCode == want {
		return nil
	}
	e := &apiError{call: a.clean(res.Request.Method + " " + res.Request.URL.Redacted()), status: res.StatusCode}
	switch {
	case res.StatusCode < 300:
		// A proxy's page, or an answer that was cut off.
		e.message = "the answer is not the documented one"
		if err != nil {
			e.message = a.clean(e.message + ": " + err.Error())
		}
		e.transient = true
	case res.StatusCode < 400:
		e.message = a.clean("it has moved to " + res.Header.Get("Location") + "; redirects are not followed, as the credential would go with them")
	default:
		text := said(res)
		e.message = a.clean(text)
		e.limited = limited(res, text)
		e.transient = e.limited || res.StatusCode >= 500
		e.wait = wait(res.Header, e.limited, time.Now())
	}
	return e
}

// something objects to an answer of null, and at GitHub to an empty one: the
// libraries take either for a success that is nil.
func something[T any](answer *T, err error) error {
	if err == nil && answer == nil {
		return errors.New("it is empty")
	}
	return err
}

// unanswered is a call that was not made, or to which nothing came.
func (a *api) unanswered(err error) error {
	e := &apiError{call: a.base.Redacted(), cause: err}
	var at *url.Error
	if errors.As(err, &at) {
		err = at.Err
		if u, bad := url.Parse(at.URL); bad == nil {
			e.call = a.clean(strings.ToUpper(at.Op) + " " + a.place(u).Redacted())
		}
	}
	e.message = a.clean(err.Error())
	// What the library objects to itself, it will object to again; and so will
	// TLS (ClassTLS).
	var certificate *tls.CertificateVerificationError
	sent := at != nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
	e.transient = sent && !errors.As(err, &certificate)
	return e
}

// limited tells a rate limit. GitHub answers 403 to most of them: when the hour's
// calls are used up, with no calls remaining; for what it calls secondary limits,
// with a time to wait or in words only (docs.github.com, "Rate limits for the
// REST API").
func limited(res *http.Response, said string) bool {
	switch res.StatusCode {
	case http.StatusTooManyRequests:
		return true
	case http.StatusForbidden:
		said = strings.ToLower(said)
		return res.Header.Get("Retry-After") != "" || res.Header.Get("X-RateLimit-Remaining") == "0" ||
			strings.Contains(said, "rate limit") || strings.Contains(said, "abuse detection")
	}
	return false
}

// wait reads the headers in which forges say when to come back. Those that tell
// of a limit's next period stand in every answer, and count for one that was
// refused for it: GitHub's if nothing remains (it has other limits besides),
// GitLab's (docs.gitlab.com, "Rate limits").
func wait(h http.Header, limited bool, now time.Time) time.Duration {
	var d time.Duration
	if after := h.Get("Retry-After"); after != "" {
		if n, err := strconv.ParseInt(after, 10, 32); err == nil {
			d = time.Duration(n) * time.Second
		} else if at, err := http.ParseTime(after); err == nil {
			d = at.Sub(now)
		}
	} else if limited {
		reset := h.Get("RateLimit-Reset")
		if h.Get("X-RateLimit-Remaining") == "0" {
			reset = h.Get("X-RateLimit-Reset")
		}
		if at, err := strconv.ParseInt(reset, 10, 64); err == nil {
			d = time.Unix(at, 0).Sub(now)
		}
	}
	return max(d, 0)
}

// said is the forge's own message in a refusal. A page of HTML is a proxy's, and
// says no more than its status.
func said(res *http.Response) string {
	text, err := io.ReadAll(res.Body)
	if err != nil {
		return ""
	}
	var v any
	if json.Unmarshal(text, &v) != nil {
		if strings.HasPrefix(res.Header.Get("Content-Type"), "text/plain") {
			return string(text)
		}
		return ""
	}
	m, ok := v.(map[string]any)
	if !ok {
		return words(v)
	}
	var parts []string
	for _, key := range []string{"message", "error", "error_description", "errors"} {
		if w := words(m[key]); w != "" {
			parts = append(parts, w)
		}
	}
	return strings.Join(parts, ": ")
}

// words makes one line of a message, which may be a list (of texts, or of
// objects with a message each, at GitHub) and lists by field (at GitLab).
func words(v any) string {
	switch v := v.(type) {
	case nil:
		return ""
	case string:
		return v
	case []any:
		var list []string
		for _, one := range v {
			list = append(list, words(one))
		}
		return strings.Join(list, ", ")
	case map[string]any:
		if m, ok := v["message"].(string); ok && m != "" {
			return m
		}
		var list []string
		for _, key := range slices.Sorted(maps.Keys(v)) {
			list = append(list, key+" "+words(v[key]))
		}
		return strings.Join(list, ", ")
	}
	return fmt.Sprint(v)
}

// maxMessage is how much of a forge's message is quoted, in characters.
const maxMessage = 300

// clean makes a foreign text fit for a report: one line of bounded length,
// without what a terminal would obey, and without the credential. What could
// stand between the letters of a token goes before the token is looked for, and
// the text is cut after.
func (a *api) clean(text string) string {
	text = ansi.ReplaceAllString(text, "")
	text = strings.Map(func(r rune) rune {
		switch {
		case unicode.IsSpace(r):
			return ' '
		case unicode.In(r, unicode.Cc, unicode.Cf):
			return -1
		}
		return r
	}, text)
	text = strings.Join(strings.Fields(text), " ")
	if a.scrub != nil {
		text = a.scrub(text)
	}
	// A GitHub App's token for itself is no part of the secret.
	if len(a.token) >= 6 {
		text = strings.ReplaceAll(text, a.token, "{{ token }}")
	}
	return firstRunes(text, maxMessage)
}
