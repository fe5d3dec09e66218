package gitrepo

import (
	"errors"
	"fmt"
)

var errDelta = errors.New("malformed delta")

// deltaSize reads one of the two sizes that a delta begins with: seven bits a
// byte, the least first.
func deltaSize(b []byte) (size int64, rest []byte, err error) {
	for i, c := range b {
		if i == 8 {
			break
		}
		size |= int64(c&0x7f) << (7 * i)
		if c&0x80 == 0 {
			return size, b[i+1:], nil
		}
	}
	return 0, nil, errDelta
}

// applyDelta makes an object of another, by copying parts of it and inserting
// what is new (gitformat-pack(5), "Deltified representation"). No more than
// maxDirect bytes are made.
func applyDelta(base, delta []byte) ([]byte, error) {
	from, delta, err := deltaSize(delta)
	if err != nil {
		return nil, err
	}
	to, delta, err := deltaSize(delta)
	if err != nil {
		return nil, err
	}
	if from != int64(len(base)) {
		return nil, fmt.Errorf("%w: it is for %d bytes, and there are %d", errDelta, from, len(base))
	}
	if to > maxDirect {
		return nil, fmt.Errorf("%w: a delta makes %d bytes", errUnread, to)
	}
	out := make([]byte, 0, to)
	for len(delta) > 0 {
		c := delta[0]
		delta = delta[1:]
		var part []byte
		switch {
		case c&0x80 != 0: // copy: four bytes of an offset, three of a size, as far as their bits are set
			var word [7]byte
			for i := range word {
				if c&(1<<i) == 0 {
					continue
				}
				if len(delta) == 0 {
					return nil, errDelta
				}
				word[i], delta = delta[0], delta[1:]
			}
			at := int64(word[0]) | int64(word[1])<<8 | int64(word[2])<<16 | int64(word[3])<<24
			n := int64(word[4]) | int64(word[5])<<8 | int64(word[6])<<16
			if n == 0 {
				n = 1 << 16
			}
			if at+n > int64(len(base)) {
				return nil, errDelta
			}
			part = base[at : at+n]
		case c != 0: // insert
			if int(c) > len(delta) {
				return nil, errDelta
			}
			part, delta = delta[:c], delta[c:]
		default:
			return nil, errDelta
		}
		if int64(len(out)+len(part)) > to {
			return nil, errDelta
		}
		out = append(out, part...)
	}
	if int64(len(out)) != to {
		return nil, errDelta
	}
	return out, nil
}
