package runlog

import (
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/secret/masked"
)

// said is what a redactor that knows no secret makes of a text.
func said(text string) masked.Text { return secret.NewRedactor().Mask(text) }

func TestReport(t *testing.T) {
	r := Report{Number: 12, Ref: said("main"), OID: said("3f2a91c8"),
		Width: JobWidth([]string{"test", "quire/mirror"})}
	got := r.Begin(3).String() +
		r.JobEnd(said("test"), event.JobSucceeded, 1200*time.Millisecond, said(""), said("")).String() +
		r.JobEnd(said("lint"), event.JobFailed, 400*time.Millisecond, said("exit 1"), said("one\r\n10%\r20%\rdone\n\x1b[31mlint.go:3:\x1b[0m unused\tvariable\n\n")).String() +
		r.JobEnd(said("deploy"), event.JobSkipped, 0, said(""), said("")).String() +
		r.JobEnd(said("later"), event.JobBlocked, 0, said("lint failed"), said("")).String() +
		r.JobEnd(said("bad"), event.JobFailed, time.Hour+2*time.Minute, said(".quire/ci.fnl:3:1: boom\n\n(boom)\n^^^^\n"), said("")).String() +
		r.JobEnd(said("quire/mirror"), event.JobSucceeded, 900*time.Millisecond, said("github.com: main -> 3f2a91c8 (updated)"), said("")).String() +
		r.Progress(said("pulling golang:1.26 …")).String() +
		r.Warning(said("the log of lint is incomplete")).String() +
		r.End(event.RunFailed, 2100*time.Millisecond, said("lint"), []masked.Text{said("lint")}).String()
	want := `run 12  main 3f2a91c8  3 jobs
  ok     test            1.2s
  FAIL   lint            0.4s  exit 1
         | one
         | done
         | lint.go:3: unused variable
  skip   deploy
  block  later                 lint failed
  FAIL   bad            1h02m  .quire/ci.fnl:3:1: boom
         | (boom)
         | ^^^^
  ok     quire/mirror    0.9s  github.com: main -> 3f2a91c8 (updated)
         pulling golang:1.26 …
warning: the log of lint is incomplete
error: run 12 failed in 2.1s: lint; see it with: quire log 12 lint
`
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

func TestReportEnds(t *testing.T) {
	r := Report{Number: 3, Ref: said("tags/v1"), OID: said("3f2a91c8")}
	for _, c := range []struct {
		got  masked.Text
		want string
	}{
		{r.Begin(1), "run 3  tags/v1 3f2a91c8  1 job\n"},
		{r.Waits(said("run 2 is at work on main")), "run 3  tags/v1 3f2a91c8  waits: run 2 is at work on main\n"},
		{r.End(event.RunSucceeded, time.Second, said(""), nil), "success: run 3 succeeded in 1.0s\n"},
		{r.End(event.RunReplaced, 0, said("run 4 is of a newer push to main"), nil), "warning: run 3 was replaced: run 4 is of a newer push to main\n"},
		{r.End(event.RunCanceled, 61*time.Second, said("ann"), nil), "warning: run 3 was canceled in 1m01s: ann\n"},
		{r.End(event.RunOrphaned, 0, said("its supervisor died"), nil), "error: run 3 was orphaned: its supervisor died\n"},
		{r.End(event.RunFailed, 0, said("x"), []masked.Text{said("a b's")}), "error: run 3 failed: x; see it with: quire log 3 'a b'\\''s'\n"},
		{r.Broken(said(".quire/ci.fnl:1:0: bad\n\n(x)\n^")), "run 3  tags/v1 3f2a91c8\n  .quire/ci.fnl:1:0: bad\n\n  (x)\n  ^\n"},
	} {
		if c.got.String() != c.want {
			t.Errorf("got  %q\nwant %q", c.got, c.want)
		}
	}
}

func TestOnlyTheEndOfALongOutputIsShown(t *testing.T) {
	r := Report{Width: 1}
	out := r.JobEnd(said("a"), event.JobFailed, 1, said("exit 1"), said(strings.Repeat("x\n", 100)+strings.Repeat("y", 500)+"\n")).String()
	lines := strings.Split(strings.TrimSuffix(out, "\n"), "\n")
	if len(lines) != 1+MaxTail {
		t.Errorf("%d lines", len(lines))
	}
	if last := lines[len(lines)-1]; utf8.RuneCountInString(last) > width+12 || !strings.HasSuffix(last, "…") {
		t.Errorf("last line: %q", last)
	}
}

// Whatever a job or a ref is called and a command prints, a report holds no
// control character, and no line that pretends to be another.
func FuzzReport(f *testing.F) {
	f.Add("test", "error: no\x1b[2J", "\x1b]0;title\a\x9b31m\u202e\xff")
	f.Fuzz(func(t *testing.T, id, remark, tail string) {
		r := Report{Number: 1, Ref: said(id), OID: said("3f2a91c8"), Width: JobWidth([]string{id})}
		out := r.Begin(1).String() + r.JobEnd(said(id), event.JobFailed, 1, said(remark), said(tail)).String() + r.Broken(said(tail)).String()
		if !utf8.ValidString(out) {
			t.Fatalf("not UTF-8: %q", out)
		}
		for _, c := range out {
			if unicode.IsControl(c) && c != '\n' {
				t.Fatalf("control character %q in %q", c, out)
			}
		}
		for line := range strings.Lines(out) {
			if !strings.HasPrefix(line, "run 1 ") && !strings.HasPrefix(line, "  ") && line != "\n" {
				t.Fatalf("line %q in %q", line, out)
			}
		}
	})
}
