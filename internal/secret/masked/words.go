package masked

import (
	"iter"
	"strings"
	"unicode/utf8"
)

// Join puts texts together with sep between them.
func Join(texts []Text, sep constant) Text {
	parts := make([]string, len(texts))
	for i, t := range texts {
		parts[i] = t.s
	}
	return Text{strings.Join(parts, string(sep))}
}

// Width is how many characters the text has.
func (t Text) Width() int { return utf8.RuneCountInString(t.s) }

// Pad adds blanks up to a width.
func (t Text) Pad(width int) Text { return Text{t.s + strings.Repeat(" ", max(0, width-t.Width()))} }

// Trim takes blanks and line ends off the end.
func (t Text) Trim() Text { return Text{strings.TrimRight(t.s, " \t\r\n")} }

// FirstLine is the text up to its first line end, and what follows.
func (t Text) FirstLine() (first, rest Text) {
	a, b, _ := strings.Cut(t.s, "\n")
	return Text{a}, Text{b}
}

// Lines are the text's lines without their ends.
func (t Text) Lines() iter.Seq[Text] {
	return func(yield func(Text) bool) {
		for line := range strings.Lines(t.s) {
			if !yield(Text{strings.TrimRight(line, "\r\n")}) {
				return
			}
		}
	}
}

// LastLines are the last n lines. A carriage return begins its line again, as
// on a terminal: of a progress bar only the last state is left.
func (t Text) LastLines(n int) []Text {
	s := strings.TrimRight(t.s, "\r\n")
	if s == "" {
		return nil
	}
	lines := strings.Split(s, "\n")
	lines = lines[max(0, len(lines)-n):]
	out := make([]Text, len(lines))
	for i, l := range lines {
		l = strings.TrimRight(l, "\r")
		out[i] = Text{l[strings.LastIndexByte(l, '\r')+1:]}
	}
	return out
}

// ShellWord is the text as a word that a shell does not take apart.
func (t Text) ShellWord() Text {
	if t.s != "" && strings.Trim(t.s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_./+:@%") == "" {
		return t
	}
	return Text{"'" + strings.ReplaceAll(t.s, "'", `'\''`) + "'"}
}

// Without takes a constant off the beginning, if the text begins so.
func (t Text) Without(prefix constant) Text { return Text{strings.TrimPrefix(t.s, string(prefix))} }
