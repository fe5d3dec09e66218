package masked

import (
	"strings"
	"unicode/utf8"
)

// ellipsis stands where text was taken off.
const ellipsis = "…"

// longestName bounds how far from its beginning the end of a {{ name }} is looked
// for, in bytes.
const longestName = 256

// Cut is the text if it has at most n bytes, and else its beginning and an
// ellipsis, n bytes at most. It is not cut within a character or a {{ name }}.
func (t Text) Cut(n int) Text {
	if len(t.s) <= n {
		return t
	}
	return Text{t.s[:whole(t.s, max(n-len(ellipsis), 0))] + ellipsis}
}

// Clip is Cut by characters: the text has at most n, the ellipsis included.
func (t Text) Clip(n int) Text {
	if utf8.RuneCountInString(t.s) <= n {
		return t
	}
	at := 0
	for i := range t.s {
		if n--; n == 0 {
			at = i
			break
		}
	}
	return Text{t.s[:whole(t.s, at)] + ellipsis}
}

// whole is the greatest place up to n at which s may be cut.
func whole(s string, n int) int {
	for n > 0 && n < len(s) && !utf8.RuneStart(s[n]) {
		n--
	}
	// A place just behind the first brace is within a {{ name }} too.
	open := strings.LastIndex(s[:min(n+1, len(s))], "{{ ")
	if i := strings.LastIndex(s[:min(n+2, len(s))], "{{ "); i > open {
		open = i
	}
	if open < 0 || open >= n {
		return n
	}
	near := s[open:min(open+longestName, len(s))]
	if end := strings.Index(near, " }}"); end >= 0 && open+end+len(" }}") > n {
		return open
	}
	return n
}
