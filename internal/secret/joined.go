package secret

import (
	"bytes"
	"sort"
)

// joined follows a stream with its line breaks, and the indentation after them,
// left out: base64(1), xxd(1), fold(1) and mailers break their lines wherever a
// value may stand. Its tracker reads the text that is left; gaps say where what
// was left out stood.
type joined struct {
	tracker
	text []byte // what is left of the piece at hand
	gaps []gap  // those that a candidate may have, and the one before it

	marks []mark // found and not yet taken, by their places in the stream

	pos   int64 // in the stream, of the next byte
	run   int   // bytes of the line break that the stream ends in; 0: none
	equal bool  // the stream ends in "=", which is a part of a break if one follows
}

// gap is something left out before the byte at of the text.
type gap struct {
	at      int64
	removed int64 // bytes that were left out up to here
}

// maxGap is how long a line break with the indentation after it may be, in
// bytes. Of a longer one a byte stays in the text, and no form has such a byte.
const maxGap = 128

// piece is how much is joined at a time. A processor's first-level cache is to hold
// it beside what it is made of, which is written next.
const piece = 4 << 10

// scan reads the stream's next bytes.
func (j *joined) scan(data []byte) {
	for len(data) > 0 {
		n := min(len(data), piece)
		j.join(data[:n])
		data = data[n:]
	}
}

// join reads a piece.
func (j *joined) join(data []byte) {
	if cap(j.text) == 0 {
		j.text = make([]byte, 0, piece+2)
	}
	out := j.text[:0]
	if j.equal {
		if j.equal = false; isBreak(data[0]) {
			j.leaveOut(0, 1)
		} else {
			out = append(out, '=')
		}
	}
	lf, cr := -1, -1
	i := 0
	for {
		if j.run == 0 {
			lf, cr = nextIndex(data, lf, i, '\n'), nextIndex(data, cr, i, '\r')
			end := min(lf, cr)
			out = append(out, data[i:end]...)
			if i = end; i == len(data) {
				break
			}
			if n := len(out) - 1; n >= 0 && out[n] == '=' { // quoted-printable's soft line break (RFC 2045, 6.7)
				out = out[:n]
				j.leaveOut(n, 1)
			}
		}
		start := i
		for i < len(data) && isBlank(data[i]) {
			i++
		}
		n, room := i-start, maxGap-j.run
		if room >= 0 && n > room {
			j.leaveOut(len(out), room)
			out = append(out, '\n')
			n -= room + 1
		}
		j.leaveOut(len(out), n)
		if i == len(data) {
			j.run = min(j.run+i-start, maxGap+1)
			break
		}
		j.run = 0
	}
	j.pos += int64(len(data))
	j.read(out)
}

// read has the tracker read what is left of a piece.
func (j *joined) read(out []byte) {
	n := len(out)
	last := n > 0 && j.run == 0 && out[n-1] == '='
	if last {
		out = out[:n-1]
	}
	j.tracker.scan(out)
	if last {
		if j.depth() > 0 || j.next(0, '=') != 0 {
			j.equal = true
		} else {
			j.tracker.scan([]byte("="))
		}
	}
	for _, m := range j.tracker.marks {
		j.marks = addMark(j.marks, mark{j.place(m.start), j.place(m.end-1) + 1, m.name})
	}
	j.tracker.marks = j.tracker.marks[:0]
	j.prune()
}

// leaveOut notes that n bytes of the stream are missing at a place of the piece at
// hand.
func (j *joined) leaveOut(at, n int) {
	if n <= 0 {
		return
	}
	place := j.tracker.pos + int64(at)
	k := len(j.gaps) - 1
	if k >= 0 && j.gaps[k].at == place {
		j.gaps[k].removed += int64(n)
		return
	}
	removed := int64(n)
	if k >= 0 {
		removed += j.gaps[k].removed
	}
	j.gaps = append(j.gaps, gap{place, removed})
}

// place is where a byte of the text stands in the stream.
func (j *joined) place(p int64) int64 {
	k := sort.Search(len(j.gaps), func(k int) bool { return j.gaps[k].at > p })
	if k == 0 {
		return p
	}
	return p + j.gaps[k-1].removed
}

// prune forgets the gaps before the candidate, all but the last.
func (j *joined) prune() {
	first := j.tracker.candidate()
	k := sort.Search(len(j.gaps), func(k int) bool { return j.gaps[k].at > first })
	if k > 1 {
		j.gaps = append(j.gaps[:0], j.gaps[k-1:]...)
	}
}

// candidate is where in the stream the first text begins that may yet become a
// secret.
func (j *joined) candidate() int64 {
	first := j.tracker.candidate()
	if first == j.tracker.pos {
		if j.equal {
			return j.pos - 1
		}
		return j.pos
	}
	return j.place(first)
}

// atBreak reports whether the last that was read is a line break.
func (j *joined) atBreak() bool { return j.run > 0 }

// forget drops all candidates.
func (j *joined) forget() {
	j.tracker.forget()
	if j.equal {
		j.equal = false
		j.tracker.scan([]byte("="))
		j.tracker.forget()
	}
	j.run = 0
	j.prune()
}

// nextIndex is the place of the first c in data from i on, or len(data). at is what
// it was before, for a smaller i, or -1.
func nextIndex(data []byte, at, i int, c byte) int {
	if at >= i {
		return at
	}
	if n := bytes.IndexByte(data[i:], c); n >= 0 {
		return i + n
	}
	return len(data)
}

func isBreak(c byte) bool { return c == '\n' || c == '\r' }
func isBlank(c byte) bool { return c == '\n' || c == '\r' || c == ' ' || c == '\t' }
