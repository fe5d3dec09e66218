package gitrepo

import (
	"bytes"
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
	return text + "; " + r.cure()
}

// cure is what gets a ref back. Removing the file first would make the ref one that
// was deleted, and a mirror would delete it at the copy, which may be the only
// place where it still is.
func (r BrokenRef) cure() string {
	switch {
	case r.File == "":
		return "get it back from a copy: git fetch URL REF, and git update-ref REF FETCH_HEAD"
	case filepath.Base(r.File) == "packed-refs":
		return "get the refs back from a copy: git ls-remote --refs URL | tr '\\t' ' ' >" + r.File
	}
	return fmt.Sprintf("get it back from a copy: git fetch URL %s && git rev-parse FETCH_HEAD >%s; remove the file only if the ref is to be deleted, at its mirrors too", r.Name, r.File)
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

// damagedPacked is a file of packed refs that a power cut emptied or tore: git itself
// leaves at least a heading in it, and ends each line. Which refs are missing
// nobody knows, so it stands for all.
func damagedPacked(gitDir string) []BrokenRef {
	file := filepath.Join(gitDir, "packed-refs")
	damaged := func(why string) []BrokenRef { return []BrokenRef{{Name: "refs/", File: file, Why: why}} }
	f, err := openFile(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return nil
	}
	if info.Size() == 0 {
		return damaged("is empty")
	}
	var last [1]byte
	if _, err := f.ReadAt(last[:], info.Size()-1); err == nil && last[0] != '\n' {
		return damaged("ends in the middle of a line")
	}
	return nil
}

// zeroBytesPacked is the error of a file of packed refs with zero bytes in it. Git
// takes what stands before one for the name of a ref, which may be that of another.
func zeroBytesPacked(gitDir string) error {
	file := filepath.Join(gitDir, "packed-refs")
	f, err := openFile(file)
	if err != nil {
		return nil // git says what there is to say
	}
	defer f.Close()
	if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil
	}
	buf := make([]byte, 64<<10)
	for {
		n, err := f.Read(buf)
		if bytes.IndexByte(buf[:n], 0) >= 0 {
			b := BrokenRef{Name: "refs/", File: file}
			return fmt.Errorf("the file %s holds zero bytes; %s", file, b.cure())
		}
		if err != nil {
			return nil
		}
	}
}

// damagedName is a name in the file of packed refs that git does not take.
func damagedName(gitDir, name string) BrokenRef {
	return BrokenRef{Name: "refs/", File: filepath.Join(gitDir, "packed-refs"), Why: fmt.Sprintf("holds the name %q, which is none of a ref", name)}
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
