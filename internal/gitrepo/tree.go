package gitrepo

import (
	"bytes"
	"errors"
	"fmt"
	"sort"
	"strings"
)

// File is the content of the file at path in commit oid (or the commit that
// tag oid names). Missing is found == false and no error; so is a directory. A
// symbolic link is an error: what it points at may lie outside of the commit. So
// is a file of more than MaxFile bytes.
func (r *Repo) File(oid, path string) (content []byte, found bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.lookup(oid, path)
	if err != nil || e == nil || e.isTree() || e.isSubmodule() {
		return nil, false, err
	}
	if e.isLink() {
		return nil, false, fmt.Errorf("read %s at %.12s: it is a symbolic link; only plain files are read", path, oid)
	}
	_, content, err = r.read(e.oid)
	var large *TooLargeError
	if errors.As(err, &large) {
		large.What = path // which says more than an object id
	}
	if err != nil {
		return nil, false, fmt.Errorf("read %s at %.12s: %w", path, oid, err)
	}
	return content, true, nil
}

// Identity is what stands at path in commit oid, as text that is equal for equal
// content: mode and object id; "" if nothing does. Of a directory it says
// everything below.
func (r *Repo) Identity(oid, path string) (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.lookup(oid, path)
	if err != nil || e == nil {
		return "", err
	}
	return e.mode + " " + e.oid, nil
}

// Has reports whether there is anything at path in commit oid but a directory.
// It is for those who need not read it.
func (r *Repo) Has(oid, path string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.lookup(oid, path)
	return err == nil && e != nil && !e.isTree() && !e.isSubmodule(), err
}

// List is the paths of the plain files below dir in commit oid, at any depth,
// sorted; dir "" is the whole tree. A directory that does not exist has none.
func (r *Repo) List(oid, dir string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	e, err := r.lookup(oid, dir)
	if err != nil || e == nil || !e.isTree() {
		return nil, err
	}
	var out []string
	prefix := strings.Trim(dir, "/")
	if prefix != "" {
		prefix += "/"
	}
	count := &budget{what: "the list of files"}
	err = r.diff("", e.oid, prefix, count, func(path string, e entry) {
		if e.isFile() {
			out = append(out, path)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("list %s at %.12s: %w", dir, oid, err)
	}
	sort.Strings(out)
	return out, nil
}

// ChangedPaths is the paths that differ between commits (or tags) old and new,
// sorted: added, removed, changed in content or mode. A rename is two of them.
// With an old of "" or all zeros every path of new is a change. More than
// MaxPaths are a *TooLargeError.
func (r *Repo) ChangedPaths(old, new string) ([]string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	after, err := r.commit(new)
	if err != nil {
		return nil, err
	}
	var before Commit
	if strings.Trim(old, "0") != "" {
		if before, err = r.commit(old); err != nil {
			return nil, err
		}
	}
	var out []string
	count := &budget{what: "the list of changed files"}
	if err := r.diff(before.Tree, after.Tree, "", count, func(path string, _ entry) { out = append(out, path) }); err != nil {
		return nil, fmt.Errorf("compare %.12s with %.12s: %w", old, new, err)
	}
	sort.Strings(out)
	return out, nil
}

// entry is a row of a tree object.
type entry struct {
	mode string // octal, as git writes it: "40000", "100644", "120000", "160000"
	name string
	oid  string
}

// What an entry is, its mode says, as git reads it (tree-walk.c, canon_mode): any
// number of octal digits of which 32 bits count, and of those the file type. Git
// itself writes few modes, and takes others from a push.
func (e entry) kind() uint32 {
	var mode uint32
	for i := range len(e.mode) {
		mode = mode<<3 + uint32(e.mode[i]-'0')
	}
	return mode & 0o170000
}

func (e entry) isTree() bool { return e.kind() == 0o040000 }
func (e entry) isLink() bool { return e.kind() == 0o120000 }
func (e entry) isFile() bool { return e.kind() == 0o100000 }

// isSubmodule holds for everything else, too.
func (e entry) isSubmodule() bool { return e.mode != "" && !e.isTree() && !e.isLink() && !e.isFile() }

var errTree = errors.New("malformed tree")

// parseTree reads a tree object: "mode name\0" and the id's raw bytes, again
// and again. oidLen is 20 or 32.
func parseTree(data []byte, oidLen int) ([]entry, error) {
	var out []entry
	for len(data) > 0 {
		head, rest, ok := bytes.Cut(data, []byte{0})
		if !ok || len(rest) < oidLen {
			return nil, errTree
		}
		mode, name, ok := strings.Cut(string(head), " ")
		if !ok || name == "" || mode == "" || strings.Trim(mode, "01234567") != "" {
			return nil, errTree
		}
		out = append(out, entry{mode: mode, name: name, oid: fmt.Sprintf("%x", rest[:oidLen])})
		data = rest[oidLen:]
	}
	return out, nil
}

// noNameTwice refuses a tree in which two entries have one name. Git writes none
// and takes them from a push all the same (receive.fsckObjects is off by
// default). Which of the two counts would then be decided anew by everybody who
// reads it: the one that is compared would not be the one that is run.
func noNameTwice(rows []entry) error {
	seen := make(map[string]bool, len(rows))
	for _, e := range rows {
		if seen[e.name] {
			return fmt.Errorf("%w: two entries are called %q", errTree, e.name)
		}
		seen[e.name] = true
	}
	return nil
}

func (r *Repo) tree(oid string) ([]entry, error) {
	kind, data, err := r.read(oid)
	if err != nil {
		return nil, err
	}
	if kind != "tree" {
		return nil, fmt.Errorf("%.12s is a %s where a tree should be", oid, kind)
	}
	rows, err := parseTree(data, len(oid)/2)
	if err == nil {
		err = noNameTwice(rows)
	}
	return rows, err
}

// lookup walks from a commit's tree to path; nil if there is nothing.
func (r *Repo) lookup(oid, path string) (*entry, error) {
	c, err := r.commit(oid)
	if err != nil {
		return nil, err
	}
	at := &entry{mode: "40000", oid: c.Tree}
	for _, part := range strings.Split(strings.Trim(path, "/"), "/") {
		if part == "" && strings.Trim(path, "/") == "" {
			break
		}
		if !at.isTree() {
			return nil, nil
		}
		rows, err := r.tree(at.oid)
		if err != nil {
			return nil, fmt.Errorf("read %s at %.12s: %w", path, oid, err)
		}
		at = nil
		for i := range rows {
			if rows[i].name == part {
				at = &rows[i]
			}
		}
		if at == nil {
			return nil, nil
		}
	}
	return at, nil
}

// diff calls visit for each path that differs below two trees, either of which
// may be "", none; with the newer entry, if there is one. Equal ids are equal
// content, so only what changed is read. The trees that are still to be compared
// are kept in a list and not on the stack: there may be many, and deep.
func (r *Repo) diff(old, new, prefix string, count *budget, visit func(path string, e entry)) error {
	type pair struct{ old, new, prefix string }
	todo := []pair{{old, new, prefix}}
	for len(todo) > 0 {
		at := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if at.old == at.new {
			continue
		}
		before, err := r.entries(at.old, count)
		if err != nil {
			return err
		}
		after, err := r.entries(at.new, count)
		if err != nil {
			return err
		}
		names := make([]string, 0, len(after))
		for name, a := range after {
			if before[name] != a {
				names = append(names, name)
			}
		}
		for name := range before {
			if after[name].oid == "" {
				names = append(names, name)
			}
		}
		for _, name := range names {
			b, a := before[name], after[name]
			path := at.prefix + name
			// A file that became a directory is a change of the one path and of
			// all those below the other.
			if !b.isTree() && b.oid != "" || !a.isTree() && a.oid != "" {
				if err := count.path(path); err != nil {
					return err
				}
				shown := a
				if shown.oid == "" || shown.isTree() {
					shown = b
				}
				visit(path, shown)
			}
			if b.isTree() || a.isTree() {
				if err := count.directory(path + "/"); err != nil {
					return err
				}
				todo = append(todo, pair{treeOf(b), treeOf(a), path + "/"})
			}
		}
	}
	return nil
}

func treeOf(e entry) string {
	if e.isTree() {
		return e.oid
	}
	return ""
}

func (r *Repo) entries(tree string, count *budget) (map[string]entry, error) {
	if tree == "" {
		return nil, nil
	}
	if err := r.ended(); err != nil { // what is known already is not read
		return nil, err
	}
	m, known := count.seen[tree]
	if !known {
		rows, err := r.tree(tree)
		if err != nil {
			return nil, err
		}
		m = make(map[string]entry, len(rows))
		for _, e := range rows {
			m[e.name] = e
		}
		count.keep(tree, m)
	}
	return m, count.looked(len(m))
}
