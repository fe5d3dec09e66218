package gitrepo

import (
	"errors"
	"fmt"
	"os"
	"syscall"
)

// errNotPlain is the error for a file of the repository that is a named pipe, a
// device or a directory. Git would wait for a pipe's other end, so it is not asked.
var errNotPlain = errors.New("it is no plain file")

// openFile opens a file of the repository for reading. Whoever may write to the
// repository's directories can put anything there, so it waits for nothing and
// takes plain files alone. It follows links, as git does.
func openFile(path string) (*os.File, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK|syscall.O_NOCTTY, 0)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = fmt.Errorf("%s: %w; remove it", path, errNotPlain)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}
