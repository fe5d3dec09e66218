package secret

import "sort"

// broken knows where a candidate of the encoded automaton lies when line breaks
// are in it, which the automaton does not see and its depth does not count.
// With no break in the candidate it is empty and costs nothing.
//
// Characters are counted from an arbitrary one; a gap remembers how many came
// before it.
type broken struct {
	start int64 // of the candidate, while there are gaps
	first int   // number of the character there
	gaps  []gap // in the candidate, in order; from index head on
	head  int
}

type gap struct {
	at, end int64
	before  int // number of the character after it
}

// maxGap is how long a line break with the indentation after it may be, in
// bytes. A flood of white space ends the candidate there.
const maxGap = 64

func (b *broken) any() bool { return b.head < len(b.gaps) }

func (b *broken) clear() { b.gaps, b.head = b.gaps[:0], 0 }

// skip takes the white space c at pos into a candidate of the given depth. It
// refuses what is neither a line end nor the indentation after one.
func (b *broken) skip(c byte, pos int64, depth int) bool {
	if b.any() {
		if last := &b.gaps[len(b.gaps)-1]; last.end == pos {
			last.end++
			return last.end-last.at <= maxGap
		}
	}
	if c != '\n' && c != '\r' {
		return false
	}
	if !b.any() {
		b.clear()
		b.start, b.first = pos-int64(depth), 0
	}
	if b.head > len(b.gaps)/2 {
		b.gaps = append(b.gaps[:0], b.gaps[b.head:]...)
		b.head = 0
	}
	b.gaps = append(b.gaps, gap{pos, pos + 1, b.first + depth})
	return true
}

// step follows the candidate when a character changed its depth: it lost as
// many characters at its start as the depth did not grow by one.
func (b *broken) step(before, after int) {
	if after == 0 {
		b.clear()
		return
	}
	lost := before + 1 - after
	b.start += int64(lost)
	b.first += lost
	for b.any() && b.gaps[b.head].before <= b.first {
		g := b.gaps[b.head]
		b.start = g.end + int64(b.first-g.before)
		b.head++
	}
}

// end is where the last gap ends.
func (b *broken) end() int64 { return b.gaps[len(b.gaps)-1].end }

// after is the place of the character n after the candidate's first.
func (b *broken) after(n int) int64 {
	n += b.first
	live := b.gaps[b.head:]
	i := sort.Search(len(live), func(i int) bool { return live[i].before > n })
	if i == 0 {
		return b.start + int64(n-b.first)
	}
	return live[i-1].end + int64(n-live[i-1].before)
}
