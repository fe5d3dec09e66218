package runlog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"quire/internal/event"
)

func TestJobNames(t *testing.T) {
	for id, name := range map[string]string{
		"test":         "test",
		"quire/mirror": "quire%2Fmirror",
		"..":           "%2E.",
		".":            "%2E",
		"-rf":          "%2Drf",
		"100%":         "100%25",
		"a\nb\x00":     "a%0Ab%00",
		"späß v1.2":    "späß v1.2",
	} {
		if got := EncodeJob(id); got != name {
			t.Errorf("EncodeJob(%q) = %q, want %q", id, got, name)
		}
		if got, ok := DecodeJob(name); got != id || !ok {
			t.Errorf("DecodeJob(%q) = %q, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "%", "%2", "%zz", "a/b", "%41", ".", "%2f"} {
		if id, ok := DecodeJob(name); ok {
			t.Errorf("DecodeJob(%q) = %q", name, id)
		}
	}
	long, other := strings.Repeat("ü", 300)+"a", strings.Repeat("ü", 300)+"b"
	if a, b := EncodeJob(long), EncodeJob(other); a == b || len(a) > 255 || strings.ContainsRune(a, '\ufffd') {
		t.Errorf("long ids: %q, %q", a, b)
	}
	if _, ok := DecodeJob(EncodeJob(long)); ok {
		t.Error("a cut id came back")
	}
}

func FuzzJobNames(f *testing.F) {
	f.Add("quire/mirror")
	f.Add("%-")
	f.Fuzz(func(t *testing.T, id string) {
		name := EncodeJob(id)
		if strings.ContainsAny(name, "/\x00") || name == "." || name == ".." || name == "" || len(name) > 255 {
			t.Fatalf("EncodeJob(%q) = %q is no file name", id, name)
		}
		if got, ok := DecodeJob(name); ok && got != id {
			t.Fatalf("DecodeJob(EncodeJob(%q)) = %q", id, got)
		}
	})
}

func TestRecords(t *testing.T) {
	d := Dir(t.TempDir())
	if got, err := d.Records(); got != nil || err != nil {
		t.Errorf("before the first: %v, %v", got, err)
	}
	a, err := Append(d.Events())
	if err != nil {
		t.Fatal(err)
	}
	zero := 0
	want := []event.Record{
		{AtMS: 1, Type: event.RunStarted},
		{AtMS: 2, Type: event.ShFinished, Job: "a \"b\"\n", Sh: 1, Exit: &zero, DurationMS: 3},
	}
	for _, r := range want {
		if err := a.Record(r); err != nil {
			t.Fatal(err)
		}
	}
	if err := a.Close(); err != nil {
		t.Fatal(err)
	}
	// A crash tears the last line; what is added afterwards is whole again.
	f, _ := os.OpenFile(d.Events(), os.O_APPEND|os.O_WRONLY, 0)
	f.WriteString(`{"at_ms":3,"ty`)
	f.Close()
	if got, err := d.Records(); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("with a torn line: %+v, %v", got, err)
	}
	if a, err = Append(d.Events()); err != nil {
		t.Fatal(err)
	}
	end := event.Record{AtMS: 4, Type: event.RunFinished, State: "orphaned"}
	if err := errors.Join(a.Record(end), a.Close()); err != nil {
		t.Fatal(err)
	}
	if got, err := d.Records(); err != nil || !reflect.DeepEqual(got, append(want, end)) {
		t.Errorf("after the crash: %+v, %v", got, err)
	}
}

func TestOutcome(t *testing.T) {
	d := RunDir(t.TempDir(), event.NewID(time.Now()))
	if _, err := d.Outcome(); !errors.Is(err, fs.ErrNotExist) || d.Ended() {
		t.Errorf("before the end: %v", err)
	}
	want := Outcome{Run: "r", Number: 12, State: event.RunFailed, Reason: said("lint"), FinishedAt: time.UnixMilli(5).UTC(),
		Duration: time.Second, Jobs: []JobOutcome{{ID: "lint", State: event.JobFailed, Attempt: 2, Duration: 7}}}
	if err := d.WriteOutcome(want); err != nil {
		t.Fatal(err)
	}
	got, err := d.Outcome()
	if err != nil || !reflect.DeepEqual(got, want) || !d.Ended() {
		t.Errorf("Outcome = %+v, %v", got, err)
	}
	if left, _ := filepath.Glob(filepath.Join(string(d), ".outcome*")); left != nil {
		t.Errorf("left: %v", left)
	}
}

func TestTaken(t *testing.T) {
	state, id := t.TempDir(), event.NewID(time.Now())
	if _, err := ReadTaken(state, id); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("before: %v", err)
	}
	if err := WriteTaken(state, Taken{Push: id}); err != nil {
		t.Fatal(err)
	}
	data, _ := os.ReadFile(TakenFile(state, id))
	if want := `{"push":"` + id + `","runs":[],"notes":[]}` + "\n"; string(data) != want {
		t.Errorf("%s", data)
	}
	want := Taken{Push: id, Runs: []TakenRun{{ID: "x", Number: 3, Ref: "refs/heads/m", New: "aa"}}, Notes: []string{"n"}}
	if err := WriteTaken(state, want); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadTaken(state, id); err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("ReadTaken = %+v, %v", got, err)
	}
}
