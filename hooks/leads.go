package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// StatusClosed is the exit status of Check if this user may not run the
// repository's hook. git passes such a hook over in silence.
const StatusClosed = 126

// leadsHere looks whether git, which calls the hook at path, calls this program:
// by a link, by a copy of it, or by a driver that runs what lies in path.d. What
// lies there is somebody else's, so nothing of it is run.
func leadsHere(path string) error {
	inDriver, _ := filepath.Glob(path + ".d/*") // malformed where a bracket is in the path: no driver is known then
	var not error
	for _, file := range append([]string{path}, inDriver...) {
		same, err := isThisProgram(file)
		switch {
		case err != nil:
			not = errors.Join(not, err)
			continue
		case !same:
			continue
		case syscall.Access(path, 1 /* X_OK */) != nil, syscall.Access(file, 1 /* X_OK */) != nil:
			return &os.PathError{Op: "run", Path: file, Err: fs.ErrPermission}
		}
		return nil
	}
	if not != nil {
		return not
	}
	return fmt.Errorf("%s is not this installation's hook; quire install links it", path)
}

// isThisProgram compares a file with the program that this process runs.
func isThisProgram(path string) (bool, error) {
	const self = "/proc/self/exe"
	its, err := os.Stat(path)
	if err != nil {
		return false, err
	}
	ours, err := os.Stat(self)
	if err != nil {
		return false, err
	}
	if os.SameFile(its, ours) {
		return true, nil
	}
	if !its.Mode().IsRegular() || its.Size() != ours.Size() {
		return false, nil
	}
	// It may have become a pipe, for whose other end nobody shall wait.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return false, err
	}
	defer f.Close()
	if its, err = f.Stat(); err != nil || !its.Mode().IsRegular() {
		return false, err
	}
	g, err := os.Open(self)
	if err != nil {
		return false, err
	}
	defer g.Close()
	return sameBytes(io.LimitReader(f, ours.Size()), g)
}

// sameBytes compares two readers to their ends.
func sameBytes(f, g io.Reader) (bool, error) {
	a, b := make([]byte, 64<<10), make([]byte, 64<<10)
	for {
		n, errF := io.ReadFull(f, a)
		m, errG := io.ReadFull(g, b)
		if n != m || !bytes.Equal(a[:n], b[:m]) {
			return false, nil
		}
		for _, err := range []error{errF, errG} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, err
			}
		}
		if errF != nil && errG != nil {
			return true, nil
		}
	}
}
