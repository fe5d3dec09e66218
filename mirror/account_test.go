package mirror

import (
	"context"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
	"quire/mirror/forgetest"
)

// account is what the pusher of p is told.
func (w *world) account(k *Keeper, p event.Push) (text string, settled bool) {
	w.t.Helper()
	var refs []string
	for _, u := range p.Updates {
		refs = append(refs, u.Ref)
	}
	rep, settled, err := k.Account(context.Background(), p, Target{Name: w.target.Name, URL: w.target.URL}, refs)
	if err != nil {
		w.t.Fatal(err)
	}
	var b strings.Builder
	for _, l := range rep.Lines() {
		b.WriteString(l.Kind + "|" + l.Text + "\n")
	}
	return b.String(), settled
}

func (w *world) wantAccount(k *Keeper, p event.Push, settled bool, lines ...string) {
	w.t.Helper()
	text, is := w.account(k, p)
	if is != settled {
		w.t.Errorf("settled %v, want %v:\n%s", is, settled, text)
	}
	got := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i, want := range lines {
		if i >= len(got) || !strings.HasPrefix(got[i], want) {
			w.t.Errorf("told\n%s\nline %d was to begin with %q", text, i, want)
			return
		}
	}
	if len(got) > len(lines) {
		w.t.Errorf("told more than\n%s\n%s", strings.Join(lines, "\n"), text)
	}
}

func TestAccountOfAPush(t *testing.T) {
	var c clock
	w := newWorld(t, c.option())
	k, _ := w.keeping(w.order())
	forgetest.Hook(t, w.dst, "update", `test $1 != refs/heads/no || { echo "we do not want it" >&2; exit 1; }`)
	one := w.commit("refs/heads/main", "one")
	short := event.ShortOID(one)
	p := w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"}, event.Update{Old: zero, New: one, Ref: "refs/heads/no"},
		event.Update{Old: zero, New: one, Ref: "refs/tags/v1"}, event.Update{Old: one, New: zero, Ref: "refs/heads/old"})
	owed := NewKeeper(w.engine, KeeperOptions{Orders: []Order{w.order()}})
	if err := owed.Owe(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	k.Wake()
	w.rests(k)
	w.wantAccount(k, p, true, "|mirror forge  main -> "+short+", tags/v1 -> "+short+", old deleted",
		"error|mirror forge: no refused (declined): ", "hint|A hook at forge declined it")
	// A later push takes the place of an earlier one.
	two := w.commit("refs/heads/main", "two", one)
	later := w.event(event.Update{Old: one, New: two, Ref: "refs/heads/main"})
	if err := owed.Owe(context.Background(), later); err != nil {
		t.Fatal(err)
	}
	p.Updates = p.Updates[:1]
	w.wantAccount(k, p, true, "|mirror forge  main superseded by a later push")
	w.wantAccount(k, later, false, "warning|mirror forge: main is still under way")
}

// A host that is down: nothing is said of the first failure, which most often
// passes, and after the second when it is tried again.
func TestAccountOfAHostThatIsDown(t *testing.T) {
	var c clock
	w := newWorld(t, c.option())
	w.forge.Inject(&forgetest.Fault{On: "info/refs", Do: forgetest.Answer(503, "down")})
	k, _ := w.keeping(w.order())
	one := w.commit("refs/heads/main", "one")
	p := w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"}, event.Update{Old: zero, New: one, Ref: "refs/tags/v1"})
	if err := k.Owe(context.Background(), p); err != nil {
		t.Fatal(err)
	}
	w.rests(k)
	if _, settled := w.account(k, p); settled {
		t.Error("settled after one failure")
	}
	c.advance(2 * time.Second)
	k.Wake()
	w.rests(k)
	w.wantAccount(k, p, true, "warning|mirror forge: main, tags/v1 pending (server): ") // one cause, one line
	if text, _ := w.account(k, p); !strings.Contains(text, "it is tried again at ") {
		t.Errorf("told\n%s", text)
	}
}

func TestAccountNamesFewRefs(t *testing.T) {
	var r Report
	r.Target = "forge"
	for _, ref := range []string{"a", "b", "c", "d", "e", "f"} {
		r.Results = append(r.Results, Result{Ref: "refs/heads/" + ref, OID: strings.Repeat("1", 40), Status: Updated})
	}
	lines := r.Lines()
	if len(lines) != 1 || !strings.HasSuffix(lines[0].Text, "d -> 11111111, and 2 more") {
		t.Errorf("%q", lines)
	}
}
