package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What each forge says when it refuses, as documented or as seen, and what is
// made of it: the text, whether to try again, and when.
func TestAPIRefusals(t *testing.T) {
	const anHour = time.Hour
	inAnHour := fmt.Sprint(time.Now().Add(anHour).Unix())
	date := time.Now().Add(anHour).UTC().Format(http.TimeFormat)
	for _, c := range []struct {
		name      string
		kind      string // "": at every forge
		status    int
		header    []string
		body      string
		text      string // behind "HTTP 404"
		transient bool
		after     time.Duration
	}{
		{name: "a token that is not accepted", status: 401, body: `{"message": "Bad credentials"}`, text: ": Bad credentials"},
		{name: "GitLab, a revoked token", kind: "gitlab", status: 401, body: `{"error": "invalid_token", "error_description": "Token was revoked. You have to re-authorize from the user."}`,
			text: ": invalid_token: Token was revoked. You have to re-authorize from the user."},
		{name: "a token that may not", status: 403, body: `{"message": "Resource not accessible by integration", "documentation_url": "https://docs.github.com/rest"}`,
			text: ": Resource not accessible by integration"},
		{name: "forbidden, with calls left", kind: "github", status: 403, header: []string{"X-RateLimit-Remaining: 4999", "X-RateLimit-Reset: " + inAnHour}, body: `{"message": "Forbidden"}`, text: ": Forbidden"},
		{name: "not found", status: 404, body: `{"message": "404 Commit Not Found"}`, text: ": 404 Commit Not Found"},
		{name: "GitHub's validation", kind: "github", status: 422, body: `{"message": "Validation Failed", "errors": [{"resource": "Repository", "code": "custom", "field": "name", "message": "name already exists on this account"}, {"resource": "Repository", "field": "name", "code": "missing"}]}`,
			text: ": Validation Failed: name already exists on this account, code missing, field name, resource Repository"},
		{name: "GitLab's validation", kind: "gitlab", status: 400, body: `{"message": {"path": ["has already been taken"], "name": ["is too long", "is odd"]}}`,
			text: ": name is too long, is odd, path has already been taken"},
		{name: "no JSON", status: 400, body: `<html>Bad Request</html>`},
		{name: "nothing", status: 400},
		{name: "another JSON", status: 400, body: `["x", 1]`, text: ": x, 1"},

		{name: "429", status: 429, body: `{"message": "Too Many Requests"}`, text: ": Too Many Requests (rate limit)", transient: true},
		{name: "429 with seconds", status: 429, header: []string{"Retry-After: 3600"}, text: " (rate limit; again in 1h0m0s)", transient: true, after: anHour},
		{name: "429 with a date", status: 429, header: []string{"Retry-After: " + date}, transient: true, after: anHour},
		{name: "429 with a date that is past", status: 429, header: []string{"Retry-After: Fri, 31 Dec 1999 23:59:59 GMT"}, text: " (rate limit)", transient: true},
		{name: "429 with nonsense", status: 429, header: []string{"Retry-After: soon", "RateLimit-Reset: later"}, text: " (rate limit)", transient: true},
		{name: "429 with too many seconds", status: 429, header: []string{"Retry-After: 99999999999999999999"}, text: " (rate limit)", transient: true},
		{name: "429 in plain text", kind: "gitlab", status: 429, header: []string{"Content-Type: text/plain", "Retry-After: 60", "RateLimit-Reset: " + inAnHour}, body: "Retry later\n",
			text: ": Retry later (rate limit; again in 1m0s)", transient: true, after: time.Minute},
		{name: "GitLab's reset", kind: "gitlab", status: 429, header: []string{"RateLimit-Limit: 600", "RateLimit-Remaining: 0", "RateLimit-Reset: " + inAnHour}, transient: true, after: anHour},
		{name: "GitHub's hourly limit", kind: "github", status: 403, header: []string{"X-RateLimit-Limit: 5000", "X-RateLimit-Remaining: 0", "X-RateLimit-Reset: " + inAnHour},
			body: `{"message": "API rate limit exceeded for user ID 1."}`, transient: true, after: anHour},
		{name: "GitHub's hourly limit as 429", kind: "github", status: 429, header: []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: " + inAnHour}, transient: true, after: anHour},
		{name: "GitHub's secondary limit", kind: "github", status: 403, header: []string{"Retry-After: 60", "X-RateLimit-Remaining: 4000", "X-RateLimit-Reset: " + inAnHour},
			body: `{"message": "You have exceeded a secondary rate limit.", "documentation_url": "https://docs.github.com/rest/overview/rate-limits-for-the-rest-api#about-secondary-rate-limits"}`,
			text: ": You have exceeded a secondary rate limit. (rate limit; again in 1m0s)", transient: true, after: time.Minute},
		{name: "GitHub's secondary limit in words", kind: "github", status: 403, header: []string{"X-RateLimit-Remaining: 4000", "X-RateLimit-Reset: " + inAnHour},
			body: `{"message": "You have exceeded a secondary rate limit."}`, text: ": You have exceeded a secondary rate limit. (rate limit)", transient: true},
		{name: "GitHub's old words", kind: "github", status: 403, body: `{"message": "You have triggered an abuse detection mechanism."}`,
			text: ": You have triggered an abuse detection mechanism. (rate limit)", transient: true},

		{name: "500", status: 500, header: []string{"X-RateLimit-Remaining: 0", "X-RateLimit-Reset: " + inAnHour, "RateLimit-Reset: " + inAnHour}, body: `{"message": "500 Internal Server Error"}`,
			text: ": 500 Internal Server Error", transient: true},
		{name: "502", status: 502, body: `<html><h1>502 Bad Gateway</h1></html>`, transient: true},
		{name: "503", status: 503, header: []string{"Retry-After: 120"}, transient: true, after: 2 * time.Minute},

		{name: "a page in place of the API's answer", status: 200, body: `<html>please log in</html>`, text: ": the answer is not the documented one", transient: true},
		{name: "a success that is not the documented one", status: 202, body: `{"id": 1}`, text: ": the answer is not the documented one", transient: true},
		{name: "an answer of another type", status: 201, body: `{"id": "x"}`, text: ": the answer is not the documented one: json: ", transient: true},
	} {
		for _, kind := range forgeKinds {
			if c.kind != "" && c.kind != kind {
				continue
			}
			t.Run(kind+" "+c.name, func(t *testing.T) {
				r := record(t, func(w http.ResponseWriter, r *http.Request) {
					for _, line := range c.header {
						name, value, _ := strings.Cut(line, ": ")
						w.Header().Set(name, value)
					}
					w.WriteHeader(c.status)
					io.WriteString(w, c.body)
				})
				err := calls(forgeAt(t, kind, r.URL+"/me/repo.git", ""))["setStatus"](context5(t))
				if err == nil {
					t.Fatal("no error")
				}
				method, path, _ := strings.Cut(r.asked()[0], " ")
				call := fmt.Sprintf("%s %s%s: HTTP %d", method, r.URL, path, c.status)
				if rest, ok := strings.CutPrefix(err.Error(), call); !ok || c.text == "" && c.after == 0 && rest != "" || !strings.HasPrefix(rest, c.text) {
					t.Errorf("%q, want %q", err, call+c.text)
				}
				if c.transient && (c.status == 403 || c.status == 429) && !strings.Contains(err.Error(), "(rate limit") {
					t.Errorf("%q does not speak of a limit", err)
				}
				if got := status(err); got != c.status {
					t.Errorf("status %d", got)
				}
				if got := transientAPI(err); got != c.transient {
					t.Errorf("transient: %v", got)
				}
				if got := retryAfter(err); (got-c.after).Abs() > 10*time.Second || (got == 0) != (c.after == 0) {
					t.Errorf("retry after %s, want %s", got, c.after)
				}
			})
		}
	}
}

// An answer with nothing in it is not taken for a repository, a user or a token.
func TestAPIAnswersOfNothing(t *testing.T) {
	for _, kind := range forgeKinds {
		for _, body := range []string{"", "null", "{}", "[]", "0"} {
			r := record(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					w.WriteHeader(201)
				}
				io.WriteString(w, body)
			})
			for name, call := range calls(forgeAt(t, kind, r.URL+"/me/repo.git", "")) {
				err := call(context5(t))
				if err != nil && (status(err)/100 != 2 || !transientAPI(err)) {
					t.Errorf("%s: %s answered with %q: %v", kind, name, body, err)
				}
				if err == nil && name == "repository" && kind != "gitea" && (body == "" || body == "null") {
					t.Errorf("%s: %q is a repository", kind, body)
				}
			}
		}
	}
}

// No answer at all.
func TestAPIThatDoesNotAnswer(t *testing.T) {
	gone := httptest.NewServer(http.NotFoundHandler())
	gone.Close()
	tls := httptest.NewUnstartedServer(http.NotFoundHandler())
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	dropping := record(t, func(w http.ResponseWriter, r *http.Request) { panic(http.ErrAbortHandler) })
	cutting := record(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "100")
		w.WriteHeader(201)
		io.WriteString(w, `{"id": 1`)
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	})
	arrived := make(chan bool)
	stalling := record(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // only then is the client's end noticed
		arrived <- true
		<-r.Context().Done()
	})
	for _, c := range []struct {
		name, url string
		transient bool
		status    int
		canceled  bool
		text      string
	}{
		{name: "nobody there", url: gone.URL, transient: true, text: "connection refused"},
		{name: "a connection that is dropped", url: dropping.URL, transient: true, text: "EOF"},
		{name: "an answer that is cut off", url: cutting.URL, transient: true, status: 201, text: "unexpected EOF"},
		{name: "a certificate that is not trusted", url: tls.URL, text: "certificate"},
		{name: "a call that is canceled", url: stalling.URL, transient: true, canceled: true, text: "canceled"},
	} {
		for _, kind := range forgeKinds {
			t.Run(kind+" "+c.name, func(t *testing.T) {
				ctx, cancel := context.WithCancel(context5(t))
				defer cancel()
				if c.canceled {
					go func() {
						<-arrived
						cancel()
					}()
				}
				err := calls(forgeAt(t, kind, c.url+"/me/repo.git", ""))["setStatus"](ctx)
				if err == nil || transientAPI(err) != c.transient || status(err) != c.status || retryAfter(err) != 0 {
					t.Fatalf("%v: transient %v, status %d, after %s", err, transientAPI(err), status(err), retryAfter(err))
				}
				if !strings.Contains(err.Error(), c.url+"/api/v") || !strings.Contains(err.Error(), c.text) {
					t.Errorf("%v; want the URL, and %q", err, c.text)
				}
				if errors.Is(err, context.Canceled) != c.canceled {
					t.Errorf("%v", err)
				}
			})
		}
	}
}

// What the library objects to before it asks is not tried again.
func TestAPICallThatIsNotMade(t *testing.T) {
	r := record(t, agreeable)
	err := forgeAt(t, "github", r.URL+"/../repo.git", "").create(context5(t))
	if err == nil || transientAPI(err) || status(err) != 0 {
		t.Errorf("%v", err)
	}
	err = forgeAt(t, "gitea", r.URL+"/me/"+strings.Repeat("x", 101)+".git", "").create(context5(t))
	if err == nil || transientAPI(err) || status(err) != 0 || !strings.Contains(err.Error(), "100") {
		t.Errorf("%v", err)
	}
	for _, f := range []func(error) bool{transientAPI, func(err error) bool { return status(err) != 0 || retryAfter(err) != 0 }} {
		if f(nil) || f(errors.New("x")) {
			t.Error("of an error that is none of an API's")
		}
	}
}

// A forge may echo what it was sent, and what it says reaches terminals.
func TestAPIErrorsAreFitToBeRead(t *testing.T) {
	long := strings.Repeat("ü", 290)
	for name, c := range map[string]struct {
		status int
		body   string
		want   string // "": only what must not be there is looked for
	}{
		"a token":                 {400, `{"message": "you sent ` + token + ` to us"}`, "you sent {{ forge_token }} to us"},
		"a token in JSON's way":   {404, `{"message": "you sent \u0067` + token[1:] + `"}`, "you sent {{ forge_token }}"},
		"a token, interrupted":    {400, `{"message": "` + token[:9] + `\u001b[1m` + token[9:15] + `\u200b` + token[15:] + `"}`, "{{ forge_token }}"},
		"a token at the cut":      {500, `{"message": "` + long + token + `"}`, ""},
		"a token in a list":       {422, `{"errors": [{"message": "no ` + token + `"}, "` + token + `"]}`, "no {{ forge_token }}, {{ forge_token }}"},
		"a token as a field":      {422, `{"message": {"` + token + `": ["is bad"]}}`, "{{ forge_token }} is bad"},
		"a token on a page":       {502, `<html>` + token + `</html>`, ""},
		"a token in a bad answer": {201, `{"id": "` + token + `"}`, ""},
		"colours":                 {400, `{"message": "\u001b[31mred\u001b[0m \u001b]0;title\u0007"}`, "red ]0;title"},
		"control characters":      {400, `{"message": "one\r\ntwo\u0085three\u009b31m\u0000four\tfive\u202e"}`, "one two three31mfour five"},
		"no UTF-8":                {400, "{\"message\": \"a\xff\xfeb\"}", ""},
		"a long story":            {400, `{"message": "` + strings.Repeat("long ", 1000) + `"}`, ""},
	} {
		for _, kind := range forgeKinds {
			t.Run(kind+" "+name, func(t *testing.T) {
				r := record(t, func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(c.status)
					io.WriteString(w, c.body)
				})
				err := calls(forgeAt(t, kind, r.URL+"/me/repo.git", ""))["setStatus"](context5(t))
				if err == nil {
					t.Fatal("no error")
				}
				text := err.Error()
				for n := 8; n < len(token); n++ {
					if strings.Contains(text, token[:n]) {
						t.Fatalf("%d bytes of the token: %s", n, text)
					}
				}
				_, said, _ := strings.Cut(text, fmt.Sprintf("HTTP %d", c.status))
				if strings.ContainsFunc(text, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u202e' }) {
					t.Errorf("control characters: %q", text)
				}
				if len([]rune(said)) > maxMessage+2 {
					t.Errorf("%d characters", len([]rune(said)))
				}
				if c.want != "" && said != ": "+c.want {
					t.Errorf("%q, want %q", said, c.want)
				}
			})
		}
	}
}
