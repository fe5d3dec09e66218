package gitrepo

import (
	"errors"
	"fmt"

	"github.com/go-git/go-git/v5/plumbing/format/packfile"
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

// applyDelta makes an object of another (gitformat-pack(5), "Deltified
// representation"). The delta's own sizes are looked at first: no more than
// maxDirect bytes are made.
func applyDelta(base, delta []byte) ([]byte, error) {
	from, rest, err := deltaSize(delta)
	if err != nil {
		return nil, err
	}
	to, _, err := deltaSize(rest)
	if err != nil {
		return nil, err
	}
	if from != int64(len(base)) {
		return nil, fmt.Errorf("%w: it is for %d bytes, and there are %d", errDelta, from, len(base))
	}
	if to > maxDirect {
		return nil, fmt.Errorf("%w: a delta makes %d bytes", errUnread, to)
	}
	out, err := packfile.PatchDelta(base, delta)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errDelta, err)
	}
	if int64(len(out)) != to {
		return nil, fmt.Errorf("%w: it made %d bytes of %d", errDelta, len(out), to)
	}
	return out, nil
}
