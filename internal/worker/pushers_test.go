package worker

import (
	"strings"
	"testing"

	"quire/internal/event"
)

// A secret that is limited to pushers reaches the runs of their pushes, by the name
// that the hook was told to believe, and no others; a retry is of the same push.
func TestASecretIsGivenByWhoPushed(t *testing.T) {
	w := newWorld(t, "[hook]\npusher_from = [\"GL_USER\"]\n[secrets.deploy]\nvalue = \"a-value-that-is-secret\"\npushers = [\"alice\"]\n")
	r := w.repo("project")
	for _, c := range []struct {
		variable, pusher string
		state            event.RunState
	}{
		{"GL_USER=alice", "alice", event.RunSucceeded},
		{"GL_USER=bob", "bob", event.RunFailed},
		{"QUIRE_PUSHER=alice", "", event.RunFailed}, // not listed
	} {
		name, value, _ := strings.Cut(c.variable, "=")
		t.Setenv(name, value)
		r.commit(`(runtime.secret :deploy) (runtime.run "true")`)
		said := r.push()
		t.Setenv(name, "")
		runs := w.runs()
		last := runs[len(runs)-1]
		w.until("it is over", func() bool { return w.state(last.ID).Final() })
		if w.state(last.ID) != c.state || c.pusher != "" && last.Pusher != c.pusher || c.pusher == "" && last.Pusher == "alice" {
			t.Errorf("%s: pushed by %s, the run %s\n%s", c.variable, last.Pusher, w.state(last.ID), said)
		}
		if c.state == event.RunFailed && !strings.Contains(said, "secret deploy is limited to pushers alice") {
			t.Errorf("%s: the pusher saw\n%s", c.variable, said)
		}
	}
	s := w.store()
	defer s.Close()
	runs := w.runs()
	again, err := Retry(t.Context(), w.cfg, s, runs[1].ID)
	if err != nil || again.Pusher != "bob" {
		t.Fatalf("%+v, %v", again, err)
	}
	w.workOff()
	if w.state(again.ID) != event.RunFailed {
		t.Error("a retry of bob's push was given alice's secret")
	}
}
