// Package gitrepo reads the commits, files and refs of a bare repository, and
// makes tags in it as a push does.
//
// There are two ways to a repository, and Open chooses. Its files are read in this
// process, without starting anything, where they are plain: small objects, loose
// or in packs, and refs that are files. Git's own plumbing, `git cat-file`, costs
// a child (some 2 ms) and reads everything that the git beside it reads: SHA-256,
// reftable, alternates, partial clones, large objects, and what is damaged, which
// git's message says better.
//
// Either way the size of an object is asked before it is read, and bounds.go says
// how much that may be. Git itself is held to a bound of memory.
//
// It does not push, fetch, check out, or move any branch. The only refs that it
// changes are those that keep the commits of runs (keep.go).
package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// ErrNotFound is wrapped by the error for an object that the repository does
// not hold.
var ErrNotFound = errors.New("no such object")

// Repo is one open repository. It may be used from several goroutines at once.
type Repo struct {
	ctx    context.Context // ends whatever is read, and the children
	gitDir string
	mu     sync.Mutex // src, and the children behind it
	src    source
	spare  func() (source, error) // the plumbing, for what src does not read; nil once used
	silent error                  // a git was killed for saying nothing; each further reading could take as long
}

// source is the raw repository, read from its files or by git's plumbing. What
// commits, trees and tags mean is read in one place, from the bytes.
type source interface {
	// stat returns the object's type ("commit", "tree", "blob", "tag") and size.
	stat(oid string) (kind string, size int64, err error)
	sizes(oids []string) ([]int64, error)
	// object returns the object's type and content, or a *TooLargeError if it has
	// more bytes than are read of its type.
	object(oid string) (kind string, data []byte, err error)
	resolve(ref string) (oid string, found bool, err error)
	refs(prefix string, each func(Ref) error) error
	head() (string, error)
	isAncestor(ancestor, descendant string) (bool, error)
	rest() error // ends children, which come again
	close() error
}

// Ref is a ref and the object it names: for an annotated tag, the tag object.
type Ref struct {
	Name string
	OID  string
}

// Open opens the repository at gitDir: a bare repository, or the .git directory
// of a checkout or linked worktree. Close it.
//
// ctx is the work for which it is opened. With its end, whatever is being read ends
// too, each git that reads is killed, and each call returns ctx's cause: a
// repository can be so large, and its file system so slow, that a list of its refs
// takes minutes.
func Open(ctx context.Context, gitDir string) (*Repo, error) {
	if err := looksLikeRepository(gitDir); err != nil {
		return nil, err
	}
	plumbing := func() (source, error) { return openPlumbing(ctx, gitDir) }
	src, err := openDirect(ctx, gitDir)
	switch {
	case err == nil:
		return &Repo{ctx: ctx, gitDir: gitDir, src: src, spare: plumbing}, nil
	case errors.Is(err, errNotPlain):
		return nil, fmt.Errorf("open repository %s: %w", gitDir, err)
	}
	src, err = plumbing()
	if err != nil {
		return nil, err
	}
	return &Repo{ctx: ctx, gitDir: gitDir, src: src}, nil
}

// looksLikeRepository gives a missing or wrong path its own sentence; git's
// "not a git repository: (NULL)" helps nobody.
func looksLikeRepository(gitDir string) error {
	if _, err := os.Stat(gitDir); err != nil {
		return fmt.Errorf("open repository: %w", err)
	}
	if _, err := os.Lstat(filepath.Join(gitDir, "HEAD")); err != nil {
		return fmt.Errorf("open repository %s: it holds no HEAD, so it is no git directory", gitDir)
	}
	return nil
}

// GitDir is the path that Open was given.
func (r *Repo) GitDir() string { return r.gitDir }

// Close ends the child, if one was started. The Repo is of no use afterwards.
func (r *Repo) Close() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.spare = nil
	return r.src.close()
}

// Rest ends the children until something is to be read again.
func (r *Repo) Rest() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.src.rest()
}

// do runs one reading and, if it could not be done from the files, the same with
// git's plumbing, which stays in use from then on. The caller holds r.mu.
func (r *Repo) do(read func(source) error) (err error) {
	err = r.ended()
	if err != nil {
		return err
	}
	if r.silent != nil {
		return r.silent
	}
	defer func() {
		if errors.Is(err, errSilent) {
			r.silent = err
		}
	}()
	err = read(r.src)
	if ended := r.ended(); err != nil && ended != nil {
		return ended // a git that was killed says nothing of why
	}
	var broken *BrokenRefsError // what was to be read was read
	if err == nil || r.spare == nil || errors.Is(err, ErrTooLarge) || errors.Is(err, errNotPlain) || errors.As(err, &broken) {
		return err
	}
	next, openErr := r.spare()
	if openErr != nil {
		return err
	}
	r.spare = nil
	r.src.close()
	r.src = next
	if err = read(next); err != nil {
		if ended := r.ended(); ended != nil {
			return ended
		}
	}
	return err
}

// ended is the cause of ctx's end; nil before.
func (r *Repo) ended() error { return context.Cause(r.ctx) }

// ResolveRef is the object that a ref names, following symbolic refs. The name
// is full ("refs/heads/main") or HEAD. A ref that does not exist, or a HEAD
// whose branch is not born yet, is not found and no error.
func (r *Repo) ResolveRef(name string) (oid string, found bool, err error) {
	if name != "HEAD" && !strings.HasPrefix(name, "refs/") {
		return "", false, fmt.Errorf("resolve ref %s: want a full name, refs/…, or HEAD", name)
	}
	if name != "HEAD" {
		// rev-parse would take more than a name (main^{tree}, main:file, a..b), and
		// direct opens a file of that name.
		if why := unusableName(strings.TrimPrefix(name, "refs/")); why != "" {
			return "", false, fmt.Errorf("resolve ref %q: %w: %s", name, ErrRefName, why)
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	err = r.do(func(s source) error {
		oid, found, err = s.resolve(name)
		return err
	})
	if err != nil {
		return "", false, fmt.Errorf("resolve ref %s: %w", name, err)
	}
	return oid, found, nil
}

// ErrRefName is the error of a name that git gives to no ref.
var ErrRefName = errors.New("git takes no such name")

// Refs lists the refs whose full names start with prefix ("refs/" for all),
// sorted by name, at most MaxRefs. Symbolic refs below refs/ are shown as what
// they point at. If there are refs that cannot be read, the list has all others,
// and the error is a *BrokenRefsError; see Broken.
func (r *Repo) Refs(prefix string) ([]Ref, error) {
	var out []Ref
	err := r.EachRef(prefix, func(ref Ref) error {
		if len(out) == MaxRefs {
			return &TooLargeError{What: "the list of refs", Size: -1, Bound: MaxRefs, Unit: "refs"}
		}
		out = append(out, ref)
		return nil
	})
	if _, readable := Broken(err); !readable {
		return nil, err
	}
	return out, err
}

// EachRef is Refs for any number of refs: each is called for one after the
// other, and ends it with an error. It must not use the repository.
func (r *Repo) EachRef(prefix string, each func(Ref) error) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	var theirs error // of each
	err := r.do(func(s source) error {
		err := s.refs(prefix, func(ref Ref) error {
			if err := r.ended(); err != nil {
				return err
			}
			theirs = each(ref)
			return theirs
		})
		if theirs != nil {
			return nil // it began, so nobody else need try
		}
		return err
	})
	if err = errors.Join(theirs, err); err != nil {
		return fmt.Errorf("list refs: %w", err)
	}
	return nil
}

// DefaultBranch is the full name of the branch that HEAD names, born or not;
// "" if HEAD is detached.
func (r *Repo) DefaultBranch() (string, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var head string
	err := r.do(func(s source) (err error) {
		head, err = s.head()
		return err
	})
	if err != nil {
		return "", fmt.Errorf("read HEAD: %w", err)
	}
	return head, nil
}

// IsAncestor reports whether ancestor can be reached from descendant, or is it:
// whether moving a branch from the one to the other is a fast-forward. Either
// may be an annotated tag. An object that is not here is an error that wraps
// ErrNotFound.
func (r *Repo) IsAncestor(ancestor, descendant string) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, err := r.commit(ancestor)
	if err != nil {
		return false, err
	}
	d, err := r.commit(descendant)
	if err != nil {
		return false, err
	}
	if a.OID == d.OID {
		return true, nil
	}
	var yes bool
	err = r.do(func(s source) (err error) {
		yes, err = s.isAncestor(a.OID, d.OID)
		return err
	})
	if err != nil {
		return false, fmt.Errorf("is %.12s an ancestor of %.12s: %w", a.OID, d.OID, err)
	}
	return yes, nil
}

// checkOID guards what is handed to a child's standard input or a file name.
func checkOID(oid string) error {
	if len(oid) != 40 && len(oid) != 64 {
		return fmt.Errorf("malformed object id %q", oid)
	}
	if strings.Trim(oid, "0123456789abcdef") != "" {
		return fmt.Errorf("malformed object id %q", oid)
	}
	return nil
}

// Gone reports whether there is no repository any more: it was removed, or moved.
func Gone(gitDir string) bool {
	_, err := os.Stat(filepath.Join(gitDir, "HEAD"))
	return errors.Is(err, os.ErrNotExist)
}
