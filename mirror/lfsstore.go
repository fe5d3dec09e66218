package mirror

import (
	"cmp"
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"
)

// lfsStores are the directories in which this repository may have objects of Git
// LFS: where lfs.storage of its configuration says, else lfs/ beside its objects;
// and the same of the repositories that it borrows objects from.
func (s *session) lfsStores(ctx context.Context) []string {
	return lfsStoresOf(s.gitDir, func(common string) string { return s.lfsStorage(ctx, common) })
}

// lfsStoresOf asks storage for lfs.storage of the repository's configuration.
func lfsStoresOf(gitDir string, storage func(gitDir string) string) []string {
	common := commonDir(gitDir)
	out := []string{filepath.Join(common, "lfs")}
	if set := storage(common); set != "" {
		out[0] = set
	}
	borrowed, err := os.ReadFile(filepath.Join(common, "objects", "info", "alternates"))
	if err != nil {
		return out
	}
	for line := range strings.Lines(string(borrowed)) {
		dir := strings.TrimSpace(line)
		if dir == "" || dir[0] == '#' {
			continue
		}
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(common, "objects", dir)
		}
		out = append(out, filepath.Join(filepath.Dir(dir), "lfs"))
	}
	return out
}

// lfsStorage is lfs.storage of a repository's configuration file, "" for none.
func (s *session) lfsStorage(ctx context.Context, gitDir string) string {
	out := s.git(ctx, "config", "--file", filepath.Join(gitDir, "config"), "--type=path", "--get", "lfs.storage")
	if out.exit != 0 {
		return ""
	}
	return lfsStorageAt(gitDir, out.stdout)
}

// lfsKept reports whether a repository keeps anything for Git LFS in the usual
// place.
func lfsKept(gitDir string) bool {
	list, err := os.ReadDir(filepath.Join(commonDir(gitDir), "lfs", "objects"))
	return err == nil && len(list) > 0
}

// lfsPath is where a store has an object.
func lfsPath(oid string) string { return filepath.Join("objects", oid[:2], oid[2:4], oid) }

// openLFS opens an object of the stores, fs.ErrNotExist for none. What it holds is
// what its name says: nothing else is sent to anybody.
func openLFS(ctx context.Context, stores []string, p pointer) (*os.File, error) {
	for _, dir := range stores {
		f, err := os.OpenFile(filepath.Join(dir, lfsPath(p.oid)), os.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK, 0)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err = checkLFS(ctx, f, p); err == nil {
			return f, nil
		}
		f.Close()
		return nil, err
	}
	return nil, fs.ErrNotExist
}

// damagedError is an object that is not what its name says.
type damagedError struct{ path, why string }

func (e *damagedError) Error() string { return e.path + " is damaged: " + e.why }

func checkLFS(ctx context.Context, f *os.File, p pointer) error {
	info, err := f.Stat()
	switch {
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return &damagedError{f.Name(), "it is no file"}
	case info.Size() != p.size:
		return &damagedError{f.Name(), fmt.Sprintf("it has %d bytes, and its pointer says %d", info.Size(), p.size)}
	}
	sum := sha256.New()
	if _, err := io.Copy(sum, readerFunc(func(b []byte) (int, error) {
		if ctx.Err() != nil {
			return 0, context.Cause(ctx)
		}
		return f.Read(b)
	})); err != nil {
		return err
	}
	if hex.EncodeToString(sum.Sum(nil)) != p.oid {
		return &damagedError{f.Name(), "its content has another SHA-256"}
	}
	_, err = f.Seek(0, io.SeekStart)
	return err
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(b []byte) (int, error) { return f(b) }

// lfsDirectory is a repository on this machine as a receiver of objects: they are
// put where its own git-lfs would have them.
type lfsDirectory struct {
	sess *session
	dir  string // of its store
}

// openLFSDirectory finds the store of the session's target. That of a pipeline in
// a sandbox is the usual one: its configuration has no say.
func openLFSDirectory(ctx context.Context, s *session) *lfsDirectory {
	if s.way.walled {
		return &lfsDirectory{s, filepath.Join(s.way.path, "lfs")}
	}
	path := "/" + strings.TrimPrefix(s.to.path, "/")
	gitDir := path
	for _, suffix := range []string{"/.git", "", ".git/.git", ".git"} { // enter_repo in git's path.c
		if fileExists(filepath.Join(path+suffix, "HEAD")) {
			gitDir = path + suffix
			break
		}
	}
	gitDir = commonDir(gitDir)
	return &lfsDirectory{s, cmp.Or(s.lfsStorage(ctx, gitDir), filepath.Join(gitDir, "lfs"))}
}

func (l *lfsDirectory) missing(_ context.Context, _ string, all []pointer) ([]lfsTransfer, error) {
	var out []lfsTransfer
	for _, p := range all {
		info, err := os.Stat(filepath.Join(l.dir, lfsPath(p.oid)))
		if err == nil && info.Size() == p.size {
			continue
		}
		out = append(out, lfsTransfer{pointer: p})
	}
	return out, nil
}

// put writes an object under another name first, and below the store's own
// directory, wherever links in it lead.
func (l *lfsDirectory) put(_ context.Context, t lfsTransfer, from *os.File) error {
	if err := os.MkdirAll(l.dir, 0o777); err != nil {
		return l.fault(err)
	}
	root, err := os.OpenRoot(l.dir)
	if err != nil {
		return l.fault(err)
	}
	defer root.Close()
	name := lfsPath(t.oid)
	if err := root.MkdirAll(filepath.Dir(name), 0o777); err != nil {
		return l.fault(err)
	}
	temporary := name + "." + rand.Text()
	to, err := root.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return l.fault(err)
	}
	_, err = io.Copy(to, from)
	err = errors.Join(err, to.Sync(), to.Close())
	if err == nil {
		err = root.Rename(temporary, name)
	}
	if err != nil {
		root.Remove(temporary)
		return l.fault(err)
	}
	return nil
}

func (l *lfsDirectory) fault(err error) error {
	c := ClassLocal
	switch {
	case errors.Is(err, unix.ENOSPC), errors.Is(err, unix.EDQUOT):
		c = ClassRemoteFull
	case errors.Is(err, fs.ErrPermission):
		c = ClassForbidden
	}
	return &lfsFault{class: c, detail: err.Error()}
}

func (l *lfsDirectory) close() {}
