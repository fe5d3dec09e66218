package checked

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"
)

// Output makes the output of somebody's program fit for a terminal, piece by
// piece: lines, tabs, carriage returns and colours (ECMA-48 SGR) pass. Everything
// else that a terminal would obey is shown and not obeyed: a title, a question
// that the terminal would answer by typing, a move of the cursor, text that
// runs from right to left.
//
// A sequence or character that a piece has only the beginning of is held back
// for the next. The zero value is ready.
type Output struct {
	held     []byte
	coloured bool // a colour is in force
}

// maxHeld is longer than any sequence that passes.
const maxHeld = 64

// Append appends what may be shown of p.
func (o *Output) Append(dst, p []byte) []byte {
	if len(o.held) > 0 {
		p = append(o.held, p...)
		o.held = nil
	}
	for len(p) > 0 {
		if n := plainRun(p); n > 0 {
			dst, p = append(dst, p[:n]...), p[n:]
			continue
		}
		if p[0] == 0x1b {
			n, whole := colourSequence(p)
			switch {
			case n > 0:
				o.coloured = !resets(p[:n])
				dst, p = append(dst, p[:n]...), p[n:]
				continue
			case !whole && len(p) < maxHeld:
				o.held = append([]byte(nil), p...)
				return dst
			}
			dst, p = append(dst, "^["...), p[1:]
			continue
		}
		if !utf8.FullRune(p) {
			o.held = append([]byte(nil), p...)
			return dst
		}
		c, n := utf8.DecodeRune(p)
		dst, p = appendInert(dst, c, n), p[n:]
	}
	return dst
}

// End appends what was held back, and takes back a colour that is in force.
func (o *Output) End(dst []byte) []byte {
	for p := o.held; len(p) > 0; {
		c, n := utf8.DecodeRune(p)
		dst, p = appendInert(dst, c, n), p[n:]
	}
	o.held = nil
	if o.coloured {
		dst = append(dst, "\x1b[0m"...)
		o.coloured = false
	}
	return dst
}

// plainRun is how many bytes at the start of p are plain: printable ASCII, and
// what every terminal takes for the layout of lines.
func plainRun(p []byte) int {
	for i, c := range p {
		if (c < 0x20 || c >= 0x7f) && c != '\n' && c != '\t' && c != '\r' {
			return i
		}
	}
	return len(p)
}

func appendInert(dst []byte, c rune, n int) []byte {
	switch {
	case c == utf8.RuneError && n == 1:
		return utf8.AppendRune(dst, utf8.RuneError)
	case c < 0x20:
		return append(dst, '^', byte(c)+'@')
	case c == 0x7f:
		return append(dst, "^?"...)
	case unprintable(c):
		return fmt.Appendf(dst, "<U+%04X>", c)
	}
	return utf8.AppendRune(dst, c)
}

// colourSequence is the length of a sequence at the start of p that sets colours
// or the weight of letters; 0 if there is none, and then whether p has enough to
// tell.
func colourSequence(p []byte) (n int, whole bool) {
	if len(p) < 2 {
		return 0, false
	}
	if p[1] != '[' {
		return 0, true
	}
	for i := 2; i < len(p); i++ {
		switch c := p[i]; {
		case c >= '0' && c <= '9' || c == ';' || c == ':':
		case c == 'm' && !conceals(string(p[2:i])):
			return i + 1, true
		default:
			return 0, true
		}
		if i == maxHeld {
			return 0, true
		}
	}
	return 0, false
}

// conceals reports whether the parameters make text that cannot be read: 8 is
// "concealed", unless it is a part of a colour (38;5;8).
func conceals(parameters string) bool {
	list := strings.FieldsFunc(parameters, func(r rune) bool { return r == ';' || r == ':' })
	for i := 0; i < len(list); i++ {
		n, err := strconv.Atoi(list[i])
		switch {
		case err != nil || n == 8:
			return true
		case n == 38 || n == 48 || n == 58:
			if i+1 < len(list) && list[i+1] == "2" {
				i += 4
			} else {
				i += 2
			}
		}
	}
	return false
}

func resets(sequence []byte) bool {
	s := string(sequence)
	return s == "\x1b[m" || s == "\x1b[0m"
}
