package secret

import (
	"encoding/binary"
	"math/bits"
)

// filter says of a place in a text that no pattern begins near it, which is so
// nearly everywhere, at a fraction of the automaton's cost.
//
// A pattern has at least MinLength = 8 bytes, so among any stride = 5 places in
// a row one is where a window of 4 bytes lies wholly in the first 8 bytes of
// a pattern that begins there or up to 4 bytes before. Looking at every fifth
// window is then enough (the idea of Wu and Manber's "A fast algorithm for
// multi-pattern searching", 1994, without its shift table: one distance is kept
// instead, and no step of the loop waits for the one before). And where it may
// belong to one, so must the windows beside it, five in a row.
//
// Windows are kept in a Bloom filter as two bits of one word, so that a look is
// one access to memory.
type filter struct {
	words []uint64
	shift uint
}

const (
	window = 4
	stride = MinLength - window + 1
)

// newFilter makes a filter of the patterns' heads, their first MinLength bytes.
// It has 16 to 32 bits for each window, but not so few in all that the one
// window of a flood of one byte is likely to be taken for another, nor more
// than a core's second-level cache holds: a filter that is too full is only slow.
func newFilter(heads map[string]bool) *filter {
	windows := map[uint32]bool{}
	for h := range heads {
		for i := range stride {
			windows[binary.LittleEndian.Uint32([]byte(h[i:i+window]))] = true
		}
	}
	log := min(max(bits.Len(uint(16*len(windows)))-6, 10), 17)
	f := &filter{words: make([]uint64, 1<<log), shift: uint(64 - log)}
	for w := range windows {
		h := spread(w)
		f.words[h>>f.shift] |= 1<<(h>>20&63) | 1<<(h>>26&63)
	}
	return f
}

func spread(w uint32) uint64 { return uint64(w) * 0x9e3779b97f4a7c15 }

func (f *filter) has(w uint32) bool {
	h := spread(w)
	word := f.words[h>>(f.shift&63)]
	return word&(1<<(h>>20&63)) != 0 && word&(1<<(h>>26&63)) != 0
}

// next looks at the windows of data from p on, in steps of stride. It returns
// the first window that may belong to a pattern, and the first place where that
// pattern may begin. With none, start is len(data) or more, and p the first
// window that does not fit into data any more.
func (f *filter) next(data []byte, p int) (start, at int) {
	for {
		if p+window <= len(data) {
			p = f.skip(data, p)
		}
		if p+window > len(data) {
			return len(data), p
		}
		start, not := f.run(data, p)
		if not < 0 {
			return start, p
		}
		p = not + stride
	}
}

// skip is the loop of next that nearly all time is spent in.
func (f *filter) skip(data []byte, p int) int {
	words, shift := f.words, f.shift&63
	for d := data[p:]; len(d) >= window+3*stride; d = d[4*stride:] {
		h0 := spread(binary.LittleEndian.Uint32(d))
		h1 := spread(binary.LittleEndian.Uint32(d[stride:]))
		h2 := spread(binary.LittleEndian.Uint32(d[2*stride:]))
		h3 := spread(binary.LittleEndian.Uint32(d[3*stride:]))
		w0, w1, w2, w3 := words[h0>>shift], words[h1>>shift], words[h2>>shift], words[h3>>shift]
		// One branch for all eight bits: each by itself would often be guessed wrong.
		w0 = w0 >> (h0 >> 20 & 63) & (w0 >> (h0 >> 26 & 63))
		w1 = w1 >> (h1 >> 20 & 63) & (w1 >> (h1 >> 26 & 63))
		w2 = w2 >> (h2 >> 20 & 63) & (w2 >> (h2 >> 26 & 63))
		w3 = w3 >> (h3 >> 20 & 63) & (w3 >> (h3 >> 26 & 63))
		if (w0|w1|w2|w3)&1 != 0 {
			return p + stride*bits.TrailingZeros64(w0&1|w1&1<<1|w2&1<<2|w3&1<<3)
		}
		p += 4 * stride
		if len(d) < 4*stride {
			break
		}
	}
	for ; p+window <= len(data); p += stride {
		if f.has(binary.LittleEndian.Uint32(data[p:])) {
			break
		}
	}
	return p
}

// run looks at the neighbours of the window at p, which is in the filter: a
// pattern's head is stride such windows in a row. start is where the row begins.
// If there is none, not is a window that is in no head: a head that begins after
// it does not end before the window not+stride. Windows that data is too short
// for may be anything.
func (f *filter) run(data []byte, p int) (start, not int) {
	start = p
	for start > p-window && start > 0 && f.has(binary.LittleEndian.Uint32(data[start-1:])) {
		start--
	}
	for q := p + 1; q < start+stride && q+window <= len(data); q++ {
		if !f.has(binary.LittleEndian.Uint32(data[q:])) {
			return start, q
		}
	}
	return start, -1
}
