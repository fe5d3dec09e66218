package mirror

import (
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
				if r.Advice == "" || r.Detail == "" {
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
	if r.Status != Refused || r.Class != ClassServer || !strings.Contains(r.Detail, "given up after 1h") {
		t.Errorf("%+v", r)
	}
}
