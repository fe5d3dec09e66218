package gitrepo

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"

	git "github.com/go-git/go-git/v5"
	"github.com/go-git/go-git/v5/plumbing"
	"github.com/go-git/go-git/v5/plumbing/object"
)

// goGit reads with the go-git library, in this process.
type goGit struct {
	gitDir string
	repo   *git.Repository
}

func openGoGit(gitDir string) (s source, err error) {
	defer caught(&err)
	repo, err := git.PlainOpenWithOptions(gitDir, &git.PlainOpenOptions{})
	if err != nil {
		return nil, fmt.Errorf("open repository %s: %w", gitDir, err)
	}
	return &goGit{gitDir: gitDir, repo: repo}, nil
}

// caught makes an error of a panic: go-git's decoders index into what they read
// and a corrupt pack can point anywhere.
func caught(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("corrupt repository: %v", p)
	}
}

func (s *goGit) object(oid string) (kind string, data []byte, size int64, err error) {
	defer caught(&err)
	if len(oid) != 40 {
		return "", nil, 0, fmt.Errorf("%.12s: %w", oid, ErrNotFound)
	}
	o, err := s.repo.Storer.EncodedObject(plumbing.AnyObject, plumbing.NewHash(oid))
	if errors.Is(err, plumbing.ErrObjectNotFound) {
		return "", nil, 0, fmt.Errorf("%.12s: %w", oid, ErrNotFound)
	}
	if err != nil {
		return "", nil, 0, err
	}
	kind, size = o.Type().String(), o.Size()
	if size > MaxFile {
		return kind, nil, size, nil
	}
	in, err := o.Reader()
	if err != nil {
		return "", nil, 0, err
	}
	defer in.Close()
	data, err = io.ReadAll(io.LimitReader(in, MaxFile+1))
	if err == nil && plumbing.ComputeHash(o.Type(), data).String() != oid {
		// go-git does not compare; git does, and a flipped bit on the disk must
		// not become a pipeline.
		err = fmt.Errorf("object %.12s is corrupt: its content has another id", oid)
	}
	return kind, data, size, err
}

func (s *goGit) resolve(ref string) (oid string, found bool, err error) {
	defer caught(&err)
	r, err := s.repo.Reference(plumbing.ReferenceName(ref), true)
	if errors.Is(err, plumbing.ErrReferenceNotFound) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	return r.Hash().String(), true, nil
}

func (s *goGit) refs(prefix string) (out []Ref, err error) {
	defer caught(&err)
	all, err := s.repo.References()
	if err != nil {
		return nil, err
	}
	err = all.ForEach(func(r *plumbing.Reference) error {
		name := string(r.Name())
		if !strings.HasPrefix(name, "refs/") || !strings.HasPrefix(name, prefix) || strings.HasSuffix(name, ".lock") {
			return nil
		}
		if r.Type() == plumbing.SymbolicReference {
			oid, found, err := s.resolve(name)
			if err != nil || !found {
				return err
			}
			out = append(out, Ref{name, oid})
			return nil
		}
		out = append(out, Ref{name, r.Hash().String()})
		return nil
	})
	sort.Slice(out, func(i, j int) bool { return out[i].Name < out[j].Name })
	return out, err
}

func (s *goGit) head() (branch string, err error) {
	defer caught(&err)
	r, err := s.repo.Reference(plumbing.HEAD, false)
	if err != nil || r.Type() != plumbing.SymbolicReference {
		return "", err
	}
	return string(r.Target()), nil
}

func (s *goGit) isAncestor(ancestor, descendant string) (yes bool, err error) {
	defer caught(&err)
	a, err := s.repo.CommitObject(plumbing.NewHash(ancestor))
	if err != nil {
		return false, err
	}
	d, err := s.repo.CommitObject(plumbing.NewHash(descendant))
	if err != nil {
		return false, err
	}
	return a.IsAncestor(d)
}

// createTag writes the tag object with go-git and the ref itself by git's own
// protocol (a lock file made exclusively, then renamed), because go-git writes
// refs in place: a crash there leaves an empty ref, which git calls broken, and
// a `git push` at the same moment is not kept out.
func (s *goGit) createTag(name, target string, note *Annotation) (oid string, err error) {
	defer caught(&err)
	ref := "refs/tags/" + name
	file := filepath.Join(s.gitDir, filepath.FromSlash(ref))
	if err := s.clash(ref); err != nil {
		return "", err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o777); err != nil {
		return "", err
	}
	lock, err := os.OpenFile(file+".lock", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		if os.IsExist(err) {
			return "", fmt.Errorf("%s is locked by another git process; if none is running, remove %s.lock", ref, file)
		}
		return "", err
	}
	defer func() {
		lock.Close()
		if err != nil { // after the rename the name may be another's lock
			os.Remove(file + ".lock")
		}
	}()

	// Whether the tag exists is asked again with the lock held.
	if _, found, err := s.resolve(ref); err != nil {
		return "", err
	} else if found {
		return "", errTagExists
	}
	oid = target
	if note != nil {
		if oid, err = s.tagObject(name, target, note); err != nil {
			return "", err
		}
	}
	if _, err := io.WriteString(lock, oid+"\n"); err != nil {
		return "", err
	}
	if err := lock.Sync(); err != nil {
		return "", err
	}
	if err := lock.Close(); err != nil {
		return "", err
	}
	if err := os.Rename(file+".lock", file); err != nil {
		return "", err
	}
	syncDir(filepath.Dir(file)) // the tag stands; a crash now can only lose it whole
	return oid, nil
}

// clash reports a ref that cannot stand beside ref in a directory tree: a and
// a/b. Git keeps them apart among packed refs too. It does not list refs with
// go-git, which takes another process's lock file for an empty ref.
func (s *goGit) clash(ref string) error {
	both := func(other string) error { return fmt.Errorf("%s exists, and git cannot keep both", other) }
	for up := path.Dir(ref); up != "refs/tags"; up = path.Dir(up) {
		if _, found, err := s.resolve(up); err != nil || found {
			return cmp.Or(err, both(up))
		}
	}
	below := filepath.Join(s.gitDir, filepath.FromSlash(ref))
	if info, err := os.Lstat(below); err == nil && info.IsDir() && os.Remove(below) != nil {
		return both(ref + "/…") // an empty directory is left of a deleted tag, and is gone now
	}
	packed, err := os.ReadFile(filepath.Join(s.gitDir, "packed-refs"))
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	if bytes.Contains(packed, []byte(" "+ref+"/")) {
		return both(ref + "/…")
	}
	return nil
}

func (s *goGit) tagObject(name, target string, note *Annotation) (string, error) {
	tag := object.Tag{
		Name:       name,
		Tagger:     object.Signature{Name: note.Tagger.Name, Email: note.Tagger.Email, When: note.Tagger.When},
		Message:    strings.TrimRight(note.Message, "\n") + "\n",
		TargetType: plumbing.CommitObject,
		Target:     plumbing.NewHash(target),
	}
	o := s.repo.Storer.NewEncodedObject()
	if err := tag.Encode(o); err != nil {
		return "", err
	}
	h, err := s.repo.Storer.SetEncodedObject(o)
	return h.String(), err
}

func (s *goGit) close() error { return nil }

func syncDir(dir string) {
	d, err := os.Open(dir)
	if err != nil {
		return
	}
	defer d.Close()
	d.Sync()
}

// tagText is an annotated tag as git stores it (`git mktag` reads the same).
func tagText(name, target string, note *Annotation) []byte {
	var b bytes.Buffer
	fmt.Fprintf(&b, "object %s\ntype commit\ntag %s\n", target, name)
	fmt.Fprintf(&b, "tagger %s <%s> %d %s\n\n", note.Tagger.Name, note.Tagger.Email,
		note.Tagger.When.Unix(), note.Tagger.When.Format("-0700"))
	b.WriteString(strings.TrimRight(note.Message, "\n"))
	b.WriteString("\n")
	return b.Bytes()
}
