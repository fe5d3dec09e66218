package web

import (
	"fmt"
	"net/url"
	"regexp"
	"strings"
	"time"

	"quire/internal/checked"
	"quire/internal/event"
)

// label makes somebody's text fit to stand beside ours: one line, in which no
// character turns the text round or cannot be seen.
func label(s string) string { return checked.OneLine(s) }

func refLabel(ref string) string { return label(event.ShortRef(ref)) }

func repoLabel(gitDir string) string { return label(event.RepoName(gitDir)) }

// logPath leads to the log of a command. A job's id may hold any character that
// means something in a URL.
func logPath(kind string, run int64, job string, n int) string {
	return fmt.Sprintf("/run/%d/%s/%s/%d", run, kind, url.PathEscape(job), n)
}

// escapes are the terminal sequences that programs colour their output with
// (ECMA-48 CSI, and OSC with its two endings).
var escapes = regexp.MustCompile("\x1b(\\[[0-?]*[ -/]*[@-~]|\\][^\x07\x1b]*(\x07|\x1b\\\\)|[@-Z\\\\-_])")

// readable makes a line of output fit for a page: no terminal sequences, and of
// a line that was written over (a progress bar) its last state.
func readable(line []byte) string {
	s := strings.ToValidUTF8(string(line), "�")
	s = strings.TrimRight(escapes.ReplaceAllString(s, ""), "\r")
	if i := strings.LastIndexByte(s, '\r'); i >= 0 {
		s = s[i+1:]
	}
	// Tabs stay: they align columns, and a page shows them.
	parts := strings.Split(s, "\t")
	for i, part := range parts {
		parts[i] = checked.OneLine(part)
	}
	return strings.Join(parts, "\t")
}

func took(d time.Duration) string {
	switch {
	case d <= 0:
		return ""
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	}
	return d.Round(time.Second).String()
}
