package gitrepo

import "errors"

// What SmallFilesAdded looks at before it leaves the question to git.
const (
	addedCommits = 64
	addedFiles   = 2000
	addedRows    = 20_000 // tree entries
)

// SmallFilesAdded calls visit with each file of least to most bytes that the
// history of commit oid (or of the commit that tag oid names) brings, up to
// commits of which there says that they are there. A file that stands in several
// places or commits may be visited more than once. complete is false, and not
// everything was visited, where that is more than a few dozen commits or some
// thousand files.
func (r *Repo) SmallFilesAdded(oid string, there func(oid string) bool, least, most int64, visit func(path string, content []byte)) (complete bool, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	tip, err := r.commit(oid)
	if err != nil {
		return false, err
	}
	count := &budget{what: "what was added", rows: maxRows - addedRows}
	files := map[string]string{} // path, by object
	seen := map[string]bool{tip.OID: true}
	todo := []Commit{tip}
	for n := 0; len(todo) > 0; n++ {
		c := todo[len(todo)-1]
		todo = todo[:len(todo)-1]
		if there(c.OID) {
			continue
		}
		if n >= addedCommits || len(files) > addedFiles {
			return false, nil
		}
		var before Commit
		for i, id := range c.Parents {
			p, err := r.commit(id)
			if err != nil {
				return false, err
			}
			if i == 0 {
				before = p // so a merge is compared with the branch that it was made on
			}
			if !seen[id] {
				seen[id] = true
				todo = append(todo, p)
			}
		}
		err := r.diff(before.Tree, c.Tree, "", count, func(path string, e entry) {
			if e.isFile() {
				files[e.oid] = path
			}
		})
		if errors.Is(err, ErrTooLarge) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
	}
	oids := make([]string, 0, len(files))
	for id := range files {
		oids = append(oids, id)
	}
	return true, r.smallFiles(oids, least, most, func(id string, content []byte) { visit(files[id], content) })
}

// SmallFiles calls visit with the content of each of the objects that is a file
// of least to most bytes, in no order. What is no file is left out.
func (r *Repo) SmallFiles(oids []string, least, most int64, visit func(oid string, content []byte)) error {
	for _, id := range oids {
		if err := checkOID(id); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.smallFiles(oids, least, most, visit)
}

func (r *Repo) smallFiles(oids []string, least, most int64, visit func(oid string, content []byte)) error {
	var sizes []int64
	err := r.do(func(s source) (err error) {
		sizes, err = s.sizes(oids)
		return err
	})
	if err != nil {
		return err
	}
	for i, id := range oids {
		if sizes[i] < least || sizes[i] > most {
			continue
		}
		kind, data, err := r.read(id)
		if err != nil {
			return err
		}
		if kind == "blob" {
			visit(id, data)
		}
	}
	return nil
}
