package runlog

import (
	"time"
	"unicode/utf8"

	"quire/internal/checked"
	"quire/internal/event"
	"quire/internal/secret/masked"
)

// Report renders a run's push.log, line by line as facts happen. It is rendered
// once, when the fact happens, and never again: every follower sees the same
// bytes, and can go on at an offset.
//
//	run 12  main 3f2a91c8  3 jobs
//	  ok     test           1.2s
//	  FAIL   lint           0.4s  exit 1
//	         | lint.go:3: unused variable
//	error: run 12 failed in 2.1s: lint; see it with: quire log 12 lint
//
// git's client colours a leading error:, warning:, hint: or success:, so these
// words begin the lines they fit and no other. Text of other people is made
// plain, and cut, after it was masked.
type Report struct {
	Number int64       // 0: a run that is in no store
	Ref    masked.Text // as a person writes it
	OID    masked.Text // short
	Width  int         // of the longest job id; see JobWidth
}

// width is how long a line may get. It is no screen's width, since a terminal
// wraps a sentence and a cut one helps nobody; it keeps away what no person
// wrote, such as a minified file in a compiler's message.
const width = 400

// MaxTail is how many lines of what a job that failed said are shown.
const MaxTail = 20

// Bounds of what a report says of one thing.
const (
	maxFaults = 500 // lines of a broken pipeline
	maxRemark = 100 // lines behind a job's time
)

// JobWidth is the width of the column for ids.
func JobWidth(ids []string) int {
	w := 0
	for _, id := range ids {
		w = max(w, utf8.RuneCountInString(Plain(id)))
	}
	return min(w, 40)
}

func (r Report) name() masked.Text {
	return masked.Format("%s  %s %s", r.run(), r.Ref.Plain().Clip(width), r.OID.Plain())
}

func (r Report) run() masked.Text {
	if r.Number == 0 {
		return masked.Const("run")
	}
	return masked.Format("run %d", masked.Int(r.Number))
}

// Begin is the line of a run that starts.
func (r Report) Begin(jobs int) masked.Text {
	if jobs == 1 {
		return masked.Format("%s  1 job\n", r.name())
	}
	return masked.Format("%s  %d jobs\n", r.name(), masked.Int(jobs))
}

// Waits is the line of a run that cannot start yet.
func (r Report) Waits(why masked.Text) masked.Text {
	return masked.Format("%s  waits: %s\n", r.name(), line(why))
}

// Broken is the text of a run whose pipeline cannot be loaded. Its lines are
// longer than others may be: what is wrong, and the carets below it, must be there
// whole.
func (r Report) Broken(faults masked.Text) masked.Text {
	out := []masked.Text{r.name()}
	for fault := range faults.Lines() {
		if len(out) > maxFaults {
			out = append(out, masked.Const("  …"))
			break
		}
		out = append(out, masked.Format("  %s", fault.Plain().Clip(10*width)).Trim())
	}
	return text(out)
}

// JobEnd tells how a job, or an attempt of it, ended. tail is the end of what it said,
// if it failed.
func (r Report) JobEnd(id masked.Text, state event.JobState, took time.Duration, remark, tail masked.Text) masked.Text {
	first, rest := remark.FirstLine()
	end := masked.Format("  %-5s  %s", word(state), id.Plain().Pad(r.Width))
	if took > 0 {
		end = masked.Format("%s  %6s", end, Took(took))
	} else if !remark.IsZero() {
		end = masked.Format("%s        ", end)
	}
	if !first.IsZero() {
		end = masked.Format("%s  %s", end, line(first))
	}
	out := []masked.Text{end.Trim()}
	for more := range rest.Trim().Lines() {
		if len(out) > maxRemark {
			out = append(out, barred(masked.Const("…")))
			break
		}
		if len(out) > 1 || !more.Trim().IsZero() {
			out = append(out, barred(more))
		}
	}
	for _, said := range tail.LastLines(MaxTail) {
		out = append(out, barred(said))
	}
	return text(out)
}

func word(state event.JobState) masked.Text {
	switch state {
	case event.JobSucceeded:
		return masked.Const("ok")
	case event.JobFailed:
		return masked.Const("FAIL")
	case event.JobSkipped:
		return masked.Const("skip")
	case event.JobBlocked:
		return masked.Const("block")
	case event.JobCanceled:
		return masked.Const("stop")
	}
	return masked.Text{}
}

// barred is a line of a command or a message below a job's line.
func barred(said masked.Text) masked.Text { return masked.Format("         | %s", line(said)).Trim() }

// Progress is a remark while the run goes on.
func (r Report) Progress(text masked.Text) masked.Text {
	return masked.Format("         %s\n", line(text))
}

// Mirrored is a line of what became of a push at a mirror: kind is error,
// warning, hint, or "" for what went well.
func Mirrored(kind, text masked.Text) masked.Text {
	if kind.IsZero() {
		return masked.Format("%s\n", line(text))
	}
	return masked.Format("%s: %s\n", kind, line(text))
}

// Warning is a remark that asks for somebody's attention.
func (r Report) Warning(text masked.Text) masked.Text {
	return masked.Format("warning: %s\n", line(text))
}

// End is the last line: how the run ended. failed are the jobs to look at.
func (r Report) End(state event.RunState, took time.Duration, reason masked.Text, failed []masked.Text) masked.Text {
	var in, why, see masked.Text
	if took > 0 {
		in = masked.Format(" in %s", Took(took))
	}
	if !reason.IsZero() {
		why = masked.Format(": %s", line(reason))
	}
	switch state {
	case event.RunSucceeded:
		return masked.Format("success: %s succeeded%s%s\n", r.run(), in, why)
	case event.RunReplaced:
		return masked.Format("warning: %s was replaced%s%s\n", r.run(), in, why)
	case event.RunCanceled:
		return masked.Format("warning: %s was canceled%s%s\n", r.run(), in, why)
	case event.RunOrphaned:
		return masked.Format("error: %s was orphaned%s\n", r.run(), why)
	}
	if len(failed) > 0 && r.Number > 0 {
		see = masked.Format("; see it with: quire log %d %s", masked.Int(r.Number), failed[0].Plain().ShellWord())
	}
	return masked.Format("error: %s failed%s%s%s\n", r.run(), in, why, see)
}

// Took is a duration as long as a person cares for.
func Took(d time.Duration) masked.Text {
	switch {
	case d < time.Minute:
		return masked.Format("%.1fs", masked.Float(d.Seconds()))
	case d < time.Hour:
		return masked.Format("%dm%02ds", masked.Int(d.Minutes()), masked.Int(int(d.Seconds())%60))
	default:
		return masked.Format("%dh%02dm", masked.Int(d.Hours()), masked.Int(int(d.Minutes())%60))
	}
}

// line keeps a text on a line, and the line on a screen.
func line(t masked.Text) masked.Text { return t.Plain().Clip(width) }

func text(lines []masked.Text) masked.Text {
	return masked.Format("%s\n", masked.Join(lines, "\n"))
}

// Plain makes a text of anybody's fit for a terminal; see checked.OneLine.
func Plain(s string) string { return checked.OneLine(s) }
