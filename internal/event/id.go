package event

import (
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"math/rand/v2"
	"strings"
	"time"
)

// The ULID alphabet (Crockford base 32) in lower case: no i, l, o, u, so an id
// read aloud or typed from a screen is not mistaken.
const idAlphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// IDLen is the length of an id in bytes: 26 digits of 5 bits for 128 bits.
const IDLen = 26

// timeDigits is how many digits at an id's beginning are its time.
const timeDigits = 10

// NewID makes an id for a push or run: 48 bits of Unix milliseconds, then 80
// random bits, as a ULID (github.com/ulid/spec) in lower case. Ids of different
// milliseconds sort by time, byte-wise. It is written here because the hook
// links nothing it can do without.
func NewID(at time.Time) string {
	var b [16]byte
	// The runtime's generator, which the kernel seeds for each process: an id
	// must be unique and need not be secret, and the first call of crypto/rand
	// costs every push 0.1 ms of self-tests.
	binary.BigEndian.PutUint64(b[8:], rand.Uint64())
	binary.BigEndian.PutUint16(b[6:], uint16(rand.Uint32()))
	ms := uint64(at.UnixMilli())
	var t [8]byte
	binary.BigEndian.PutUint64(t[:], ms)
	copy(b[:6], t[2:])
	hi, lo := binary.BigEndian.Uint64(b[:8]), binary.BigEndian.Uint64(b[8:])
	var out [IDLen]byte
	for i := IDLen - 1; i >= 0; i-- {
		out[i] = idAlphabet[lo&31]
		lo = lo>>5 | hi<<59
		hi >>= 5
	}
	return string(out[:])
}

// LastOfStamp sorts after every id of the same millisecond, and before those of
// the next: ids of one millisecond have no order.
func LastOfStamp(id string) string { return id[:timeDigits] + "~" }

// DerivedID is an id whose time is that of another id, and whose other 80 bits
// are a hash of a text: whoever derives it from the same two gets the same id.
func DerivedID(stamp, text string) string { return stamp[:timeDigits] + derivedDigits(text) }

// DerivedFrom reports whether an id was derived from a text, whatever its time.
func DerivedFrom(id, text string) bool { return ValidID(id) && id[timeDigits:] == derivedDigits(text) }

func derivedDigits(text string) string {
	sum := sha256.Sum256([]byte(text))
	return idEncoding.EncodeToString(sum[:10])
}

var idEncoding = base32.NewEncoding(idAlphabet).WithPadding(base32.NoPadding)

// CompareTimes compares the times of two ids, as strings.Compare does.
func CompareTimes(a, b string) int { return strings.Compare(a[:timeDigits], b[:timeDigits]) }

// ValidID reports whether s has the form of an id. Ids name files, so anything
// read from outside is checked before it becomes part of a path.
func ValidID(s string) bool {
	if len(s) != IDLen {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c >= '0' && c <= '9' || c >= 'a' && c <= 'z' && c != 'i' && c != 'l' && c != 'o' && c != 'u' {
			continue
		}
		return false
	}
	return true
}
