package mirror

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"
	"testing"
	"time"

	"quire/internal/secret"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

func b64(s string) string { return base64.StdEncoding.EncodeToString([]byte(s)) }

func TestRecipeOf(t *testing.T) {
	given := map[string]secret.Value{
		"token":  secret.NewValue(token + "\n"),
		"header": secret.NewValue("Authorization: Basic " + b64("me:another-t0ken-5a5a")),
		"short":  secret.NewValue("abc"),
		"pair":   secret.NewValue("robot:pa55word-of-the-robot"),
	}
	const stranger = "ghp_aTokenThatNobodyDeclared0123456789"
	for _, c := range []struct{ what, header, name, recipe string }{
		{"the secret is the header", "Authorization: Basic " + b64("me:another-t0ken-5a5a"), "header", ""},
		{"bearer", "Authorization: Bearer " + token, "token", "Authorization: Bearer {}"},
		{"GitLab's field", "PRIVATE-TOKEN: " + token, "token", "PRIVATE-TOKEN: {}"},
		{"basic", "Authorization: Basic " + b64("x-access-token:"+token), "token", "Authorization: Basic base64(x-access-token:{})"},
		{"basic without a user", "Authorization: Basic " + b64(":"+token), "token", "Authorization: Basic base64(:{})"},
		{"the token as user", "Authorization: Basic " + b64(token+":x-oauth-basic"), "token", "Authorization: Basic base64({}:x-oauth-basic)"},
		{"the token alone", "Authorization: Basic " + b64(token), "token", "Authorization: Basic base64({})"},
		{"user and password", "Authorization: Basic " + b64("robot:pa55word-of-the-robot"), "pair", "Authorization: Basic base64({})"},
		{"space around", "  Authorization: Bearer " + token + "\n", "token", "Authorization: Bearer {}"},
		{"nobody's", "Authorization: Bearer " + stranger, "", unrecorded},
		{"nobody's, with a declared user", "Authorization: Basic " + b64(token+":"+stranger), "", unrecorded},
		{"nobody's user", "Authorization: Basic " + b64(stranger+":"+token), "", unrecorded},
		{"a part of it", "Authorization: Bearer " + token[:20], "", unrecorded},
		{"more than it", "Authorization: Bearer " + token + stranger, "", unrecorded},
		{"two spaces", "Authorization: Bearer  " + token, "", unrecorded},
		{"too short to be sure", "Authorization: Bearer abc", "", unrecorded},
		{"the secret as the field", token + ": x", "", unrecorded},
		{"no base64", "Authorization: Basic " + token + "!", "", unrecorded},
		{"empty", "", "", unrecorded},
	} {
		name, recipe := RecipeOf(c.header, given)
		if name != c.name || recipe != c.recipe {
			t.Errorf("%s: %q by %q, want %q by %q", c.what, name, recipe, c.name, c.recipe)
		}
		if recipe == "" || recipe == unrecorded {
			continue
		}
		if made, err := follow(recipe, given[name].Reveal()); err != nil || made != strings.TrimSpace(c.header) {
			t.Errorf("%s: made again it is %q, %v", c.what, made, err)
		}
	}
	if _, err := follow("Authorization: rot13({})", token); err == nil || strings.Contains(err.Error(), token) {
		t.Errorf("a recipe of a later quire: %v", err)
	}
}

// A recipe never holds anything of the header but what it may.
func FuzzRecipeOf(f *testing.F) {
	f.Add("Authorization: Basic " + b64("x:"+token))
	f.Add("A: b " + token)
	f.Add("Authorization: Bearer {}")
	f.Fuzz(func(t *testing.T, header string) {
		_, recipe := RecipeOf(header, map[string]secret.Value{"token": secret.NewValue(token)})
		if recipe == "" || recipe == unrecorded {
			return
		}
		if strings.Contains(recipe, token) || strings.Count(recipe, "{}") != 1 {
			t.Fatalf("%q gives %q", header, recipe)
		}
		if made, err := follow(recipe, token); err != nil || made != strings.TrimSpace(header) {
			t.Fatalf("%q gives %q, which gives %q, %v", header, recipe, made, err)
		}
	})
}

// byHeader is a delivery whose pipeline brought a header.
func (w *world) byHeader(header string, wants ...Want) Request {
	req := w.request(wants...)
	req.Credential = secret.NewValue(header)
	req.Target.Secret, req.Target.Auth = RecipeOf(header, map[string]secret.Value{"forge_token": secret.NewValue(token)})
	return req
}

// What a pipeline tried with a header of its own, the worker tries again, with
// the secret as it is then.
func TestHeaderIsMadeAnew(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	w.forge.Inject(&forgetest.Fault{On: "info/refs", Times: 1, Do: forgetest.Answer(503, "down")})
	r := only(t, w.deliver(w.byHeader("Authorization: Basic "+b64("ada:"+token), Want{"refs/heads/main", one})))
	if r.Status != Pending {
		t.Fatalf("%+v", r)
	}
	_, told := w.keeping()
	n := <-told
	if n.Err != nil || only(t, n.Report).Status != Created {
		t.Fatalf("%+v", n)
	}
	w.wantThere("refs/heads/main", one)
	requests := w.forge.Requests()
	if got, want := requests[len(requests)-1].Authorization, "Basic "+b64("ada:"+token); got != want {
		t.Errorf("sent %q, want %q", got, want)
	}
	targets, err := w.store.Targets(context.Background(), w.src, "")
	if err != nil || len(targets) != 1 || targets[0].Auth != "Authorization: Basic base64(ada:{})" || targets[0].Secret != "forge_token" {
		t.Errorf("%+v, %v", targets, err)
	}
}

// A header that cannot be made again is not tried without the pipeline: that
// would be a push without a credential, and an error that misleads.
func TestHeaderThatOnlyThePipelineHas(t *testing.T) {
	const stranger = "Authorization: Bearer aTokenThatNobodyDeclared"
	for _, how := range []string{"failed", "killed"} {
		t.Run(how, func(t *testing.T) {
			var c clock
			w := newWorld(t, c.option())
			w.forge.Require(func(_, _, header string) bool { return "Authorization: "+header == stranger })
			one := w.commit("refs/heads/main", "one")
			req := w.byHeader(stranger, Want{"refs/heads/main", one})
			if how == "failed" {
				f := w.forge.Inject(&forgetest.Fault{On: "info/refs", Do: forgetest.Answer(503, "down")})
				w.engine.pauses = []time.Duration{time.Millisecond}
				r := only(t, w.deliver(req))
				if r.Status != Refused || r.Class != ClassServer || !strings.Contains(r.Detail.String(), ":auth-header") || f.Done() < 2 {
					t.Errorf("after %d attempts: %+v", f.Done(), r)
				}
				w.forge.Heal()
			} else {
				ctx, cancel := context.WithCancelCause(context.Background())
				w.forge.Inject(&forgetest.Fault{On: "info/refs", Times: 1, Do: forgetest.Before(func() { cancel(errors.New("killed")) })})
				w.engine.Deliver(ctx, req)
			}
			asked := len(w.forge.Requests())
			c.advance(time.Minute)
			k, _ := w.keeping()
			if next := w.rests(k); !next.IsZero() {
				t.Errorf("something is due at %v", next)
			}
			if n := len(w.forge.Requests()); n != asked {
				t.Errorf("the forge was asked %d times without the header", n-asked)
			}
			if d := w.row("refs/heads/main"); d.State != store.DeliveryRefused || !strings.Contains(d.Error.String(), ":auth-header") {
				t.Errorf("ledger %+v", d)
			}
			c.advance(time.Hour)
			// The next run brings it, and what was left behind goes along.
			side := w.commit("refs/heads/side", "side")
			if rep := w.deliver(w.byHeader(stranger, Want{"refs/heads/side", side})); !rep.OK() {
				t.Errorf("%s", rep)
			}
			w.wantThere("refs/heads/main", one)
			if err := w.store.Close(); err != nil {
				t.Fatal(err)
			}
			if leaks := grep(t, w.state, "aTokenThatNobodyDeclared"); len(leaks) > 0 {
				t.Errorf("the header is in %v", leaks)
			}
		})
	}
}
