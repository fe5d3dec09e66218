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
// a pattern that begins at or up to 4 bytes before it. Looking at every fifth
// window is then enough (the idea of Wu and Manber's "A fast algorithm for
// multi-pattern searching", 1994, without its shift table: one distance is kept
// instead, and the loop has no dependence from one step to the next). Windows
// are kept as two bits each of a Bloom filter.
type filter struct {
	bits  []uint64
	shift uint
}

const (
	window = 4
	stride = MinLength - window + 1
)

// newFilter makes room for n windows: 32 bits for each, and no more than a
// second-level cache holds, since a filter that is too full is only slow.
func newFilter(n int) *filter {
	log := min(max(bits.Len(uint(32*n)), 12), 23)
	return &filter{bits: make([]uint64, 1<<log/64), shift: uint(32 - log)}
}

// add puts in the windows of the first MinLength bytes of text.
func (f *filter) add(text string) {
	for i := range stride {
		w := binary.LittleEndian.Uint32([]byte(text[i : i+window]))
		for _, h := range [...]uint32{f.first(w), f.second(w)} {
			f.bits[h>>6] |= 1 << (h & 63)
		}
	}
}

func (f *filter) first(w uint32) uint32  { return w * 0x9e3779b1 >> f.shift }
func (f *filter) second(w uint32) uint32 { return (w ^ w>>15) * 0x85ebca6b >> f.shift }

// next is the first place at or after p, in steps of stride, where a window may
// belong to a pattern; or the first from which a window does not fit.
func (f *filter) next(data []byte, p int) int {
	set, shift := f.bits, f.shift&31
	mask := uint32(len(set) - 1)
	for ; p+window <= len(data); p += stride {
		w := binary.LittleEndian.Uint32(data[p:])
		h := w * 0x9e3779b1 >> shift
		if set[h>>6&mask]>>(h&63)&1 == 0 {
			continue
		}
		h = f.second(w)
		if set[h>>6&mask]>>(h&63)&1 != 0 {
			return p
		}
	}
	return p
}
