package worker

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/event"
	"quire/internal/runlog"
)

// A worker that is killed between the end of a run and the deletion of what its
// commands wrote leaves a workspace that no lock speaks of.
func TestTheNextWorkerDeletesAWorkspaceThatWasLeft(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("one")
	r.commit(`(runtime.run "true")`)
	r.push()
	w.workOff()
	runs := w.runs()
	if len(runs) != 1 || !runs[0].State.Final() {
		t.Fatalf("runs: %v", runs)
	}
	d := runlog.RunDir(w.root, runs[0].ID)
	for _, dir := range []string{d.Workspace(), d.Scratch()} {
		if err := os.MkdirAll(filepath.Join(dir, "left/behind"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	w.workOff()
	for _, dir := range []string{d.Workspace(), d.Scratch()} {
		if _, err := os.Lstat(dir); err == nil {
			t.Errorf("%s is still there", dir)
		}
	}
}

// A worker can die between any two steps of ending a run that workers died over;
// the next one does the rest, and nothing twice.
func TestARunWhoseRecordsAreNotReadEndsOnce(t *testing.T) {
	w := newWorld(t, "")
	r := w.repo("one")
	r.commit(`(runtime.run "true")`)
	r.push()
	w.workOff()
	run := w.runs()[0]
	d := runlog.RunDir(w.root, run.ID)
	st := w.store()
	defer st.Close()
	for _, left := range []string{"all but the outcome", "the report"} {
		if err := os.Remove(filepath.Join(string(d), "outcome")); err != nil {
			t.Fatal(err)
		}
		if left == "the report" {
			if err := os.Remove(d.Events()); err != nil {
				t.Fatal(err)
			}
		}
		dead := &worker{cfg: w.cfg, store: st}
		dead.Log = slog.New(slog.DiscardHandler)
		if err := dead.settleUnread(context.Background(), run, 2); err != nil {
			t.Fatal(err)
		}
		report, err := os.ReadFile(d.PushLog())
		if n := strings.Count(string(report), fmt.Sprintf(": run %d ", run.Number)); err != nil || n != 1 {
			t.Errorf("%s was there: the report says the end %d times: %v\n%s", left, n, err, report)
		}
		records, err := d.Records()
		ends := 0
		for _, rec := range records {
			if rec.Type == event.RunFinished {
				ends++
			}
		}
		if err != nil || ends != 1 {
			t.Errorf("%s was there: %d events of the end: %v", left, ends, err)
		}
		out, err := d.Outcome()
		if err != nil || out.State != run.State {
			t.Errorf("%s was there: the outcome says %s, want %s: %v", left, out.State, run.State, err)
		}
	}
}
