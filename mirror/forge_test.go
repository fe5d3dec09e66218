package mirror

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

var forgeKinds = []string{"github", "gitlab", "gitea"}

// withAPI gives the world's forge the API of a kind, and makes the target use it.
func (w *world) withAPI(kind string, orgs ...string) *forgetest.API {
	a := w.forge.API(kind, "me", token, orgs...)
	w.target.Forge = kind
	w.forge.Require(func(_, pass, _ string) bool { return a.Knows(pass) })
	return a
}

func (w *world) resolve(context.Context) (secret.Value, error) { return secret.NewValue(token), nil }

func TestCreateMissingRepository(t *testing.T) {
	for _, kind := range forgeKinds {
		for _, owner := range []string{"me", "team"} {
			t.Run(kind+" "+owner, func(t *testing.T) {
				w := newWorld(t)
				w.withAPI(kind, "team")
				w.target.URL = w.forge.RepoURL(owner + "/fresh.git")
				w.dst = w.forge.Root + "/" + owner + "/fresh.git"
				git(t, w.src, "symbolic-ref", "HEAD", "refs/heads/trunk")
				one := w.commit("refs/heads/trunk", "one")
				other := w.commit("refs/heads/a-first-in-the-alphabet", "other")
				req := w.request(Want{"refs/heads/a-first-in-the-alphabet", other}, Want{"refs/heads/trunk", one})
				if r := w.deliver(req).Results[0]; r.Status != Refused || r.Class != ClassNotFound {
					t.Fatalf("without create: %+v", r)
				}
				req.Target.Create = true
				req.Seq = w.next()
				rep := w.deliver(req)
				if !rep.OK() || len(rep.Warnings) != 0 {
					t.Fatalf("%s", rep)
				}
				w.wantThere("refs/heads/trunk", one)
				if head := git(t, w.dst, "symbolic-ref", "HEAD"); head != "refs/heads/trunk" {
					t.Errorf("default branch %s", head)
				}
			})
		}
	}
}

// Groups in groups, and what has to be escaped in a path.
func TestCreateInAGroupOfAGroup(t *testing.T) {
	w := newWorld(t)
	w.withAPI("gitlab", "team", "team/sub.group")
	w.target.URL, w.target.Create = w.forge.RepoURL("team/sub.group/fresh.js.git"), true
	w.dst = w.forge.Root + "/team/sub.group/fresh.js.git"
	one := w.commit("refs/heads/main", "one")
	w.push(Want{"refs/heads/main", one})
	w.wantThere("refs/heads/main", one)
}

// A token that is told no at GET /user is a GitHub App's, or one that may not
// read users: it makes repositories of an organization. A limit is no no.
func TestCreateForNoUser(t *testing.T) {
	for _, kind := range []string{"github", "gitea"} {
		for body, want := range map[string]string{
			`{"message": "Resource not accessible by integration"}`:    "GET /user, POST /orgs/me/repos",
			`{"message": "You have exceeded a secondary rate limit."}`: "GET /user",
		} {
			r := record(t, func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodGet {
					w.WriteHeader(403)
					io.WriteString(w, body)
					return
				}
				agreeable(w, r)
			})
			err := forgeAt(t, kind, r.URL+"/me/repo.git", r.URL).create(context5(t))
			if got := strings.Join(r.asked(), ", "); got != want || (err == nil) != strings.Contains(want, "POST") {
				t.Errorf("%s, %s: asked %s: %v", kind, body, got, err)
			}
		}
	}
}

func TestCreateThatIsNotAllowed(t *testing.T) {
	for _, kind := range forgeKinds {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			w.withAPI(kind)
			w.target.URL, w.target.Create = w.forge.RepoURL("strangers/fresh.git"), true
			one := w.commit("refs/heads/main", "one")
			r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
			if r.Status != Refused || r.Class != ClassNotMade || !strings.Contains(r.Detail.String(), "could not be made") || !strings.Contains(r.Detail.String(), "404") {
				t.Errorf("%+v", r)
			}
			if d := w.row("refs/heads/main"); d.Class != string(ClassNotMade) || d.Error != r.Detail || d.State != store.DeliveryRefused {
				t.Errorf("the ledger, which the pusher is told from: %+v", d)
			}
		})
	}
}

// While the repository is being made, nothing is recorded as refused: the pusher would
// be told that there is none.
func TestWhatIsBeingMadeIsNotRefused(t *testing.T) {
	w := newWorld(t)
	w.withAPI("gitea")
	w.target.URL, w.target.Create = w.forge.RepoURL("me/fresh.git"), true
	w.dst = w.forge.Root + "/me/fresh.git"
	one := w.commit("refs/heads/main", "one")
	asked := w.forge.Inject(&forgetest.Fault{On: "POST /api/", Do: forgetest.Before(func() {
		if d := w.row("refs/heads/main"); !d.State.Open() {
			t.Errorf("meanwhile the ledger says %+v", d)
		}
	})})
	w.push(Want{"refs/heads/main", one})
	w.wantThere("refs/heads/main", one)
	if asked.Done() == 0 {
		t.Error("the API was not asked")
	}
}

func TestCommitStatuses(t *testing.T) {
	for _, kind := range forgeKinds {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			api := w.withAPI(kind)
			one := w.commit("refs/heads/main", "one")
			w.push(Want{"refs/heads/main", one})
			post := func(s CommitStatus, oid string) error {
				return w.engine.PostStatus(context.Background(), StatusRequest{GitDir: w.src, Target: w.target, Resolve: w.resolve, OID: oid, Status: s})
			}
			for _, state := range []State{StatePending, StateRunning, StateSuccess, StateFailure, StateError} {
				if err := post(CommitStatus{Context: "quire/test", State: state, Description: strings.Repeat("ß", 300), URL: "https://ci/1"}, one); err != nil {
					t.Errorf("%s: %v", state, err)
				}
			}
			got := api.Statuses()
			states := map[string]string{"github": "pending pending success failure error", "gitlab": "pending running success failed canceled", "gitea": "pending pending success failure error"}
			limit := map[string]int{"github": 140, "gitlab": 255, "gitea": 140}
			var said []string
			for _, s := range got {
				said = append(said, s.State)
				if n := len([]rune(s.Description)); n != limit[kind] || !strings.HasSuffix(s.Description, "ß…") {
					t.Errorf("%s: a description of %d characters", s.State, n)
				}
			}
			if strings.Join(said, " ") != states[kind] {
				t.Errorf("states %v, want %s", said, states[kind])
			}
			if len(got) != 5 || got[2].State != "success" || got[2].OID != one || got[2].Context != "quire/test" || got[2].URL != "https://ci/1" || got[2].Repo != "me/repo" {
				t.Errorf("%+v", got)
			}
			if err := post(CommitStatus{Context: "x", State: StateSuccess}, strings.Repeat("ab", 20)); err == nil || !strings.Contains(err.Error(), "No commit found") {
				t.Errorf("a commit that is not there: %v", err)
			}
		})
	}
}

// GitLab refuses to move a status from what it is to what it is.
func TestGitLabStatusThatIsThere(t *testing.T) {
	for body, there := range map[string]bool{
		`{"message": "Cannot transition status via :run from :running (Reason(s): Status cannot transition via \"run\")"}`: true,
		`{"message": "state does not have a valid value"}`:                                                                 false,
	} {
		r := record(t, func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(400)
			io.WriteString(w, body)
		})
		err := forgeAt(t, "gitlab", r.URL+"/me/repo.git", "").setStatus(context5(t), "0123abcd", CommitStatus{Context: "x", State: StateRunning})
		if (err == nil) != there {
			t.Errorf("%s: %v", body, err)
		}
	}
}

func TestExpiryIsTold(t *testing.T) {
	end := time.Now().Add(72 * time.Hour).UTC().Truncate(24 * time.Hour)
	for _, kind := range []string{"github", "gitlab"} {
		t.Run(kind, func(t *testing.T) {
			w := newWorld(t)
			w.withAPI(kind).Expire(end)
			got, err := w.engine.Expires(context.Background(), Request{GitDir: w.src, Target: w.target, Resolve: w.resolve})
			if err != nil || !got.Equal(end) {
				t.Errorf("%v, %v; want %v", got, err, end)
			}
			k, told := w.keeping(w.order())
			one := w.commit("refs/heads/main", "one")
			if err := k.Owe(context.Background(), w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"})); err != nil {
				t.Fatal(err)
			}
			for n := range told {
				if n.Err != nil {
					t.Fatal(n.Err)
				}
				if n.Expires.Equal(end) {
					break
				}
			}
		})
	}
}

// What a forge says of a credential's end, and what of one that has none or may
// not ask.
func TestExpiryAsTheForgesSayIt(t *testing.T) {
	end := time.Date(2031, 8, 1, 14, 30, 0, 0, time.UTC)
	for _, c := range []struct {
		kind   string
		header string
		status int
		body   string
		want   time.Time
		fails  bool
	}{
		{kind: "github", header: "2031-08-01 14:30:00 UTC", status: 200, want: end},
		{kind: "github", header: "2031-08-01 16:30:00 +0200", status: 200, want: end},
		{kind: "github", header: "2031-08-01 07:30:00 -0700", status: 200, want: end},
		{kind: "github", header: "2031-08-01 14:30:00 +0000", status: 200, want: end},
		{kind: "github", header: "some day", status: 200},
		{kind: "github", status: 200},
		{kind: "github", status: 404, body: `{"message": "Not Found"}`, fails: true},
		{kind: "gitlab", status: 200, body: `{"id": 1, "expires_at": "2031-08-01"}`, want: end.Truncate(24 * time.Hour)},
		{kind: "gitlab", status: 200, body: `{"id": 1, "expires_at": null}`},
		{kind: "gitlab", status: 200, body: `{"id": 1, "expires_at": "some day"}`, fails: true},
		{kind: "gitlab", status: 401}, {kind: "gitlab", status: 403}, {kind: "gitlab", status: 404},
		{kind: "gitlab", status: 500, fails: true},
		{kind: "gitea", status: 500},
	} {
		r := record(t, func(w http.ResponseWriter, r *http.Request) {
			if c.header != "" {
				w.Header().Set("GitHub-Authentication-Token-Expiration", c.header)
			}
			w.WriteHeader(c.status)
			io.WriteString(w, c.body)
		})
		got, err := forgeAt(t, c.kind, r.URL+"/me/repo.git", "").expires(context5(t))
		if !got.Equal(c.want) || got.IsZero() != c.want.IsZero() || (err != nil) != c.fails {
			t.Errorf("%+v: %v, %v", c, got, err)
		}
	}
}

func TestExpiryOfAPlainGitServer(t *testing.T) {
	w := newWorld(t)
	if got, err := w.engine.Expires(context.Background(), Request{GitDir: w.src, Target: w.target, Resolve: w.resolve}); err != nil || !got.IsZero() {
		t.Errorf("%v, %v", got, err)
	}
}

func TestAPIBaseOfAnAddress(t *testing.T) {
	for url, want := range map[string]string{
		"http://[::1]:3000/a/b":       "http://[::1]:3000/api/v1",
		"https://[2001:db8::1]/a/b":   "https://[2001:db8::1]/api/v1",
		"ssh://git@[2001:db8::1]/a/b": "https://[2001:db8::1]/api/v1",
	} {
		to, err := parseRemote(url)
		if err != nil {
			t.Fatal(err)
		}
		if base, err := apiBase(Target{}, to, "gitea"); base != want {
			t.Errorf("%s: %s, %v", url, base, err)
		}
	}
}

func appSecret(t *testing.T, head string) (string, *rsa.PublicKey) {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	b := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})
	return head + "\n" + string(b), &key.PublicKey
}

func TestGitHubApp(t *testing.T) {
	for _, head := range []string{"github-app 4711", "github-app 4711 77"} {
		t.Run(head, func(t *testing.T) {
			w := newWorld(t)
			api := w.withAPI("github")
			value, key := appSecret(t, head)
			api.App("4711", key)
			one := w.commit("refs/heads/main", "one")
			req := w.request(Want{"refs/heads/main", one})
			req.Credential = secret.NewValue(value)
			if rep := w.deliver(req); !rep.OK() {
				t.Fatalf("%s", rep)
			}
			w.wantThere("refs/heads/main", one)
			req.Refs[0].OID = w.commit("refs/heads/main", "two", one)
			req.Seq = w.next()
			if rep := w.deliver(req); !rep.OK() {
				t.Fatalf("%s", rep)
			}
			if api.Minted() != 1 {
				t.Errorf("%d tokens were minted for two pushes in a minute", api.Minted())
			}
		})
	}
}

// A token that was minted a minute ago is worth nothing any more: another is
// minted, and nobody hears of it.
func TestGitHubAppsTokenIsRevoked(t *testing.T) {
	w := newWorld(t)
	api := w.withAPI("github")
	value, key := appSecret(t, "github-app 4711")
	api.App("4711", key)
	one := w.commit("refs/heads/main", "one")
	req := w.request(Want{"refs/heads/main", one})
	req.Credential = secret.NewValue(value)
	if rep := w.deliver(req); !rep.OK() {
		t.Fatalf("%s", rep)
	}
	api.Revoke("ghs_installation1")
	req.Refs[0].OID = w.commit("refs/heads/main", "two", one)
	req.Seq = w.next()
	if rep := w.deliver(req); !rep.OK() || api.Minted() != 2 {
		t.Errorf("%d tokens were minted\n%s", api.Minted(), rep)
	}
	// If the new one is not accepted either, that is the answer.
	w.forge.Require(func(_, _, _ string) bool { return false })
	req.Seq = w.next()
	req.Refs[0].OID = w.commit("refs/heads/main", "three", req.Refs[0].OID)
	if r := only(t, w.deliver(req)); !refusedFor(r, ClassAuth) || api.Minted() != 3 {
		t.Errorf("%d tokens were minted; %+v", api.Minted(), r)
	}
}

// One App's API that gives no answer keeps no other App's deliveries.
func TestGitHubAppThatIsSlowKeepsNoOther(t *testing.T) {
	w := newWorld(t)
	api := w.withAPI("github")
	value, key := appSecret(t, "github-app 4711 77")
	api.App("4711", key)
	slow := forgetest.New(t)
	slow.Repo("me/repo.git")
	slow.API("github", "me", token)
	asked, release := make(chan struct{}), make(chan struct{})
	slow.Inject(&forgetest.Fault{On: "/access_tokens", Times: 1, Do: forgetest.Before(func() { close(asked); <-release })})
	one := w.commit("refs/heads/main", "one")
	held := w.request(Want{"refs/heads/main", one})
	held.Target.URL = slow.RepoURL("me/repo.git")
	held.Credential = secret.NewValue(value)
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.engine.Deliver(context.Background(), held)
	}()
	<-asked
	req := w.request(Want{"refs/heads/main", one})
	req.Credential = secret.NewValue(value)
	if rep := w.deliver(req); !rep.OK() {
		t.Errorf("%s", rep)
	}
	close(release)
	<-done
}

func TestGitHubAppWithAnotherKey(t *testing.T) {
	w := newWorld(t)
	api := w.withAPI("github")
	_, key := appSecret(t, "")
	api.App("4711", key)
	value, _ := appSecret(t, "github-app 4711")
	one := w.commit("refs/heads/main", "one")
	req := w.request(Want{"refs/heads/main", one})
	req.Credential = secret.NewValue(value)
	r := only(t, w.deliver(req))
	if r.Status != Refused || !strings.Contains(r.Detail.String(), "GitHub App 4711") || strings.Contains(r.Detail.String(), "PRIVATE") {
		t.Errorf("%+v", r)
	}
}

// The API says no to the App, for now or for good: what becomes of the delivery,
// and that nothing of the App's credentials is in what is reported.
func TestGitHubAppThatIsRefused(t *testing.T) {
	elsewhere := record(t, agreeable)
	for name, c := range map[string]struct {
		do    func(w http.ResponseWriter, r *http.Request, next http.Handler)
		class Class
	}{
		"a secondary limit": {forgetest.Answer(403, `{"message": "You have exceeded a secondary rate limit."}`), ClassSecret},
		"down":              {forgetest.Answer(502, "<html>"), ClassSecret},
		"not installed":     {forgetest.Answer(404, `{"message": "Not Found"}`), ClassBadTarget},
		"moved":             {forgetest.Redirect(elsewhere.URL), ClassBadTarget},
		"an echo": {func(w http.ResponseWriter, r *http.Request, _ http.Handler) {
			w.WriteHeader(401)
			fmt.Fprintf(w, `{"message": "bad: %s"}`, r.Header.Get("Authorization"))
		}, ClassBadTarget},
		"no token": {forgetest.Answer(201, `{}`), ClassSecret},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.withAPI("github")
			value, _ := appSecret(t, "github-app 4711 77")
			f := w.forge.Inject(&forgetest.Fault{On: "/access_tokens", Do: c.do})
			req := w.request(Want{"refs/heads/main", w.commit("refs/heads/main", "one")})
			req.Credential = secret.NewValue(value)
			r := only(t, w.deliver(req))
			if r.Class != c.class || (r.Status == Pending) != c.class.Transient() || f.Done() != 1 {
				t.Errorf("%+v, asked %d times", r, f.Done())
			}
			if !strings.Contains(r.Detail.String(), "GitHub App 4711") || strings.Contains(r.Detail.String(), "eyJ") || strings.Contains(r.Detail.String(), "PRIVATE") {
				t.Errorf("%s", r.Detail)
			}
			if got := elsewhere.asked(); got != nil {
				t.Errorf("the other host was asked: %q", got)
			}
		})
	}
}

// A GitHub App makes repositories of its organization.
func TestGitHubAppCreatesWithoutANumber(t *testing.T) {
	for _, owner := range []string{"team", "strangers"} {
		w := newWorld(t)
		api := w.withAPI("github", "team")
		value, key := appSecret(t, "github-app 4711")
		api.App("4711", key)
		w.target.URL, w.target.Create = w.forge.RepoURL(owner+"/fresh.git"), true
		req := w.request(Want{"refs/heads/main", w.commit("refs/heads/main", "one")})
		req.Credential = secret.NewValue(value)
		r := only(t, w.deliver(req))
		if owner == "team" && r.Status != Created || owner == "strangers" && (r.Status != Refused || !strings.Contains(r.Detail.String(), "find its installation for strangers/fresh")) {
			t.Errorf("%s: %+v", owner, r)
		}
	}
}

func TestGitHubAppCreates(t *testing.T) {
	w := newWorld(t)
	api := w.withAPI("github", "team")
	value, key := appSecret(t, "github-app 4711 77")
	api.App("4711", key)
	w.target.URL, w.target.Create = w.forge.RepoURL("team/fresh.git"), true
	w.dst = w.forge.Root + "/team/fresh.git"
	one := w.commit("refs/heads/main", "one")
	req := w.request(Want{"refs/heads/main", one})
	req.Credential = secret.NewValue(value)
	if rep := w.deliver(req); !rep.OK() {
		t.Fatalf("%s", rep)
	}
	w.wantThere("refs/heads/main", one)
}

func TestParseApp(t *testing.T) {
	value, _ := appSecret(t, "github-app 4711 77")
	a, err := parseApp(strings.ReplaceAll(value, "\n", "\r\n"))
	if err != nil || a.id != "4711" || a.installation != 77 {
		t.Fatalf("%+v, %v", a, err)
	}
	b, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a, err := parseApp("github-app Iv1.abc\n" + string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: b}))); err != nil || a.id != "Iv1.abc" || a.installation != 0 {
		t.Errorf("PKCS #8: %v", err)
	}
	_, pub := forgetest.NewKey(t)
	for name, value := range map[string]string{
		"no key":              "github-app 1",
		"an Ed25519 key":      "github-app 1\n" + pub,
		"a word for a number": "github-app 1 two\n" + pub,
		"no installation":     "github-app 1 0\n" + pub,
		"too much":            "github-app 1 2 3\n" + pub,
	} {
		if _, err := parseApp(value); err == nil || strings.Contains(err.Error(), "BEGIN") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestKindOf(t *testing.T) {
	for url, want := range map[string][2]string{
		"https://github.com/a/b":         {"github", "https://api.github.com"},
		"git@github.com:a/b.git":         {"github", "https://api.github.com"},
		"https://github.example.org/a/b": {"github", "https://github.example.org/api/v3"},
		"https://gitlab.com/a/b/c.git":   {"gitlab", "https://gitlab.com/api/v4"},
		"https://codeberg.org/a/b":       {"forgejo", "https://codeberg.org/api/v1"},
		"http://gitea.lan:3000/a/b":      {"gitea", "http://gitea.lan:3000/api/v1"},
		"ssh://git@gitlab.lan:2222/a/b":  {"gitlab", "https://gitlab.lan/api/v4"},
		"https://git.example.org/a/b":    {"", ""},
		"https://mygithub.org/a/b":       {"", ""},
	} {
		to, err := parseRemote(url)
		if err != nil {
			t.Fatal(err)
		}
		kind := kindOf(Target{}, to)
		base, err := apiBase(Target{}, to, kind)
		if kind != want[0] || base != want[1] || (kind == "") != errors.Is(err, errNoForge) {
			t.Errorf("%s: %s, %s, %v", url, kind, base, err)
		}
	}
}
