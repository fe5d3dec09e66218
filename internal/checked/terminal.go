package checked

import (
	"strings"
	"unicode/utf8"
)

// OneLine makes a text of anybody's fit for a terminal: one line of valid UTF-8 in
// which no character moves the cursor, changes the terminal, or makes the text
// read as another. Sequences that programs colour their output with vanish
// whole; everything else that is not to be shown is shown as U+FFFD.
func OneLine(s string) string {
	if printableASCII(s) {
		return s
	}
	var b strings.Builder
	b.Grow(len(s))
	for i := 0; i < len(s); {
		if n := controlSequence(s[i:]); n > 0 {
			i += n
			continue
		}
		c, n := utf8.DecodeRuneInString(s[i:])
		i += n
		switch {
		case c == '\t' || c == '\n' || c == '\r':
			b.WriteByte(' ')
		case unprintable(c) || c == utf8.RuneError && n == 1:
			b.WriteRune(utf8.RuneError)
		default:
			b.WriteRune(c)
		}
	}
	return b.String()
}

func printableASCII(s string) bool {
	for i := range len(s) {
		if c := s[i]; c < 0x20 || c >= 0x7f {
			return false
		}
	}
	return true
}

// unprintable reports a character that a terminal obeys, or that is not seen and
// changes what is: controls of ASCII and Latin-1, line ends of Unicode, and turns.
func unprintable(c rune) bool {
	return c < 0x20 || c >= 0x7f && c < 0xa0 || c == '\u2028' || c == '\u2029' || turns(c)
}

// turns reports the characters that order text from right to left or back
// (Unicode UAX #9, 2) and those without width that make two texts look the same
// (UTS #39, 3.1.1). The joiners U+200C and U+200D are among them: a name loses
// the shape of its letters, and not its letters.
func turns(c rune) bool {
	switch {
	case c == 0x061c, c >= 0x200b && c <= 0x200f, c >= 0x202a && c <= 0x202e, c >= 0x2060 && c <= 0x206f:
		return true
	case c == 0xfeff, c >= 0xfff9 && c <= 0xfffb, c == 0x00ad, c == 0x180e, c >= 0xe0000 && c <= 0xe007f:
		return true
	}
	return false
}

// controlSequence is the length of a CSI sequence (ECMA-48, 5.4) at the start of
// s; 0 if there is none.
func controlSequence(s string) int {
	if !strings.HasPrefix(s, "\x1b[") {
		return 0
	}
	for i := 2; i < len(s); i++ {
		switch c := s[i]; {
		case c >= 0x20 && c <= 0x3f:
		case c >= 0x40 && c <= 0x7e:
			return i + 1
		default:
			return 0
		}
	}
	return 0
}
