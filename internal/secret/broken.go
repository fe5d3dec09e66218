package secret

// broken knows where a candidate of the encoded automaton began when line
// breaks lie in it, which the automaton does not see and its depth not count.
// With no break in the candidate it is empty and costs nothing.
type broken struct {
	start  int64 // of the candidate, while there are gaps
	gaps   []gap // in the candidate, in order; from index head on
	head   int
	within bool // the byte before was part of the last gap
}

type gap struct {
	at  int64
	len int
}

// maxGap is how long a line break with the indentation after it may be, in
// bytes. A flood of white space ends the candidate there.
const maxGap = 64

func (b *broken) any() bool { return b.head < len(b.gaps) }

func (b *broken) clear() { b.gaps, b.head, b.within = b.gaps[:0], 0, false }

// skip takes the white space c at pos into a candidate of the given depth. It
// refuses what is neither a line end nor the indentation after one.
func (b *broken) skip(c byte, pos int64, depth int) bool {
	if b.any() && b.within {
		last := &b.gaps[len(b.gaps)-1]
		if last.at+int64(last.len) == pos {
			last.len++
			return last.len <= maxGap
		}
	}
	if c != '\n' && c != '\r' {
		return false
	}
	if !b.any() {
		b.clear()
		b.start = pos - int64(depth)
	}
	if b.head > len(b.gaps)/2 {
		b.gaps = append(b.gaps[:0], b.gaps[b.head:]...)
		b.head = 0
	}
	b.gaps = append(b.gaps, gap{pos, 1})
	b.within = true
	return true
}

// step follows the candidate when the character at pos changed its depth: it
// lost as many characters at its start as the depth did not grow by one.
func (b *broken) step(pos int64, before, after int) {
	b.within = false
	if after == 0 {
		b.clear()
		return
	}
	for lost := before + 1 - after; b.any() && lost >= 0; {
		g := b.gaps[b.head]
		run := int(g.at - b.start)
		if lost < run {
			b.start += int64(lost)
			return
		}
		lost -= run
		b.start = g.at + int64(g.len)
		b.head++
	}
}

// after is the place n characters after the candidate's start.
func (b *broken) after(n int) int64 {
	at := b.start
	for _, g := range b.gaps[b.head:] {
		run := int(g.at - at)
		if n < run {
			break
		}
		n -= run
		at = g.at + int64(g.len)
	}
	return at + int64(n)
}
