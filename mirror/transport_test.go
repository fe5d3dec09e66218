package mirror

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// recorder is a forge's API that answers everything in the same way, and keeps
// what it was asked.
type recorder struct {
	*httptest.Server
	mu   sync.Mutex
	seen []*http.Request
}

func record(t *testing.T, answer http.HandlerFunc) *recorder {
	t.Helper()
	r := &recorder{}
	r.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		r.mu.Lock()
		r.seen = append(r.seen, req)
		r.mu.Unlock()
		answer(w, req)
	}))
	t.Cleanup(r.Close)
	t.Cleanup(r.CloseClientConnections)
	return r
}

// asked are the calls so far, "METHOD PATH" each.
func (r *recorder) asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var calls []string
	for _, req := range r.seen {
		calls = append(calls, req.Method+" "+req.URL.EscapedPath())
	}
	return calls
}

// agreeable answers as a forge does that has no objections.
func agreeable(w http.ResponseWriter, r *http.Request) {
	http.SetCookie(w, &http.Cookie{Name: "session", Value: "s3ss10n"})
	if r.Method == http.MethodPost {
		w.WriteHeader(http.StatusCreated)
	}
	fmt.Fprint(w, `{"id": 7, "login": "me", "default_branch": "main"}`)
}

func scrubToken(s string) string { return strings.ReplaceAll(s, token, "{{ forge_token }}") }

// forgeAt is a forge's client for a repository's URL.
func forgeAt(t *testing.T, kind, url, api string) forge {
	t.Helper()
	to, err := parseRemote(url)
	if err != nil {
		t.Fatal(err)
	}
	f, err := forgeOf(Target{URL: url, Forge: kind, API: api}, to, passage{}, token, scrubToken)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// calls are all that is called of a forge.
func calls(f forge) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"repository":       func(ctx context.Context) error { _, _, err := f.repository(ctx); return err },
		"create":           f.create,
		"setDefaultBranch": func(ctx context.Context) error { return f.setDefaultBranch(ctx, "main") },
		"setStatus": func(ctx context.Context) error {
			return f.setStatus(ctx, "0123abcd", CommitStatus{Context: "quire/test", State: StateSuccess})
		},
		"expires": func(ctx context.Context) error { _, err := f.expires(ctx); return err },
	}
}

// context5 ends a call that would sleep.
func context5(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// The libraries have ideas of their own of where an API is. What is asked is
// below the base URL that the configuration gives, or that is told from the
// host, and nothing else is asked.
func TestCallsGoBelowTheBase(t *testing.T) {
	usual := map[string]string{"github": "/api/v3", "gitlab": "/api/v4", "gitea": "/api/v1", "forgejo": "/api/v1"}
	const hub = "repository: GET /repos/team/re.po\ncreate: GET /user, POST /orgs/team/repos\nsetDefaultBranch: PATCH /repos/team/re.po\nsetStatus: POST /repos/team/re.po/statuses/0123abcd\n"
	want := map[string]string{
		"github":  hub + "expires: GET /repos/team/re.po",
		"gitlab":  "repository: GET /projects/team%2Fre%2Epo\ncreate: GET /namespaces/team, POST /projects\nsetDefaultBranch: PUT /projects/team%2Fre%2Epo\nsetStatus: POST /projects/team%2Fre%2Epo/statuses/0123abcd\nexpires: GET /personal_access_tokens/self",
		"gitea":   hub + "expires: ",
		"forgejo": hub + "expires: ",
	}
	for kind, path := range usual {
		for name, base := range map[string]string{
			"told from the host":     "",
			"said":                   path,
			"with a slash":           path + "/",
			"below a path":           "/code/forge" + path,
			"at a path of no custom": "/rest/of%2Fthe/forge",
			"at the root":            "/",
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				r := record(t, agreeable)
				api, prefix := "", path
				if base != "" {
					api, prefix = r.URL+base, strings.TrimSuffix(base, "/")
				}
				all := calls(forgeAt(t, kind, r.URL+"/team/re.po.git", api))
				for line := range strings.Lines(want[kind]) {
					call, list, _ := strings.Cut(strings.TrimSpace(line), ":")
					before := len(r.asked())
					if err := all[call](context5(t)); err != nil {
						t.Errorf("%s: %v", call, err)
					}
					var want []string
					for c := range strings.SplitSeq(strings.TrimSpace(list), ", ") {
						if method, path, ok := strings.Cut(c, " "); ok {
							want = append(want, method+" "+prefix+path)
						}
					}
					if got := r.asked()[before:]; !slices.Equal(got, want) {
						t.Errorf("%s asked %q, want %q", call, got, want)
					}
				}
			})
		}
	}
}

// No forge has names with such characters today; none may change what is asked.
func TestNamesAreEscaped(t *testing.T) {
	for kind, want := range map[string]string{
		"github": "GET /api/v3/repos/te%3Fam/re%23po", "gitlab": "GET /api/v4/projects/te%3Fam%2Fre%23po", "gitea": "GET /api/v1/repos/te%3Fam/re%23po",
	} {
		r := record(t, agreeable)
		_, _, err := forgeAt(t, kind, r.URL+"/te%3Fam/re%23po.git", "").repository(context5(t))
		if got := r.asked(); err != nil || len(got) != 1 || got[0] != want {
			t.Errorf("%s: asked %q, want %s: %v", kind, got, want, err)
		}
	}
}

func TestWhoCalls(t *testing.T) {
	for kind, authorization := range map[string]string{"github": "Bearer " + token, "gitlab": "Bearer " + token, "gitea": "token " + token} {
		t.Run(kind, func(t *testing.T) {
			r := record(t, agreeable)
			for name, call := range calls(forgeAt(t, kind, r.URL+"/me/repo.git", "")) {
				if err := call(context5(t)); err != nil {
					t.Errorf("%s: %v", name, err)
				}
			}
			for _, req := range r.seen {
				at := req.Method + " " + req.URL.Path
				if got := req.Header.Get("Authorization"); got != authorization {
					t.Errorf("%s: Authorization %q", at, got)
				}
				if got := req.UserAgent(); got != userAgent {
					t.Errorf("%s: User-Agent %q", at, got)
				}
				if len(req.Cookies()) != 0 {
					t.Errorf("%s: a cookie was kept and sent", at)
				}
				if got := req.Header["Private-Token"]; got != nil {
					t.Errorf("%s: the token is in a second header", at)
				}
			}
		})
	}
}

// A repository that was renamed redirects, perhaps to another host: that host
// is not asked, least of all with the token.
func TestAPIRedirectsAreNotFollowed(t *testing.T) {
	for _, kind := range forgeKinds {
		for _, code := range []int{301, 302, 303, 307, 308} {
			t.Run(fmt.Sprint(kind, " ", code), func(t *testing.T) {
				elsewhere := record(t, agreeable)
				r := record(t, func(w http.ResponseWriter, r *http.Request) {
					http.Redirect(w, r, elsewhere.URL+r.URL.Path+"?t="+token, code)
				})
				for name, call := range calls(forgeAt(t, kind, r.URL+"/me/repo.git", "")) {
					if kind == "gitea" && name == "expires" {
						continue // asks nothing
					}
					err := call(context5(t))
					if status(err) != code || transientAPI(err) || !strings.Contains(err.Error(), "moved to "+elsewhere.URL) || strings.Contains(err.Error(), token) {
						t.Errorf("%s: %v", name, err)
					}
				}
				if got := elsewhere.asked(); got != nil {
					t.Errorf("the other host was asked: %q", got)
				}
			})
		}
	}
}

// Each call is made once and at once, whatever the answers say of limits: when
// to call again is decided elsewhere. And nothing is logged past the report.
func TestNoCallIsRetriedOrHeldBack(t *testing.T) {
	var logged strings.Builder
	usual, writer := slog.Default(), log.Writer()
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	log.SetOutput(&logged)
	t.Cleanup(func() {
		slog.SetDefault(usual)
		log.SetOutput(writer)
	})
	for _, kind := range forgeKinds {
		for name, answer := range map[string]http.HandlerFunc{
			"a success that tells of a tight limit": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("RateLimit-Limit", "1")
				w.Header().Set("RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Limit", "1")
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Reset", fmt.Sprint(time.Now().Add(time.Hour).Unix()))
				agreeable(w, r)
			},
			"429": func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Retry-After", "3600")
				w.WriteHeader(429)
			},
			"503": func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(503) },
			"a connection that is dropped": func(w http.ResponseWriter, r *http.Request) {
				io.Copy(io.Discard, r.Body)
				panic(http.ErrAbortHandler)
			},
		} {
			t.Run(kind+" "+name, func(t *testing.T) {
				r := record(t, answer)
				f := forgeAt(t, kind, r.URL+"/me/repo.git", "")
				for range 3 {
					calls(f)["setStatus"](context5(t))
				}
				if n := len(r.asked()); n != 3 {
					t.Errorf("three calls asked %d times", n)
				}
			})
		}
	}
	if logged.Len() != 0 {
		t.Errorf("logged: %s", &logged)
	}
}

// An answer without an end is read as far as any answer of the API's would
// reach, and is an error.
func TestAnswersAreBounded(t *testing.T) {
	for _, kind := range forgeKinds {
		for _, code := range []int{200, 500} {
			t.Run(fmt.Sprint(kind, " ", code), func(t *testing.T) {
				sent := make(chan int, 1)
				r := record(t, func(w http.ResponseWriter, r *http.Request) {
					w.WriteHeader(code)
					n, _ := io.WriteString(w, `{"default_branch": "`)
					for piece := strings.Repeat("a", 1<<16); n < 64<<20; {
						m, err := io.WriteString(w, piece)
						if n += m; err != nil {
							break
						}
					}
					sent <- n
				})
				_, _, err := forgeAt(t, kind, r.URL+"/me/repo.git", "").repository(context5(t))
				if status(err) != code || !transientAPI(err) {
					t.Errorf("%v", err)
				}
				if n := <-sent; n >= 32<<20 { // what fits in buffers besides
					t.Errorf("%d bytes were taken", n)
				}
			})
		}
	}
}

func TestAPIBaseThatIsNone(t *testing.T) {
	to, err := parseRemote("https://git.example.org/a/b")
	if err != nil {
		t.Fatal(err)
	}
	for _, base := range []string{"git.example.org/api", "ftp://git.example.org", "https://", "https://me:" + token + "@h/api/v3", "https://h/api?x=1", "https://h/#x", "http://h:port/"} {
		_, err := forgeOf(Target{Forge: "github", API: base}, to, passage{}, token, scrubToken)
		if err == nil || errors.Is(err, errNoForge) || strings.Contains(err.Error(), token) {
			t.Errorf("%s: %v", base, err)
		}
	}
}
