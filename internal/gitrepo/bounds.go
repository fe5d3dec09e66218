package gitrepo

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"time"
)

// The bounds on what is read from a repository. Whoever may push decides what is
// in it: a commit of 2 GB takes 2 MB to send, a tree of some hundred bytes names
// 10^10 files. So the size of everything is known before it is read, and what is
// made of it is counted while it grows.
const (
	MaxFile   = 8 << 20  // bytes of a file: what is read here is source text
	MaxCommit = 4 << 20  // bytes of a commit or tag object, its message included
	MaxTree   = 16 << 20 // bytes of a tree object: some 300,000 entries of a directory

	MaxPath      = 4095      // bytes of a path (PATH_MAX without its NUL)
	MaxPaths     = 500_000   // paths in one answer
	MaxPathBytes = 64 << 20  // bytes of them, and of the directories on the way to them
	maxRows      = 5_000_000 // tree entries that are looked at for one answer
	maxTrees     = 200_000   // trees that are, which need not have entries
	MaxRefs      = 500_000   // refs in one answer
	maxPeel      = 32        // tags of tags

	// A git that reads for this package may take so much, for a delta may need a
	// base that is far larger than what it makes. What needs more fails in the
	// child, and is an error here.
	childMemory = 1 << 30 // bytes
	childTime   = 300     // seconds of processor time

	// Processor time does not bound one that waits: for a named pipe that somebody
	// put into the repository, or for a file system that does not answer.
	answerTime = time.Minute
	walkTime   = 5 * time.Minute
)

// boundOf is the most bytes that are read of an object.
func boundOf(kind string) int64 {
	switch kind {
	case "blob":
		return MaxFile
	case "tree":
		return MaxTree
	}
	return MaxCommit
}

// ErrTooLarge is what every *TooLargeError is (errors.Is).
var ErrTooLarge = errors.New("it is too large")

// TooLargeError is the error for what is not read because a bound forbids it.
// Its text is a sentence for whoever pushed it.
type TooLargeError struct {
	What  string // "commit 1234abcd", ".quire/ci.fnl at 1234abcd"
	Size  int64  // -1: not counted to its end
	Bound int64
	Unit  string // "bytes", "paths", …
	Done  string // what is not done with it; "" is "read"
}

func (e *TooLargeError) Error() string {
	done := cmp.Or(e.Done, "read")
	if e.Size < 0 || e.Size == math.MaxInt64 {
		return fmt.Sprintf("%s has more than %d %s, and no more are %s", e.What, e.Bound, e.Unit, done)
	}
	return fmt.Sprintf("%s has %d %s; at most %d are %s", e.What, e.Size, e.Unit, e.Bound, done)
}

// Is makes errors.Is(err, ErrTooLarge) hold.
func (e *TooLargeError) Is(target error) bool { return target == ErrTooLarge }

// sized refuses an object whose size is above the bound of its kind.
func sized(oid, kind string, size int64) error {
	if bound := boundOf(kind); size > bound {
		return &TooLargeError{What: fmt.Sprintf("%s %.12s", kind, oid), Size: size, Bound: bound, Unit: "bytes"}
	}
	return nil
}

// budget counts what is gathered for one answer.
type budget struct {
	what                      string // the answer, for the error
	trees, rows, paths, bytes int64

	seen map[string]map[string]entry // some of the trees that were read
	held int                         // their entries
}

// keep remembers a tree: one that stands in many places is read once.
func (b *budget) keep(tree string, entries map[string]entry) {
	const most = 20_000
	if b.held += len(entries) + 1; b.held > most {
		b.seen, b.held = nil, len(entries)+1
	}
	if b.seen == nil {
		b.seen = map[string]map[string]entry{}
	}
	b.seen[tree] = entries
}

// looked takes a tree that was read.
func (b *budget) looked(rows int) error {
	if b.trees++; b.trees > maxTrees {
		return &TooLargeError{What: b.what, Size: -1, Bound: maxTrees, Unit: "directories"}
	}
	if b.rows += int64(rows); b.rows > maxRows {
		return &TooLargeError{What: b.what, Size: -1, Bound: maxRows, Unit: "tree entries"}
	}
	return nil
}

// directory takes a directory on the way.
func (b *budget) directory(path string) error {
	if len(path) > MaxPath {
		return &TooLargeError{What: "a path in " + b.what, Size: int64(len(path)), Bound: MaxPath, Unit: "bytes"}
	}
	if b.bytes += int64(len(path)); b.bytes > MaxPathBytes {
		return &TooLargeError{What: b.what, Size: -1, Bound: MaxPathBytes, Unit: "bytes of paths"}
	}
	return nil
}

// path takes a path of the answer.
func (b *budget) path(path string) error {
	if b.paths++; b.paths > MaxPaths {
		return &TooLargeError{What: b.what, Size: -1, Bound: MaxPaths, Unit: "paths"}
	}
	return b.directory(path)
}
