package gitrepo

import (
	"bytes"
	"cmp"
	"fmt"
	"math"
	"strings"
)

// Extent is what checking out a commit makes.
type Extent struct {
	Entries int64 // files, links and directories
	Bytes   int64 // of the files, at most: some attributes make them larger than they are stored; 0 if not asked for
	Path    int   // bytes of the longest path
}

// ExtentBounds is how much may be checked out; zero is no bound.
type ExtentBounds struct {
	Entries, Bytes int64
}

// Extent counts what a commit's tree holds, before anybody expands it: a dozen
// trees of a hundred entries, each of which is the next tree, are 10^24 files. Each tree
// is read once, and what is below it is a sum. The error is a *TooLargeError if
// it is more than the bounds, and says so if git would not check it out.
func (r *Repo) Extent(commit string, b ExtentBounds) (Extent, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c, err := r.commit(commit)
	if err != nil {
		return Extent{}, err
	}
	count := &extent{repo: r, bounds: b, commit: fmt.Sprintf("commit %.12s", c.OID), trees: map[string]*extentTree{}, blobs: map[string]int{}}
	if err := count.discover(c.Tree); err != nil {
		return Extent{}, fmt.Errorf("count the files of %.12s: %w", c.OID, err)
	}
	sizes := make([]int64, len(count.oids))
	growth := int64(1)
	if b.Bytes > 0 {
		err := r.do(func(s source) (err error) {
			sizes, err = s.sizes(count.oids)
			return err
		})
		if err == nil {
			growth, err = count.growth()
		}
		if err != nil {
			return Extent{}, fmt.Errorf("size the files of %.12s: %w", c.OID, err)
		}
	}
	out := count.sum(c.Tree, sizes)
	out.Bytes = times(out.Bytes, growth)
	return out, count.check(out)
}

// extent is one counting.
type extent struct {
	repo       *Repo
	bounds     ExtentBounds
	commit     string
	trees      map[string]*extentTree
	rows       int64
	blobs      map[string]int // index into oids
	oids       []string
	attributes map[string]bool // blobs that are a .gitattributes
}

// extentTree is what is known of a tree.
type extentTree struct {
	below   []string // trees, as often as they stand in it
	names   []int    // lengths of their names
	own     int64    // entries
	longest int      // name of those that are no trees
	files   []int    // into oids
	summed  bool
	sum     Extent
}

func (x *extent) discover(root string) error {
	todo := []string{root}
	for len(todo) > 0 {
		oid := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if x.trees[oid] != nil {
			continue
		}
		rows, err := x.repo.tree(oid)
		if err != nil {
			return err
		}
		// Every entry of a tree that stands anywhere is checked out at least once.
		if x.rows += int64(len(rows)); x.rows > cmp.Or(x.bounds.Entries, maxRows) {
			return x.tooMany(-1)
		}
		t := &extentTree{own: int64(len(rows))}
		x.trees[oid] = t
		for _, e := range rows {
			if err := checkName(e.name); err != nil {
				return err
			}
			if e.isTree() {
				t.below, t.names = append(t.below, e.oid), append(t.names, len(e.name))
				todo = append(todo, e.oid)
				continue
			}
			t.longest = max(t.longest, len(e.name))
			if e.isSubmodule() || x.bounds.Bytes == 0 {
				continue
			}
			i, known := x.blobs[e.oid]
			if !known {
				i = len(x.oids)
				x.oids = append(x.oids, e.oid)
				x.blobs[e.oid] = i
			}
			t.files = append(t.files, i)
			if e.name == ".gitattributes" {
				if x.attributes == nil {
					x.attributes = map[string]bool{}
				}
				x.attributes[e.oid] = true
			}
		}
	}
	return nil
}

// checkName refuses what no file may be called. Git checks it again, and more.
func checkName(name string) error {
	switch {
	case name == ".", name == "..", strings.EqualFold(name, ".git"), strings.Contains(name, "/"):
		return fmt.Errorf("%w: an entry is called %q, which is not checked out", errTree, name)
	case len(name) > 255:
		return fmt.Errorf("%w: an entry's name has %d bytes, and a file's can have 255", errTree, len(name))
	}
	return nil
}

// growth is by how much attributes can make files larger when they are checked
// out (gitattributes(5)).
func (x *extent) growth() (int64, error) {
	const (
		ident    = 18 // $Id$ is 4 bytes, and with an id of 64 digits 71
		encoding = 4  // ASCII as UTF-32
		crlf     = 2
		files    = 1000
	)
	if len(x.attributes) > files {
		return ident * encoding * crlf, nil
	}
	is := map[string]bool{}
	for oid := range x.attributes {
		_, text, err := x.repo.read(oid)
		if err != nil {
			return 0, fmt.Errorf("read .gitattributes: %w", err)
		}
		for _, word := range []string{"ident", "working-tree-encoding", "crlf"} {
			is[word] = is[word] || bytes.Contains(text, []byte(word))
		}
	}
	by := int64(1)
	if is["ident"] {
		by *= ident
	}
	if is["working-tree-encoding"] {
		by *= encoding
	}
	if is["crlf"] {
		by *= crlf
	}
	return by, nil
}

// sum adds up what is below a tree, the trees in it first. They are on a list and
// not on the stack, as they may be deep.
func (x *extent) sum(root string, sizes []int64) Extent {
	todo := []string{root}
	for len(todo) > 0 {
		t := x.trees[todo[len(todo)-1]]
		ready := t.summed
		if !ready {
			ready = true
			for _, oid := range t.below {
				if !x.trees[oid].summed {
					todo = append(todo, oid)
					ready = false
					break
				}
			}
		}
		if !ready {
			continue
		}
		todo = todo[:len(todo)-1]
		if t.summed {
			continue
		}
		t.summed = true
		t.sum = Extent{Entries: t.own, Path: t.longest}
		for _, i := range t.files {
			t.sum.Bytes = plus(t.sum.Bytes, sizes[i])
		}
		for i, oid := range t.below {
			s := x.trees[oid].sum
			t.sum.Entries = plus(t.sum.Entries, s.Entries)
			t.sum.Bytes = plus(t.sum.Bytes, s.Bytes)
			t.sum.Path = max(t.sum.Path, t.names[i]+1+s.Path)
		}
	}
	return x.trees[root].sum
}

func (x *extent) check(e Extent) error {
	if b := x.bounds.Entries; b > 0 && e.Entries > b {
		return x.tooMany(e.Entries)
	}
	if b := x.bounds.Bytes; b > 0 && e.Bytes > b {
		return &TooLargeError{What: x.commit, Size: e.Bytes, Bound: b, Unit: "bytes of files", Done: "checked out ([limits] workspace)"}
	}
	if e.Path > MaxPath {
		return &TooLargeError{What: "a path in " + x.commit, Size: int64(e.Path), Bound: MaxPath, Unit: "bytes", Done: "checked out"}
	}
	return nil
}

func (x *extent) tooMany(n int64) error {
	return &TooLargeError{What: x.commit, Size: n, Bound: cmp.Or(x.bounds.Entries, maxRows), Unit: "files and directories", Done: "checked out ([limits] files)"}
}

// plus and times stop at the largest number.
func plus(a, b int64) int64 {
	if a > math.MaxInt64-b {
		return math.MaxInt64
	}
	return a + b
}

func times(a, b int64) int64 {
	if a > math.MaxInt64/b {
		return math.MaxInt64
	}
	return a * b
}
