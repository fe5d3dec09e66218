package runlog

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

// However many jobs fail, and whatever they say, the outcome is a small file.
func TestAnOutcomeIsBounded(t *testing.T) {
	d := Dir(t.TempDir())
	long := masked.Join(make([]masked.Text, 64<<10), "x")
	o := Outcome{Run: "r", State: event.RunFailed, Reason: long}
	for i := range 10_000 {
		o.Jobs = append(o.Jobs, JobOutcome{ID: fmt.Sprint("job", i), State: event.JobFailed, Reason: long})
	}
	if err := d.WriteOutcome(o); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(d.OutcomeFile())
	if err != nil || st.Size() > 8<<20 {
		t.Fatalf("it has %d bytes, %v", st.Size(), err)
	}
	got, err := d.Outcome()
	if err != nil || len(got.Jobs) != 10_000 || len(got.Jobs[9_999].Reason.String()) < minJobReason/2 || len(got.Reason.String()) < maxReason/2 {
		t.Errorf("%d jobs, %v", len(got.Jobs), err)
	}
	if len(o.Jobs[0].Reason.String()) != len(long.String()) {
		t.Error("the caller's own reasons were cut")
	}
}

func TestWhatAPusherIsToldIsBounded(t *testing.T) {
	state := t.TempDir()
	var notes []string
	for i := range 100_000 {
		notes = append(notes, fmt.Sprint("note ", i))
	}
	notes[3] = strings.Repeat("x", 1<<20)
	if err := WriteTaken(state, Taken{Push: "p", Notes: notes}); err != nil {
		t.Fatal(err)
	}
	got, err := ReadTaken(state, "p")
	if err != nil || len(got.Notes) != maxNotes+1 || got.Notes[maxNotes] != "warning: and 99950 more such lines" || len(got.Notes[3]) > maxNote {
		t.Errorf("%d notes, %v", len(got.Notes), err)
	}
	text := masked.Join(make([]masked.Text, 50_000), "mirror  somewhere  main -> 3f2a91c8\n")
	if err := WriteMirrorReport(state, "p", text); err != nil {
		t.Fatal(err)
	}
	report, err := os.ReadFile(MirrorReportFile(state, "p"))
	if err != nil || len(report) > maxMirrorReport+200 || !strings.HasSuffix(string(report), "3f2a91c8\nhint: more is left out; see it with: quire mirror status\n") {
		t.Errorf("%d bytes, %v, …%q", len(report), err, report[max(0, len(report)-200):])
	}
}
