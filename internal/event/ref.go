package event

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// A ref's name is bytes to git, and so it is here: in memory, in the database, in
// arguments and in the environment of jobs. Only where a name becomes text
// (JSON, a terminal, a page, a mail) each byte that is not UTF-8 is written as \xNN.
// git takes no name with a backslash (git-check-ref-format(1)), so the text names
// one ref, and UnescapeRef gives it back.

// CheckRef says why a ref is not one that quire takes note of; nil if it is. The hook
// and the worker that looks for unreported pushes ask the same rule: a ref that
// only one of them knew would be found moved for ever.
func CheckRef(ref string) error {
	switch {
	case !strings.HasPrefix(ref, "refs/") || len(ref) == len("refs/"):
		return errors.New("a ref's name begins with refs/")
	case strings.ContainsFunc(ref, func(r rune) bool { return r < 0x20 || r == 0x7f }):
		return errors.New("the ref's name holds a control character")
	case strings.Contains(ref, `\`):
		return errors.New("the ref's name holds a backslash, which git does not take")
	}
	return nil
}

// OwnRefs is where quire keeps refs for itself; they are nobody's push.
const OwnRefs = "refs/quire/"

// EscapeRef is a ref's name as text.
func EscapeRef(ref string) string {
	if utf8.ValidString(ref) {
		return ref
	}
	var b strings.Builder
	for i := 0; i < len(ref); {
		r, n := utf8.DecodeRuneInString(ref[i:])
		if r == utf8.RuneError && n == 1 {
			fmt.Fprintf(&b, `\x%02x`, ref[i])
		} else {
			b.WriteString(ref[i : i+n])
		}
		i += n
	}
	return b.String()
}

// UnescapeRef is the name that EscapeRef wrote as text.
func UnescapeRef(text string) string {
	if !strings.Contains(text, `\x`) {
		return text
	}
	b := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		if c, ok := escapedByte(text[i:]); ok {
			b = append(b, c)
			i += len(`\xNN`) - 1
			continue
		}
		b = append(b, text[i])
	}
	return string(b)
}

// escapedByte reads \xNN at the start of s, in lower case.
func escapedByte(s string) (byte, bool) {
	if len(s) < 4 || s[0] != '\\' || s[1] != 'x' {
		return 0, false
	}
	const digits = "0123456789abcdef"
	hi, lo := strings.IndexByte(digits, s[2]), strings.IndexByte(digits, s[3])
	if hi < 0 || lo < 0 {
		return 0, false
	}
	return byte(hi<<4 | lo), true
}

// EscapeRefs is updates with their refs as text, for JSON.
func EscapeRefs(updates []Update) []Update { return mapRefs(updates, EscapeRef) }

// UnescapeRefs is updates that came from JSON with their refs as bytes.
func UnescapeRefs(updates []Update) []Update { return mapRefs(updates, UnescapeRef) }

func mapRefs(updates []Update, f func(string) string) []Update {
	for i, u := range updates {
		name := f(u.Ref)
		if name == u.Ref {
			continue
		}
		out := append([]Update(nil), updates...)
		for j := i; j < len(out); j++ {
			out[j].Ref = f(out[j].Ref)
		}
		return out
	}
	return updates
}
