package runlog

import (
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"quire/internal/checked"
	"quire/internal/event"
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
// words begin the lines they fit and no other. Text of other people passes
// Plain; redaction is the caller's.
type Report struct {
	Number int64  // 0: a run that is in no store
	Ref    string // full name
	OID    string
	Width  int // of the longest job id; see JobWidth
}

// width is how long a line may get. It is no screen's width, since a terminal
// wraps a sentence and a cut one helps nobody; it keeps away what no person
// wrote, such as a minified file in a compiler's message.
const width = 400

// maxTail is how many lines of a failing command are shown.
const maxTail = 20

// JobWidth is the width of the column for ids.
func JobWidth(ids []string) int {
	w := 0
	for _, id := range ids {
		w = max(w, utf8.RuneCountInString(Plain(id)))
	}
	return min(w, 40)
}

func (r Report) name() string {
	return fmt.Sprintf("%s  %s %s", r.run(), Plain(event.ShortRef(r.Ref)), event.ShortOID(r.OID))
}

func (r Report) run() string {
	if r.Number == 0 {
		return "run"
	}
	return fmt.Sprintf("run %d", r.Number)
}

// Begin is the line of a run that starts.
func (r Report) Begin(jobs int) string {
	if jobs == 1 {
		return r.name() + "  1 job\n"
	}
	return fmt.Sprintf("%s  %d jobs\n", r.name(), jobs)
}

// Waits is the line of a run that cannot start yet.
func (r Report) Waits(why string) string { return r.name() + "  waits: " + clip(Plain(why)) + "\n" }

// Broken is the text of a run whose pipeline cannot be loaded. Its lines are not
// cut: what is wrong, and the carets below it, must be there whole.
func (r Report) Broken(faults string) string {
	var b strings.Builder
	b.WriteString(r.name() + "\n")
	for line := range strings.Lines(faults) {
		b.WriteString(strings.TrimRight("  "+Plain(strings.TrimRight(line, "\r\n")), " ") + "\n")
	}
	return b.String()
}

// JobEnd tells how a job, or an attempt of it, ended. tail is the end of the output of
// the command that failed, if that is why.
func (r Report) JobEnd(id string, state event.JobState, took time.Duration, remark, tail string) string {
	word := map[event.JobState]string{
		event.JobSucceeded: "ok", event.JobFailed: "FAIL", event.JobSkipped: "skip",
		event.JobBlocked: "block", event.JobCanceled: "stop",
	}[state]
	id = Plain(id)
	pad := strings.Repeat(" ", max(0, r.Width-utf8.RuneCountInString(id)))
	line := fmt.Sprintf("  %-5s  %s%s", word, id, pad)
	if took > 0 {
		line += fmt.Sprintf("  %6s", Took(took))
	} else if remark != "" {
		line += strings.Repeat(" ", 8)
	}
	first, rest, _ := strings.Cut(remark, "\n")
	if first != "" {
		line += "  " + clip(Plain(first))
	}
	out := strings.TrimRight(line, " ") + "\n"
	const bar = "         | "
	if strings.TrimSpace(rest) != "" {
		out += indent(bar, strings.Trim(rest, "\n"))
	}
	return out + indent(bar, lastLines(tail, maxTail))
}

// Progress is a remark while the run goes on.
func (r Report) Progress(text string) string { return "         " + clip(Plain(text)) + "\n" }

// Mirrored is a line of what became of a push at a mirror: kind is error,
// warning, hint, or "" for what went well.
func Mirrored(kind, text string) string {
	if kind != "" {
		kind += ": "
	}
	return kind + clip(Plain(text)) + "\n"
}

// Warning is a remark that asks for somebody's attention.
func (r Report) Warning(text string) string { return "warning: " + clip(Plain(text)) + "\n" }

// End is the last line: how the run ended. failed are the jobs to look at.
func (r Report) End(state event.RunState, took time.Duration, reason string, failed []string) string {
	in := ""
	if took > 0 {
		in = " in " + Took(took)
	}
	reason = clip(Plain(reason))
	switch state {
	case event.RunSucceeded:
		if reason != "" {
			reason = ": " + reason
		}
		return fmt.Sprintf("success: %s succeeded%s%s\n", r.run(), in, reason)
	case event.RunReplaced, event.RunCanceled:
		if reason != "" {
			reason = ": " + reason
		}
		return fmt.Sprintf("warning: %s was %s%s%s\n", r.run(), state, in, reason)
	}
	if reason != "" {
		reason = ": " + reason
	}
	verb := "failed"
	if state == event.RunOrphaned {
		verb, in = "was orphaned", ""
	}
	see := ""
	if len(failed) > 0 && r.Number > 0 {
		see = fmt.Sprintf("; see it with: quire log %d %s", r.Number, shellWord(failed[0]))
	}
	return fmt.Sprintf("error: %s %s%s%s%s\n", r.run(), verb, in, reason, see)
}

// shellWord quotes what a shell would take apart.
func shellWord(s string) string {
	s = Plain(s)
	if s != "" && strings.Trim(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+:@%") == "" {
		return s
	}
	return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'"
}

// Took is a duration as long as a person cares for.
func Took(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// lastLines is the end of a text. A carriage return starts its line again, as
// on a terminal: of a progress bar only the last state is left.
func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimRight(text, "\r\n"), "\n")
	if len(lines) == 1 && lines[0] == "" {
		return ""
	}
	lines = lines[max(0, len(lines)-n):]
	for i, l := range lines {
		l = strings.TrimRight(l, "\r")
		lines[i] = l[strings.LastIndexByte(l, '\r')+1:]
	}
	return strings.Join(lines, "\n")
}

func indent(prefix, text string) string {
	if text == "" {
		return ""
	}
	var b strings.Builder
	for line := range strings.Lines(text) {
		b.WriteString(strings.TrimRight(prefix+clip(Plain(strings.TrimRight(line, "\r\n"))), " "))
		b.WriteByte('\n')
	}
	return b.String()
}

// clip keeps a line on a screen.
func clip(s string) string {
	if utf8.RuneCountInString(s) <= width {
		return s
	}
	return string([]rune(s)[:width-1]) + "…"
}

// Plain makes a text of anybody's fit for a terminal; see checked.OneLine.
func Plain(s string) string { return checked.OneLine(s) }
