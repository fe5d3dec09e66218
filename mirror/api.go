package mirror

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// The forges' APIs are spoken with net/http: five calls each, whose shapes have
// not changed in years, against client libraries of hundreds of calls that the
// worker would link, and whose types say nothing of which status means what.

// client makes calls to one forge's API.
type client struct {
	base          string // without a slash at the end
	authorization string // the Authorization header's value
	accept        string
	scrub         func(string) string
}

// apiError is an answer that was not the expected one.
type apiError struct {
	call    string
	status  int
	message string
}

func (e *apiError) Error() string {
	text := fmt.Sprintf("%s: HTTP %d", e.call, e.status)
	if e.message != "" {
		text += ": " + e.message
	}
	return text
}

// maxAnswer bounds what is read of an answer, in bytes.
const maxAnswer = 1 << 20

var apiHTTP = &http.Client{
	Timeout: 30 * time.Second,
	// A redirect would take the credential along; the forges' APIs redirect
	// only for repositories that were renamed.
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
}

// do makes one call. in and out are JSON, nil for none; any status but want is
// an *apiError.
func (c client) do(ctx context.Context, method, path string, in, out any, want int) error {
	_, err := c.call(ctx, method, path, in, out, want)
	return err
}

func (c client) call(ctx context.Context, method, path string, in, out any, want int) (http.Header, error) {
	name := method + " " + c.base + path
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, err
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if in != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("User-Agent", "quire")
	if c.accept != "" {
		req.Header.Set("Accept", c.accept)
	}
	if c.authorization != "" {
		req.Header.Set("Authorization", c.authorization)
	}
	res, err := apiHTTP.Do(req)
	if err != nil {
		var ue *url.Error
		if errors.As(err, &ue) {
			err = ue.Err // the URL stands in name already
		}
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	defer res.Body.Close()
	answer, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	if res.StatusCode != want {
		return res.Header, &apiError{name, res.StatusCode, c.said(answer)}
	}
	if out != nil {
		if err := json.Unmarshal(answer, out); err != nil {
			return res.Header, fmt.Errorf("%s: the answer is not the documented JSON: %w", name, err)
		}
	}
	return res.Header, nil
}

// said is the forge's own message: "message" at GitHub and Gitea, "message" or
// "error" at GitLab, where it may be a list or an object.
func (c client) said(answer []byte) string {
	var m struct {
		Message json.RawMessage `json:"message"`
		Error   json.RawMessage `json:"error"`
		Errors  json.RawMessage `json:"errors"`
	}
	if json.Unmarshal(answer, &m) != nil {
		return ""
	}
	var parts []string
	for _, raw := range []json.RawMessage{m.Message, m.Error, m.Errors} {
		var s string
		if json.Unmarshal(raw, &s) == nil {
			parts = append(parts, s)
		} else if len(raw) > 0 && string(raw) != "null" {
			parts = append(parts, string(raw))
		}
	}
	text := ansi.ReplaceAllString(strings.Join(parts, " "), "")
	if len(text) > 300 {
		text = strings.ToValidUTF8(text[:300], "") + "…"
	}
	if c.scrub != nil {
		text = c.scrub(text)
	}
	return text
}

// status is err's HTTP status, 0 if it is none.
func status(err error) int {
	var a *apiError
	if errors.As(err, &a) {
		return a.status
	}
	return 0
}

// transientAPI reports whether a call that failed may succeed later, unchanged.
func transientAPI(err error) bool {
	s := status(err)
	return s == 0 || s == 429 || s >= 500
}

func retryAfter(error) time.Duration { return 0 }
