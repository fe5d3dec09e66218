package secret

import (
	"encoding/base64"
	"encoding/hex"
	"strings"
)

// MinLength is the least length of a value, or of a line of one, that is
// redacted, in bytes.
const MinLength = 8

// redactable reports whether value is looked for at all.
func redactable(value string) bool {
	return len(value) >= MinLength && strings.TrimSpace(value) != ""
}

// forms is what a value may look like in a stream. plain is looked for byte by
// byte. joined is looked for across line breaks, and in either base64 alphabet: it
// holds base64 (in the standard alphabet), hex, and what is long enough to be
// recognized in pieces.
type forms struct {
	plain, joined []string
}

// minJoined is the least length in bytes of a text that is looked for, as it is,
// across line breaks: a list of short lines must not become a short value.
const minJoined = 16

// formsOf lists the forms of a value: of the whole, of each line that is long
// enough by itself, and of the short lines together with their neighbours.
func formsOf(value string) forms {
	var f forms
	if !redactable(value) {
		return f
	}
	f.add(value)
	lines := splitLines(value)
	if len(lines) < 2 {
		if trimmed := strings.TrimSpace(value); trimmed != value {
			f.add(trimmed)
		}
		return f
	}
	f.add(strings.Join(lines, "\n")) // $(…) takes off the last line end, dos2unix the CRs
	for _, sep := range []string{"\r\n", " "} {
		f.addPlain(strings.Join(lines, sep))
	}
	for _, l := range lines {
		f.add(strings.TrimSpace(l))
	}
	for _, group := range shortRuns(lines) {
		for _, sep := range core {
			f.add(strings.Join(group, sep))
		}
		// In forty ways of indenting, so only where that is small: a hundred
		// lines that are all short are a list, and found as it is.
		for _, sep := range indents {
			text := strings.Join(group, sep)
			if len(text) > everyForm || len(text) < MinLength || opensBlank(text) && redactable(group[len(group)-1]) {
				continue
			}
			f.addPlain(text)
		}
	}
	return f
}

// opensBlank reports whether the head of text has a window of nothing but
// blanks, which deeply indented lines of a log are full of. It happens to a value
// that begins with a very short line (a brace) before a longer one, and the
// redaction of that short line, where it is deeply indented, is not worth it.
func opensBlank(text string) bool {
	for i := range stride {
		if strings.Trim(text[i:i+window], " \t") == "" {
			return true
		}
	}
	return false
}

// add adds a text in every form.
func (f *forms) add(text string) {
	if !redactable(text) {
		return
	}
	f.addPlain(text)
	for _, e := range escapes(text, len(text) <= everyForm || !strings.Contains(text, "\n")) {
		f.addPlain(e)
	}
	f.joined = append(f.joined, encodings(text)...)
	f.addJoined(text)
	if len(text) <= everyForm || !strings.Contains(text, "\n") {
		f.addJoined(quotedPrintable(text))
	}
}

// addJoined adds a text that tools may break into lines at any place. Of what has
// lines already, only these are looked for so.
func (f *forms) addJoined(text string) {
	if len(text) >= minJoined && redactable(text) && !strings.ContainsAny(text, "\r\n\t") {
		f.joined = append(f.joined, text)
	}
}

// addPlain adds a text as it is. What is shorter than the rest of the package
// counts on can be made of a value that is not: by joining empty lines.
func (f *forms) addPlain(text string) {
	if redactable(text) {
		f.plain = append(f.plain, text)
	}
}

// everyForm is the length in bytes up to which a text of several lines is looked
// for, as a whole, in the rarer dialects of escaping too. Beyond it they would
// double the automaton, for the line ends: the lines themselves are looked for
// in all dialects.
const everyForm = 512

// core are the separators that lines get from tools that rewrite line ends
// (CR LF, tr '\n' ' ', tr -d '\n'); their results are looked for encoded too.
var core = []string{"\r\n", " ", ""}

// indents are the separators of a text that was indented, quoted or made a
// patch. A line that is long enough is found whatever precedes it, so these
// serve only the short lines of a value.
var indents = func() []string {
	var margins []string
	for n := 1; n <= 8; n++ {
		margins = append(margins, strings.Repeat(" ", n))
	}
	margins = append(margins, strings.Repeat(" ", 10), strings.Repeat(" ", 12), strings.Repeat(" ", 16),
		"\t", "\t\t", "\t\t\t", "> ", "| ", "# ", "+", "-")
	var seps []string
	for _, m := range margins {
		seps = append(seps, "\n"+m, "\r\n"+m)
	}
	return seps
}()

// shortRuns groups each run of lines that are too short to be looked for alone
// with the long lines on its two sides: in that company they are recognized,
// however the lines are joined. A value of short lines only is one group.
func shortRuns(lines []string) [][]string {
	long := func(i int) bool { return redactable(lines[i]) }
	var trimmed []string
	for _, l := range lines {
		trimmed = append(trimmed, strings.TrimSpace(l))
	}
	var groups [][]string
	for i := 0; i < len(lines); {
		if long(i) {
			i++
			continue
		}
		end := i
		for end < len(lines) && !long(end) {
			end++
		}
		group := trimmed[max(0, i-1):min(end+1, len(lines))]
		if redactable(strings.Join(group, "")) {
			groups = append(groups, group)
		}
		i = end
	}
	return groups
}

// splitLines cuts a value at its line ends; the last may be missing.
func splitLines(value string) []string {
	lines := strings.Split(strings.TrimRight(value, "\r\n"), "\n")
	for i := range lines {
		lines[i] = strings.TrimSuffix(lines[i], "\r")
	}
	return lines
}

// encodings is base64 as it appears when the text stands at any place of a
// longer one, and hex in both cases.
func encodings(text string) []string {
	lower := hex.EncodeToString([]byte(text))
	out := []string{lower, strings.ToUpper(lower)}
	for shift := range 3 {
		out = append(out, aligned(text, shift))
	}
	return out
}

// aligned is the base64 of text after shift other bytes: only the characters
// that do not depend on what stands before or after, so neither the first and
// last partial character nor padding. A character is 6 bits; text occupies the
// bits from 8·shift on.
func aligned(text string, shift int) string {
	b := base64.RawStdEncoding.EncodeToString(append(make([]byte, shift, shift+len(text)), text...))
	first := (8*shift + 5) / 6
	last := 8 * (shift + len(text)) / 6
	return b[first:last]
}
