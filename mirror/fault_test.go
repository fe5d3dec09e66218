package mirror

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"quire/internal/secret"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

func write(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

// Each way in which a server refuses or fails, at either request of a push: the
// class, whether it is tried again, and that nothing landed.
func TestHTTPFaults(t *testing.T) {
	for _, c := range []struct {
		name   string
		status int
		body   string
		class  Class
		state  Status
	}{
		{"401", 401, "Bad credentials", ClassAuth, Refused},
		{"403", 403, "Write access to repository not granted.", ClassForbidden, Refused},
		{"404", 404, "Repository not found.", ClassNotFound, Refused},
		{"400", 400, "bad request", ClassRequest, Refused},
		{"405", 405, "no such method", ClassRequest, Refused},
		{"407", 407, "log in to the proxy", ClassProxy, Refused},
		{"409", 409, "conflict", ClassLocked, Pending},
		{"410", 410, "gone", ClassNotFound, Refused},
		{"411", 411, "a length is required", ClassLength, Refused},
		{"414", 414, "too long", ClassRequest, Refused},
		{"415", 415, "no such type", ClassRequest, Refused},
		{"422", 422, "not to be processed", ClassRequest, Refused},
		{"423", 423, "locked", ClassLocked, Pending},
		{"451", 451, "withheld", ClassWithheld, Refused},
		{"413", 413, "too big", ClassPackTooLarge, Refused},
		{"429", 429, "slow down", ClassRateLimit, Pending},
		{"500", 500, "oops", ClassServer, Pending},
		{"502", 502, "bad gateway", ClassServer, Pending},
		{"200 of a login page", 200, "<html>please log in</html>", ClassServer, Pending},
	} {
		for _, where := range []string{"info/refs?service=git-receive-pack", "POST /me/repo.git/git-receive-pack"} {
			if c.status == 200 && strings.HasPrefix(where, "POST") {
				continue
			}
			t.Run(c.name+" at "+where[:4], func(t *testing.T) {
				w := newWorld(t)
				one := w.commit("refs/heads/main", "one")
				header := []string{"Content-Type: text/plain"}
				if c.status == 401 {
					header = append(header, `WWW-Authenticate: Basic realm="x"`)
				}
				w.forge.Inject(&forgetest.Fault{On: where, Do: forgetest.Answer(c.status, c.body, header...)})
				r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
				if r.Class != c.class || r.Status != c.state {
					t.Errorf("%+v", r)
				}
				if r.Advice == "" || r.Detail.IsZero() {
					t.Errorf("says nothing: %+v", r)
				}
				w.wantThere("refs/heads/main", "")
				d := w.row("refs/heads/main")
				if (d.State == store.DeliveryWaiting) != (c.state == Pending) || d.Put != "" {
					t.Errorf("ledger %+v", d)
				}
				// When it is over, the next delivery heals it.
				w.forge.Heal()
				w.push(Want{"refs/heads/main", one})
				w.wantThere("refs/heads/main", one)
			})
		}
	}
}

// A proxy that takes no chunked requests gets the pack with its length.
func TestAPackGoesWithItsLengthWhereThatIsRequired(t *testing.T) {
	w := newWorld(t)
	large := make([]byte, 3<<20) // above git's http.postBuffer, and nothing that deflates
	rand.NewChaCha8([32]byte{1}).Read(large)
	one := w.commit("refs/heads/main", string(large))
	fault := w.forge.Inject(&forgetest.Fault{On: "POST /me/repo.git/git-receive-pack", Do: func(rw http.ResponseWriter, r *http.Request, next http.Handler) {
		if r.ContentLength < 0 {
			http.Error(rw, "a length is required", http.StatusLengthRequired)
			return
		}
		next.ServeHTTP(rw, r)
	}})
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
	if r.Status != Created || fault.Done() < 2 {
		t.Errorf("%+v after %d requests", r, fault.Done())
	}
	w.wantThere("refs/heads/main", one)
}

// The push landed and the answer did not say so.
func TestUnclearEnds(t *testing.T) {
	for name, fault := range map[string]func() *forgetest.Fault{
		"500 after landing":    func() *forgetest.Fault { return &forgetest.Fault{Do: forgetest.LandThen(500, "oops")} },
		"502 after landing":    func() *forgetest.Fault { return &forgetest.Fault{Do: forgetest.LandThen(502, "oops")} },
		"empty answer":         func() *forgetest.Fault { return &forgetest.Fault{Do: forgetest.CutOff(0)} },
		"answer cut off":       func() *forgetest.Fault { return &forgetest.Fault{Do: forgetest.CutOff(7)} },
		"answer cut off later": func() *forgetest.Fault { return &forgetest.Fault{Do: forgetest.CutOff(40)} },
		"an empty 200":         func() *forgetest.Fault { return &forgetest.Fault{Do: forgetest.LandThen(200, "")} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			zeroth := w.commit("refs/heads/main", "zeroth")
			w.push(Want{"refs/heads/main", zeroth})
			one := w.commit("refs/heads/main", "one", zeroth)
			f := fault()
			f.On, f.Times = "POST /me/repo.git/git-receive-pack", 1
			w.forge.Inject(f)
			r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
			if f.Done() != 1 {
				t.Fatal("the fault did not strike")
			}
			if r.Status != Updated {
				t.Errorf("%+v", r)
			}
			w.wantThere("refs/heads/main", one)
			if d := w.row("refs/heads/main"); d.State != store.DeliveryLanded || d.Put != one {
				t.Errorf("ledger %+v", d)
			}
		})
	}
}

// The same, but the remote cannot be read afterwards, and something newer is
// wanted by then: that an earlier attempt may have landed is not forgotten.
func TestUnclearEndIsSettledByTheNextAttempt(t *testing.T) {
	w := newWorld(t)
	zeroth := w.commit("refs/heads/main", "zeroth")
	w.push(Want{"refs/heads/main", zeroth})
	one := w.commit("refs/heads/main", "one")
	w.forge.Inject(&forgetest.Fault{On: "POST /me/repo.git/git-receive-pack", Do: forgetest.LandThen(500, "oops")})
	w.forge.Inject(&forgetest.Fault{On: "service=git-upload-pack", Do: forgetest.Answer(500, "oops")})
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
	if r.Status != Pending {
		t.Errorf("%+v", r)
	}
	if d := w.row("refs/heads/main"); d.Sent != one || d.Put != zeroth {
		t.Errorf("ledger %+v", d)
	}
	w.forge.Heal()
	two := w.commit("refs/heads/main", "not ahead of either")
	w.push(Want{"refs/heads/main", two})
	w.wantThere("refs/heads/main", two)
}

func TestTransientFaultIsTriedAgainAtOnce(t *testing.T) {
	w := newWorld(t, Pauses(time.Millisecond, time.Millisecond))
	one := w.commit("refs/heads/main", "one")
	w.forge.Inject(&forgetest.Fault{On: "info/refs", Times: 2, Do: forgetest.Answer(503, "down")})
	if r := only(t, w.push(Want{"refs/heads/main", one})); r.Status != Created {
		t.Errorf("%+v", r)
	}
}

func TestStallEnds(t *testing.T) {
	w := newWorld(t, AttemptLimit(300*time.Millisecond))
	one := w.commit("refs/heads/main", "one")
	release := make(chan struct{})
	defer close(release)
	w.forge.Inject(&forgetest.Fault{On: "info/refs", Do: forgetest.Stall(release)})
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
	if r.Status != Pending || r.Class != ClassStalled {
		t.Errorf("%+v", r)
	}
}

func TestRedirectGetsNoCredential(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	elsewhere := forgetest.New(t)
	elsewhere.Repo("me/repo.git")
	w.forge.Inject(&forgetest.Fault{Do: forgetest.Redirect(elsewhere.URL)})
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
	if r.Status != Refused || r.Class != ClassRedirect {
		t.Errorf("%+v", r)
	}
	if got := elsewhere.Requests(); len(got) != 0 {
		t.Errorf("the other host was asked: %+v", got)
	}
}

func TestRemoteGone(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	if err := os.RemoveAll(w.dst); err != nil {
		t.Fatal(err)
	}
	rep := w.deliver(w.request(Want{"refs/heads/main", one}))
	if r := only(t, rep); r.Class != ClassNotFound || r.Status != Refused {
		t.Errorf("%+v", r)
	}
	if err := rep.Err(); err == nil || !strings.Contains(err.Error(), "mirror forge: main refused (not-found)") || !strings.Contains(err.Error(), "secret forge_token") {
		t.Errorf("%v", err)
	}
}

func TestServerDown(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.target.URL = "http://127.0.0.1:1/me/repo.git"
	if r := only(t, w.deliver(w.request(Want{"refs/heads/main", one}))); r.Class != ClassNetwork || r.Status != Pending {
		t.Errorf("%+v", r)
	}
}

func TestWrongTokenThenRotated(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	req := w.request(Want{"refs/heads/main", one})
	req.Credential = secret.NewValue("ghp_anotherTokenThatIsWrong")
	rep := w.deliver(req)
	if r := only(t, rep); r.Class != ClassAuth || r.Status != Refused {
		t.Errorf("%+v", r)
	}
	if text := rep.String() + rep.Err().Error(); strings.Contains(text, "anotherToken") {
		t.Errorf("the token is in the report:\n%s", text)
	}
	w.push(Want{"refs/heads/main", one})
	w.wantThere("refs/heads/main", one)
}

func TestRetryTimeIsLimited(t *testing.T) {
	now := time.Unix(1700000000, 0)
	w := newWorld(t, Clock(func() time.Time { return now }))
	w.target.RetryFor = time.Hour
	one := w.commit("refs/heads/main", "one")
	w.forge.Inject(&forgetest.Fault{Do: forgetest.Answer(503, "down")})
	req := w.request(Want{"refs/heads/main", one})
	if r := only(t, w.deliver(req)); r.Status != Pending {
		t.Errorf("%+v", r)
	}
	now = now.Add(61 * time.Minute)
	retry := req
	retry.Refs = nil // as the worker does: what is owed
	r := only(t, w.deliver(retry))
	if r.Status != Refused || r.Class != ClassServer || !strings.Contains(r.Detail.String(), "given up after 1h") {
		t.Errorf("%+v", r)
	}
}

// A ref is created there, nobody hears of it, and it is deleted here before the
// end is known: what is said of it is what is there. It stays, since who created
// it cannot be known, and is not called deleted.
func TestDeletedBeforeItsCreationWasHeardOf(t *testing.T) {
	for name, landed := range map[string]bool{"it landed": true, "it did not land": false} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			zeroth := w.commit("refs/heads/main", "zeroth")
			w.push(Want{"refs/heads/main", zeroth})
			one := w.commit("refs/heads/topic", "one")
			do := forgetest.LandThen(500, "oops")
			if !landed {
				do = forgetest.Answer(500, "oops")
			}
			w.forge.Inject(&forgetest.Fault{On: "POST /me/repo.git/git-receive-pack", Do: do})
			w.forge.Inject(&forgetest.Fault{On: "service=git-upload-pack", Do: forgetest.Answer(500, "oops")})
			if r := only(t, w.deliver(w.request(Want{"refs/heads/topic", one}))); r.Status != Pending {
				t.Fatalf("%+v", r)
			}
			git(t, w.src, "update-ref", "-d", "refs/heads/topic")
			// As long as the remote cannot be read, nothing is said of it.
			r := only(t, w.deliver(w.request(Want{"refs/heads/topic", zero})))
			if d := w.row("refs/heads/topic"); r.Status != Pending || !d.State.Open() || d.Sent != one {
				t.Errorf("%+v\nledger %+v", r, d)
			}
			w.forge.Heal()
			r = only(t, w.deliver(w.request(Want{"refs/heads/topic", zero})))
			if !landed {
				if d := w.row("refs/heads/topic"); r.Status != Deleted || d.State != store.DeliveryGone || d.Sent != "" {
					t.Errorf("%+v\nledger %+v", r, d)
				}
				w.wantThere("refs/heads/topic", "")
				return
			}
			w.wantThere("refs/heads/topic", one)
			if r.Status != Kept || r.There != one || r.Detail.IsZero() {
				t.Errorf("%+v", r)
			}
			if d := w.row("refs/heads/topic"); d.State != store.DeliveryRefused || d.Put != one || d.Ours {
				t.Errorf("ledger %+v", d)
			}
			// It is in nobody's way, and the ref that comes back goes on from there.
			w.push(Want{"refs/heads/main", w.commit("refs/heads/main", "two", zeroth)})
			w.push(Want{"refs/heads/topic", w.commit("refs/heads/topic", "three")})
		})
	}
}

// What is kept back before any push is made counts as tried, and is tried less
// and less often.
func TestWhatCannotBeTriedIsTriedLessOften(t *testing.T) {
	unfetched := func(context.Context) (secret.Value, error) { return secret.Value{}, errors.New("no such command") }
	for name, c := range map[string]struct {
		class   Class
		resolve func(context.Context) (secret.Value, error)
		prepare func(*world) Want
	}{
		"the secret cannot be fetched": {ClassSecret, unfetched, func(w *world) Want {
			return Want{"refs/heads/main", w.commit("refs/heads/main", "one")}
		}},
		"what was sent before cannot be looked for": {ClassServer, nil, func(w *world) Want {
			one := w.commit("refs/heads/topic", "one")
			w.forge.Inject(&forgetest.Fault{On: "git-receive-pack", Do: forgetest.Answer(500, "oops")})
			w.forge.Inject(&forgetest.Fault{On: "service=git-upload-pack", Do: forgetest.Answer(500, "oops")})
			w.deliver(w.request(Want{"refs/heads/topic", one}))
			return Want{"refs/heads/topic", zero}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			want := c.prepare(w)
			for n := 1; n <= 5; n++ {
				req := w.request()
				if n == 1 {
					req = w.request(want)
				}
				if req.Resolve = c.resolve; req.Resolve != nil {
					req.Credential = secret.Value{}
				}
				rep := w.deliver(req)
				if r := only(t, rep); r.Status != Pending || r.Class != c.class {
					t.Fatalf("attempt %d: %+v", n, r)
				}
				if d := w.row(want.Ref); d.Attempts != n || n == 5 && d.NextAt.Sub(d.At) < 40*time.Second {
					t.Errorf("attempt %d: the ledger says %d, and the next after %s", n, d.Attempts, d.NextAt.Sub(d.At))
				}
			}
		})
	}
}
