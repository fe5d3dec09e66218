package runlog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

// A pipeline may say without end; the file has one, says where it was cut, and
// still tells how the run ended.
func TestEventsHaveABoundAndAnEnd(t *testing.T) {
	dir := Dir(t.TempDir())
	a, err := Append(dir.Events())
	if err != nil {
		t.Fatal(err)
	}
	const bound = 10_000
	a.Bound(bound)
	for i := range 1000 {
		if err := a.Record(event.Record{AtMS: int64(i), Type: event.Logged, Job: "a"}); err != nil {
			t.Fatal(err)
		}
	}
	last := event.Record{AtMS: 1000, Type: event.RunFinished, State: "succeeded"}
	if err := a.Record(last); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	st, err := os.Stat(dir.Events())
	if err != nil || st.Size() > bound+200 || st.Size() < bound-200 {
		t.Errorf("the file has %d bytes, of %d; %v", st.Size(), bound, err)
	}
	records, err := dir.Records()
	if err != nil {
		t.Fatal(err)
	}
	marks := 0
	for _, r := range records {
		if r.Type == event.EventsCut {
			marks++
		}
	}
	if n := len(records); marks != 1 || records[n-1].Type != event.RunFinished || records[n-2].Type != event.EventsCut {
		t.Errorf("%d marks, and the last events are %+v", marks, records[n-2:])
	}
	first, end, err := dir.Ends()
	if err != nil || first.AtMS != 0 || first.Type != event.Logged || end.Type != event.RunFinished {
		t.Errorf("Ends: %+v, %+v, %v", first, end, err)
	}
}

// What a version without a bound left must not be read whole.
func TestEndsOfALargeFileAreFound(t *testing.T) {
	dir := Dir(t.TempDir())
	f, err := os.Create(dir.Events())
	if err != nil {
		t.Fatal(err)
	}
	fmt.Fprintln(f, `{"at_ms":1,"type":"run_started"}`)
	if err := f.Truncate(1 << 40); err != nil { // holes, which no memory holds
		t.Fatal(err)
	}
	if _, err := f.Seek(0, 2); err != nil {
		t.Fatal(err)
	}
	fmt.Fprintf(f, "\n%s\n", `{"at_ms":2,"type":"run_finished","state":"failed"}`)
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	first, last, err := dir.Ends()
	if err != nil || first.Type != event.RunStarted || last.Type != event.RunFinished {
		t.Errorf("Ends: %+v, %+v, %v", first, last, err)
	}
}

func TestAReportHasABoundAndALastLine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "push.log")
	a, err := Append(path)
	if err != nil {
		t.Fatal(err)
	}
	const bound = 1 << 20
	a.Bound(bound)
	for range 40_000 {
		if err := a.Line(masked.Const("a line of a job that says much, again and again")); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.LastLine(masked.Const("success: run 1 succeeded in 1s")); err != nil {
		t.Fatal(err)
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if len(text) > bound+200 || strings.Count(string(text), "warning: this report is longer than 1 MiB") != 1 ||
		!strings.HasSuffix(string(text), "left out\nsuccess: run 1 succeeded in 1s\n") {
		t.Errorf("%d bytes, which end in %q", len(text), text[max(0, len(text)-200):])
	}
}
