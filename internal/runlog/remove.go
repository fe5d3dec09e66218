package runlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// RemoveWorkspace deletes what the run's jobs worked in; a workspace that is
// not there is no error.
func (d Dir) RemoveWorkspace() error { return removeTree(d.Workspace()) }

// Remove deletes all that is kept of a run.
func (d Dir) Remove() error { return removeTree(string(d)) }

// removeTree deletes a directory that jobs have had their way with, and
// nothing outside: no symbolic link is followed, and a directory in which
// something is mounted is left alone, since deleting would reach through.
// Directories without permissions are opened up as far as their owner may. What
// cannot be deleted (files of root, from a container) is an error that names
// the first of it; the rest is gone.
func removeTree(path string) error {
	if _, err := os.Lstat(path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if at := mountBelow(path); at != "" {
		return fmt.Errorf("remove %s: %s is mounted in it; unmount it first", path, at)
	}
	err := os.RemoveAll(path) // openat(2) and unlinkat(2) all the way down: follows no link
	if err == nil {
		return nil
	}
	parent, oerr := os.OpenRoot(filepath.Dir(path))
	if oerr != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	defer parent.Close()
	openUp(parent, filepath.Base(path), 0)
	if err := os.RemoveAll(path); err != nil {
		return fmt.Errorf("remove %s: %w", path, err)
	}
	return nil
}

// maxOpenUp bounds the descriptors that openUp holds at once.
const maxOpenUp = 500

// openUp gives the owner back what a directory and those below it were
// stripped of. What it cannot change, RemoveAll will tell.
func openUp(in *os.Root, name string, depth int) {
	st, err := in.Lstat(name)
	if err != nil || !st.IsDir() || depth > maxOpenUp {
		return
	}
	if st.Mode().Perm()&0o700 != 0o700 {
		in.Chmod(name, 0o700)
	}
	dir, err := in.OpenRoot(name)
	if err != nil {
		return
	}
	defer dir.Close()
	f, err := dir.Open(".")
	if err != nil {
		return
	}
	defer f.Close()
	for {
		entries, err := f.ReadDir(256)
		for _, e := range entries {
			if e.IsDir() {
				openUp(dir, e.Name(), depth+1)
			}
		}
		if err != nil { // io.EOF at the end
			return
		}
	}
}

// mountBelow names a mount point at or below path, "" if there is none
// (proc_pid_mountinfo(5)).
func mountBelow(path string) string {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return ""
	}
	path = filepath.Join(parent, filepath.Base(path))
	table, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "" // no /proc: nothing to be known
	}
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		at := unescapeMount.Replace(f[4])
		if at == path || strings.HasPrefix(at, path+"/") {
			return at
		}
	}
	return ""
}

// mountinfo writes these bytes of a name in octal.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
