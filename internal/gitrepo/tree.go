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
// symbolic link is an error: what it points at may lie outside of the commit.
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
	err = r.walk(e.oid, prefix, 0, func(path string, e entry) {
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
// With an old of "" or all zeros every path of new is a change.
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
	if err := r.diff(before.Tree, after.Tree, "", 0, &out); err != nil {
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

func (e entry) isTree() bool      { return e.mode == "40000" || e.mode == "040000" }
func (e entry) isLink() bool      { return e.mode == "120000" }
func (e entry) isSubmodule() bool { return e.mode == "160000" }
func (e entry) isFile() bool      { return strings.HasPrefix(e.mode, "100") }

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

// maxDepth bounds nested trees: a path in Linux has at most 4,096 bytes.
const maxDepth = 2048

func (r *Repo) walk(tree, prefix string, depth int, visit func(path string, e entry)) error {
	if depth > maxDepth {
		return fmt.Errorf("%w: more than %d directories deep", errTree, maxDepth)
	}
	rows, err := r.tree(tree)
	if err != nil {
		return err
	}
	for _, e := range rows {
		if !e.isTree() {
			visit(prefix+e.name, e)
		} else if err := r.walk(e.oid, prefix+e.name+"/", depth+1, visit); err != nil {
			return err
		}
	}
	return nil
}

// diff adds the paths that differ below two trees, either of which may be "",
// none. Equal ids are equal content, so only what changed is read.
func (r *Repo) diff(old, new, prefix string, depth int, out *[]string) error {
	if old == new {
		return nil
	}
	if depth > maxDepth {
		return fmt.Errorf("%w: more than %d directories deep", errTree, maxDepth)
	}
	before, err := r.entries(old)
	if err != nil {
		return err
	}
	after, err := r.entries(new)
	if err != nil {
		return err
	}
	for name := range after {
		if _, ok := before[name]; !ok {
			before[name] = entry{}
		}
	}
	for name, b := range before {
		a := after[name]
		if a.oid == b.oid && a.mode == b.mode {
			continue
		}
		path := prefix + name
		// A file that became a directory is a change of the one path and of
		// all those below the other.
		if !b.isTree() && b.oid != "" || !a.isTree() && a.oid != "" {
			*out = append(*out, path)
		}
		if b.isTree() || a.isTree() {
			if err := r.diff(treeOf(b), treeOf(a), path+"/", depth+1, out); err != nil {
				return err
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

func (r *Repo) entries(tree string) (map[string]entry, error) {
	m := map[string]entry{}
	if tree == "" {
		return m, nil
	}
	rows, err := r.tree(tree)
	for _, e := range rows {
		m[e.name] = e
	}
	return m, err
}
