package secret

import "bytes"

// sequences takes out of a stream what a program draws its text with: control
// sequences, that is colours above all (grep --color, diffs), and letters written
// twice over each other (man, with backspaces). What is left is the text that
// secrets are looked for in; what was taken out is put back when it is written.
type sequences struct {
	text  []byte     // what is left of the piece at hand
	left  []sequence // taken out and not yet written, in order
	held  []byte     // the beginning of one, whose rest has not come
	run   int        // bytes taken out since the text's last byte
	last  byte       // the text's last byte
	until int64      // up to here the text has been replaced; 0: nowhere
}

// sequence is something taken out before the byte at of the text.
type sequence struct {
	at    int64
	text  string
	twice bool // it holds a letter of the text
}

const (
	escape    = 0x1b
	backspace = '\b'
	shiftIn   = 0x0f // some terminals' sgr0 ends with it
)

// Bounds of what is taken out.
const (
	maxSequence = 64  // bytes of one
	maxRun      = 128 // bytes between two bytes of the text; more end all candidates
	maxDigits   = 4   // of a number in one: a longer one could be a value
)

// plainText reports whether a text has nothing to take out.
func plainText(p []byte) bool {
	return bytes.IndexByte(p, escape) < 0 && bytes.IndexByte(p, backspace) < 0
}

// strip takes out of data what is no text. pos is the text's place. At cuts in the
// text no candidate goes on.
func (q *sequences) strip(data []byte, pos int64) (text []byte, cuts []int) {
	shift := q.run > 0 && data[0] == shiftIn
	if len(q.held) == 0 && !shift && plainText(data) {
		q.last, q.run = data[len(data)-1], 0
		return data, nil
	}
	if len(q.held) > 0 {
		data = append(q.held, data...)
		q.held = nil
	}
	out := q.text[:0]
	keep := func(p []byte) {
		if len(p) > 0 {
			out = append(out, p...)
			q.last, q.run = p[len(p)-1], 0
		}
	}
	take := func(p []byte, twice bool) {
		q.left = append(q.left, sequence{pos + int64(len(out)), string(p), twice})
		if before := q.run; before <= maxRun {
			if q.run += len(p); q.run > maxRun {
				cuts = append(cuts, len(out))
			}
		}
	}
	esc, bs, i := -1, -1, 0
	if shift {
		take(data[:1], false)
		i = 1
	}
	for i < len(data) {
		esc, bs = nextIndex(data, esc, i, escape), nextIndex(data, bs, i, backspace)
		end := min(esc, bs)
		keep(data[i:end])
		if i = end; i == len(data) {
			break
		}
		rest := data[i:]
		if data[i] == escape {
			n, whole := controlSequence(rest)
			if !whole {
				q.held = bytes.Clone(rest)
				break
			}
			if n > 0 {
				take(rest[:n], false)
			} else {
				n = 1
				keep(rest[:n])
			}
			i += n
			continue
		}
		if len(rest) == 1 && q.last > ' ' {
			q.held = bytes.Clone(rest)
			break
		}
		n := len(out) - 1
		switch {
		case len(rest) > 1 && rest[1] > ' ' && rest[1] == q.last && q.run == 0:
			take(rest[:2], true) // bold
			q.run = 0
			i += 2
		case len(rest) > 1 && rest[1] > ' ' && n >= 0 && out[n] == '_' && q.run == 0:
			out = out[:n]
			take([]byte("_\b"), true) // underlined
			i++
		default:
			keep(rest[:1])
			i++
		}
	}
	q.text = out
	return out, cuts
}

// rest is what was held back of a stream that ends.
func (q *sequences) rest() []byte {
	p := q.held
	q.held, q.run, q.last = nil, 0, 0
	return p
}

// upTo calls write with what stands at or before a place of the text, but with
// no letter of what has been replaced.
func (q *sequences) upTo(place int64, write func(at int64, text string)) {
	n := 0
	for n < len(q.left) && q.left[n].at <= place {
		if s := q.left[n]; !s.twice || s.at > q.until || q.until == 0 {
			write(s.at, s.text)
		}
		n++
	}
	if n > 0 {
		q.left = append(q.left[:0], q.left[n:]...)
	}
}

// controlSequence is the length of a control sequence at the start of p that
// changes how letters look (SGR), clears a line's rest (EL; ECMA-48, 8.3), or
// chooses a character set (ECMA-35, 14.3; tput sgr0 writes one); 0 if there is none.
// It is not whole if p ends before that can be told.
func controlSequence(p []byte) (n int, whole bool) {
	if len(p) == 1 {
		return 0, false
	}
	if p[1] >= '(' && p[1] <= '+' {
		switch {
		case len(p) == 2:
			return 0, false
		case p[2] == 'B' || p[2] == '0': // the only ones in use
			return 3, true
		}
		return 0, true
	}
	if p[1] != '[' {
		return 0, true
	}
	digits := 0
	for i := 2; i < len(p) && i < maxSequence; i++ {
		switch c := p[i]; {
		case c == 'm' || c == 'K':
			if i+1 < len(p) && p[i+1] == shiftIn {
				i++
			}
			return i + 1, true
		case c == ';' || c == ':':
			digits = 0
		case c >= '0' && c <= '9':
			if digits++; digits > maxDigits {
				return 0, true
			}
		default:
			return 0, true
		}
	}
	return 0, len(p) >= maxSequence
}
