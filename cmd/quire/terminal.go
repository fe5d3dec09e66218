package main

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/term"

	"quire/internal/checked"
	"quire/internal/event"
)

// The rules of what quire prints:
//
//   - Results go to standard output, everything about the work itself (errors,
//     hints) to standard error, so that `quire runs | …` is clean.
//   - With --json a command prints JSON and nothing else: one object, or one
//     object a line where there are many. Times are RFC 3339, durations
//     nanoseconds under names that end in _ns, milliseconds under _ms.
//   - Columns are aligned by what they hold; the last one is never cut. Nothing
//     is printed that needs a wide terminal.
//   - Colour only marks a state, only on a terminal, and never where NO_COLOR
//     is set (no-color.org) or TERM is dumb. The words say the same without it.
//   - Characters of other people's text (ref names, commit messages, job output in a
//     summary, and errors that quote them) that a terminal would obey are not
//     passed on. The output of a job itself keeps its colours on a terminal, and
//     all of its bytes everywhere else. JSON escapes by itself.

// palette colours states; its zero value colours nothing.
type palette struct{ on bool }

func isTerminal(w io.Writer) bool {
	f, ok := w.(*os.File)
	return ok && term.IsTerminal(int(f.Fd()))
}

func paletteFor(w io.Writer) palette {
	return palette{isTerminal(w) && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

const (
	green  = "\x1b[32m"
	red    = "\x1b[31m"
	yellow = "\x1b[33m"
	faint  = "\x1b[2m"
	reset  = "\x1b[0m"
)

func (p palette) paint(colour, s string) string {
	if !p.on || s == "" {
		return s
	}
	return colour + s + reset
}

func (p palette) state(s string) string {
	switch s {
	case string(event.RunSucceeded), "ok", "landed":
		return p.paint(green, s)
	case string(event.RunFailed), string(event.RunOrphaned), string(event.JobBlocked), "refused", "diverged", "bad":
		return p.paint(red, s)
	case string(event.RunRunning), string(event.RunQueued), "waiting", "pushing", "warn":
		return p.paint(yellow, s)
	}
	return p.paint(faint, s)
}

// columns prints rows aligned. A cell's width is counted in runes of its plain
// text; colour is applied after padding.
type columns struct {
	rows   [][]string
	colour func(row, col int, cell string) string
}

func (c *columns) add(cells ...string) { c.rows = append(c.rows, cells) }

func (c *columns) print(w io.Writer) error {
	var widths []int
	for _, row := range c.rows {
		for i, cell := range row {
			if i == len(widths) {
				widths = append(widths, 0)
			}
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	var b strings.Builder
	for r, row := range c.rows {
		line := ""
		for i, cell := range row {
			pad := strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell))
			if c.colour != nil {
				cell = c.colour(r, i, cell)
			}
			if i > 0 {
				line += "  "
			}
			line += cell + pad
		}
		b.WriteString(strings.TrimRight(line, " ") + "\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plain makes somebody else's text fit for a terminal: one line, in which no
// character moves the cursor, changes the terminal or turns the text round.
func plain(s string) string { return checked.OneLine(s) }

// plainLines is plain for a text of several lines, each of which it keeps.
func plainLines(s string) string {
	lines := strings.Split(strings.TrimRight(s, "\n"), "\n")
	for i, line := range lines {
		lines[i] = strings.TrimRight(plain(line), " ")
	}
	return strings.Join(lines, "\n")
}

// ago says how long since t, in one unit.
func ago(t, now time.Time) string {
	if t.IsZero() {
		return "-"
	}
	switch d := now.Sub(t); {
	case d < 0:
		return "now"
	case d < time.Minute:
		return fmt.Sprintf("%ds ago", int(d.Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm ago", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh ago", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd ago", int(d.Hours())/24)
	}
}

// took prints a duration as long as a person cares for.
func took(d time.Duration) string {
	switch {
	case d <= 0:
		return "-"
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	case d < time.Hour:
		return fmt.Sprintf("%dm%02ds", int(d.Minutes()), int(d.Seconds())%60)
	default:
		return fmt.Sprintf("%dh%02dm", int(d.Hours()), int(d.Minutes())%60)
	}
}

// printJSON prints v as one line of JSON.
func printJSON(w io.Writer, v any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}
