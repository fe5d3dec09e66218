package mirror

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// LFSObjects are the objects of Git LFS that a repository has on this machine, for
// a workspace in which pointers stand for them.
type LFSObjects struct {
	stores []string
}

// OpenLFSObjects finds where a repository keeps them.
func OpenLFSObjects(ctx context.Context, gitDir string) LFSObjects {
	storage := func(common string) string {
		cmd := exec.CommandContext(ctx, "git", "config", "--file", filepath.Join(common, "config"), "--no-includes", "--type=path", "--get", "lfs.storage")
		cmd.Dir = "/"
		cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR=/dev/null"}
		out, err := cmd.Output()
		if err != nil {
			return ""
		}
		return lfsStorageAt(common, string(out))
	}
	return LFSObjects{stores: lfsStoresOf(gitDir, storage)}
}

// LFSKept reports whether a repository keeps objects of Git LFS in the usual place.
func LFSKept(gitDir string) bool { return lfsKept(gitDir) }

// Files that can be a pointer have at least MinPointer bytes, and less than MaxPointer.
const (
	MinPointer = minPointer
	MaxPointer = maxPointer
)

// LFSPointer is what a file says that stands for an object.
type LFSPointer struct{ p pointer }

// ParseLFSPointer reads a file of a commit; ok is false if it is no pointer.
func ParseLFSPointer(content []byte) (LFSPointer, bool) {
	p, ok := parsePointer(content)
	return LFSPointer{p}, ok
}

// Size is how many bytes the object has.
func (p LFSPointer) Size() int64 { return p.p.size }

// Has reports whether the object seems to be here.
func (o LFSObjects) Has(p LFSPointer) bool {
	for _, dir := range o.stores {
		info, err := os.Lstat(filepath.Join(dir, lfsPath(p.p.oid)))
		if !errors.Is(err, fs.ErrNotExist) {
			return err == nil && info.Mode().IsRegular() && info.Size() == p.p.size
		}
	}
	return false
}

// Open opens an object whose content has been found to be what the pointer says.
func (o LFSObjects) Open(ctx context.Context, p LFSPointer) (*os.File, error) {
	return openLFS(ctx, o.stores, p.p)
}

// lfsStorageAt is the directory that git says is a repository's lfs.storage.
func lfsStorageAt(gitDir, said string) string {
	dir := strings.TrimSuffix(said, "\n")
	if dir != "" && !filepath.IsAbs(dir) {
		dir = filepath.Join(gitDir, dir)
	}
	return dir
}
