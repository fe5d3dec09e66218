package install

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ChangedByOthers is the first on the way to path, links followed, that somebody
// other than root can change or exchange, by owner and mode; "" if there is none.
// A sticky directory on the way keeps what is root's in it.
func ChangedByOthers(path string) string {
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		path = filepath.Dir(path) // who may make it
		real, err = filepath.EvalSymlinks(path)
	}
	if err != nil {
		return path
	}
	// The links on the way too: who may change one decides where it leads.
	for _, way := range []string{path, real} {
		for p := filepath.Clean(way); ; p = filepath.Dir(p) {
			st, err := os.Lstat(p)
			if err != nil {
				return p
			}
			sys, ok := st.Sys().(*syscall.Stat_t)
			sticky := p != real && st.IsDir() && st.Mode()&fs.ModeSticky != 0
			link := st.Mode()&fs.ModeSymlink != 0 // its mode says nothing
			if !ok || sys.Uid != 0 || st.Mode().Perm()&0o022 != 0 && !sticky && !link {
				return p
			}
			if p == "/" {
				break
			}
		}
	}
	return ""
}
