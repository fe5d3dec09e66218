package hooks

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/runlog"
)

// reportOf makes the files of a push with two runs, both over.
func reportOf(t *testing.T) (Report, string) {
	t.Helper()
	state := t.TempDir()
	const id = "01m84rbhstxytz44he4gz3r10s"
	taken := runlog.Taken{Push: id, Notes: []string{"note: 1 more ref makes no run"}}
	text := "run  9  main       22222222\nrun 10  feature/é  22222222\nnote: 1 more ref makes no run\n"
	for i, run := range []struct{ id, ref, log string }{
		{"run1", "refs/heads/main", "run 9 begins\n  ok  test\nsuccess: run 9\n"},
		{"run2", "refs/heads/feature/é", "run 10 begins\nerror: run 10 failed\n"},
	} {
		d := runlog.RunDir(state, run.id)
		if err := os.MkdirAll(string(d), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(d.PushLog(), []byte(run.log), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.WriteOutcome(runlog.Outcome{Run: run.id}); err != nil {
			t.Fatal(err)
		}
		taken.Runs = append(taken.Runs, runlog.TakenRun{ID: run.id, Number: int64(9 + i), Ref: run.ref, New: oidB})
		text += run.log
	}
	if err := runlog.WriteTaken(state, taken); err != nil {
		t.Fatal(err)
	}
	return Report{StateDir: state, PushID: id}, text
}

// A follower that broke off anywhere goes on without a byte twice or missing.
func TestReportResumesAtEveryOffset(t *testing.T) {
	report, text := reportOf(t)
	for offset := range int64(len(text)) + 1 {
		var b bytes.Buffer
		end, err := report.Follow(context.Background(), &b, offset)
		if err != nil {
			t.Fatal(err)
		}
		if b.String() != text[offset:] || end != int64(len(text)) {
			t.Fatalf("from %d to %d:\n%s", offset, end, &b)
		}
	}
}

// limited takes n bytes and then fails, as a connection does.
type limited struct {
	b bytes.Buffer
	n int
}

var errFull = errors.New("full")

func (l *limited) Write(p []byte) (int, error) {
	n := min(len(p), l.n-l.b.Len())
	l.b.Write(p[:n])
	if n < len(p) {
		return n, errFull
	}
	return n, nil
}

func TestReportSaysHowFarItCame(t *testing.T) {
	report, text := reportOf(t)
	for n := range len(text) {
		first := &limited{n: n}
		offset, err := report.Follow(context.Background(), first, 0)
		if !errors.Is(err, errFull) || offset != int64(n) {
			t.Fatalf("after %d bytes: offset %d, %v", n, offset, err)
		}
		var rest bytes.Buffer
		if _, err := report.Follow(context.Background(), &rest, offset); err != nil {
			t.Fatal(err)
		}
		if got := first.b.String() + rest.String(); got != text {
			t.Fatalf("broken off after %d bytes:\n%s", n, got)
		}
	}
}

func TestReportOfNoPush(t *testing.T) {
	ctx, cancel := context.WithCancelCause(context.Background())
	gone := errors.New("enough")
	cancel(gone)
	report := Report{StateDir: filepath.Join(t.TempDir(), "none"), PushID: "01m84rbhstxytz44he4gz3r10s"}
	if _, err := report.Follow(ctx, &strings.Builder{}, 0); !errors.Is(err, gone) {
		t.Errorf("error %v", err)
	}
	if err := os.MkdirAll(runlog.PushesDir(report.StateDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(runlog.TakenFile(report.StateDir, report.PushID), []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := report.Follow(context.Background(), &strings.Builder{}, 0); err == nil || errors.Is(err, gone) {
		t.Errorf("a torn answer: error %v", err)
	}
}

// Control characters of a ref's name do not reach the pusher's terminal.
func TestHeadIsPlain(t *testing.T) {
	head := Head(runlog.Taken{Runs: []runlog.TakenRun{{Number: 1, Ref: "refs/heads/a\u009b2J", New: oidA}, {Number: 2, Ref: "refs/heads/b", New: oidA}}})
	if strings.Contains(head, "\u009b") || strings.Count(head, "\n") != 2 {
		t.Errorf("head %q", head)
	}
}
