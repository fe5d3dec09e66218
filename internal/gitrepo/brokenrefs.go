package gitrepo

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// BrokenRef is a ref that cannot be read: a power cut left its file empty or full of
// zero bytes, somebody wrote something else into it, or it points at nothing.
type BrokenRef struct {
	Name string
	File string // that holds it; "" if git does not say
	Why  string
}

// BrokenRefsError is the error of a listing that lacks the refs which cannot be
// read; it holds all others. Git itself leaves such refs out without an error, and
// whoever compares then takes them for deleted.
type BrokenRefsError struct{ Refs []BrokenRef }

func (e *BrokenRefsError) Error() string {
	r := e.Refs[0]
	text := fmt.Sprintf("the ref %q cannot be read: %s", r.Name, r.Why)
	if r.File != "" {
		text = fmt.Sprintf("the ref %q cannot be read: the file %s %s", r.Name, r.File, r.Why)
	}
	if n := len(e.Refs) - 1; n > 0 {
		text += fmt.Sprintf(" (and %d more such refs)", n)
	}
	return text + "; remove the file, and then push the ref again or write it with git update-ref, which both refuse to replace it"
}

// Broken are the refs that a listing lacks because they cannot be read, by name;
// ok reports whether that is all that err says.
func Broken(err error) (refs map[string]BrokenRef, ok bool) {
	var broken *BrokenRefsError
	if !errors.As(err, &broken) {
		return nil, err == nil
	}
	refs = make(map[string]BrokenRef, len(broken.Refs))
	for _, r := range broken.Refs {
		refs[r.Name] = r
	}
	return refs, true
}

// brokenRefs makes the error of a listing; nil if nothing is broken.
func brokenRefs(refs []BrokenRef, prefix string) error {
	refs = slices.DeleteFunc(refs, func(r BrokenRef) bool {
		return !strings.HasPrefix(r.Name, prefix) && !strings.HasPrefix(prefix, r.Name)
	})
	if len(refs) == 0 {
		return nil
	}
	slices.SortStableFunc(refs, func(a, b BrokenRef) int { return strings.Compare(a.Name, b.Name) })
	return &BrokenRefsError{slices.CompactFunc(refs, func(a, b BrokenRef) bool { return a.Name == b.Name })}
}

// looseRef is what a ref's own file says: the id in it, or the ref that it names,
// or why it says neither.
type looseRef struct{ target, oid, broken string }

// readLoose reads a ref's file as git does (files-backend.c, read_ref_internal): an
// id and then nothing or a blank, "ref:" and a name, or a symbolic link. A ref that
// has no file is fs.ErrNotExist. What a link leads to is opened only if it is a plain
// file: a pipe would be waited for.
func readLoose(gitDir, ref string) (looseRef, error) {
	path := filepath.Join(gitDir, filepath.FromSlash(ref))
	info, err := os.Lstat(path)
	if err != nil {
		return looseRef{}, err
	}
	if info.Mode()&fs.ModeSymlink != 0 {
		if to, err := os.Readlink(path); err == nil && strings.HasPrefix(to, "refs/") && unusableName(strings.TrimPrefix(to, "refs/")) == "" {
			return looseRef{target: to}, nil
		}
		if info, err = os.Stat(path); errors.Is(err, fs.ErrNotExist) {
			return looseRef{broken: "is a symbolic link to nothing"}, nil
		} else if err != nil {
			return looseRef{broken: "is a symbolic link that leads nowhere: " + cause(err)}, nil
		}
	}
	if !info.Mode().IsRegular() {
		return looseRef{broken: "is no plain file"}, nil
	}
	text, err := readSmall(path, 4<<10)
	switch {
	case errors.Is(err, fs.ErrNotExist): // packed meanwhile
		return looseRef{}, err
	case err != nil:
		return looseRef{broken: "cannot be read: " + cause(err)}, nil
	case len(text) == 0:
		return looseRef{broken: "is empty"}, nil
	}
	if target, symbolic := strings.CutPrefix(string(text), "ref:"); symbolic {
		return looseRef{target: strings.TrimSpace(target)}, nil
	}
	word, _, _ := strings.Cut(strings.Map(blankIsSpace, string(text)), " ")
	switch {
	case word != "" && strings.Trim(word, "\x00") == "":
		return looseRef{broken: "holds zero bytes"}, nil
	case checkOID(word) != nil:
		return looseRef{broken: "holds no object id"}, nil
	case strings.Trim(word, "0") == "":
		return looseRef{broken: "holds the id of no object, only zeros"}, nil
	}
	return looseRef{oid: word}, nil
}

// blankIsSpace makes one blank of all that C's isspace takes for one.
func blankIsSpace(c rune) rune {
	if strings.ContainsRune(" \t\n\v\f\r", c) {
		return ' '
	}
	return c
}

// cause is an error without the path, which stands beside it.
func cause(err error) string {
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	return err.Error()
}

// eachLoose calls each for the refs that have a file of their own, or remain as a
// link to nothing; what has no name that git takes is none (an editor's copy, a
// lock). An error of each ends it.
func eachLoose(gitDir string, each func(name string, r looseRef) error) error {
	top := filepath.Join(gitDir, "refs")
	return filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != top {
			return nil // packed, or deleted, meanwhile
		}
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(top, path)
		if err != nil || unusableName(filepath.ToSlash(rel)) != "" {
			return err
		}
		name := "refs/" + filepath.ToSlash(rel)
		r, err := readLoose(gitDir, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		return each(name, r)
	})
}

// mayDangle reports whether a symbolic ref at nothing is no fault: a remote's HEAD,
// whose branch was pruned.
func mayDangle(name string) bool {
	return strings.HasPrefix(name, "refs/remotes/")
}

func brokenRef(gitDir, name, why string) BrokenRef {
	return BrokenRef{Name: name, File: filepath.Join(gitDir, filepath.FromSlash(name)), Why: why}
}

func packedZero(gitDir, name string) BrokenRef {
	return BrokenRef{Name: name, File: filepath.Join(gitDir, "packed-refs"), Why: "holds only zeros for it"}
}

// emptyPacked is a file of packed refs that a power cut emptied: git itself leaves at
// least a heading in it, and reads an empty one as no refs at all.
func emptyPacked(gitDir string) []BrokenRef {
	file := filepath.Join(gitDir, "packed-refs")
	if info, err := os.Stat(file); err != nil || info.Size() > 0 {
		return nil
	}
	return []BrokenRef{{Name: "refs/", File: file, Why: "is empty"}}
}

// commonDir is where the refs of a repository are, a linked worktree's among them
// (gitrepository-layout(5)).
func commonDir(gitDir string) string {
	text, err := readSmall(filepath.Join(gitDir, "commondir"), 4<<10)
	if err != nil {
		return gitDir
	}
	dir := strings.TrimSuffix(string(text), "\n")
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(gitDir, dir)
	}
	return dir
}

// Standing is where all refs stand, by name. If some cannot be read, the error is a
// *BrokenRefsError, and all others are there; see Broken.
func (r *Repo) Standing() (map[string]string, error) {
	list, err := r.Refs("refs/")
	if _, readable := Broken(err); !readable {
		return nil, err
	}
	refs := make(map[string]string, len(list))
	for _, ref := range list {
		refs[ref.Name] = ref.OID
	}
	return refs, err
}
