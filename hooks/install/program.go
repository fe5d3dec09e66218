package install

import (
	"debug/buildinfo"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// programPackage is the import path, without the hook's name, that the linker
// writes into our programs.
const programPackage = "quire/hooks/"

// Ours reports whether the hook at path is quire's: a link to one of our
// programs, or a copy of one. A link that leads nowhere counts if it was made by
// an installation that is gone.
func Ours(path string) bool {
	info, err := buildInfo(path)
	if err == nil {
		return strings.HasPrefix(info.Path, programPackage)
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return false
	}
	target, err := os.Readlink(path)
	return err == nil && filepath.Base(filepath.Dir(target)) == "quire" &&
		(filepath.Base(target) == PostReceive || filepath.Base(target) == PreReceive)
}

// buildInfo reads what the linker wrote into a program. The file may be anybody's:
// nobody waits for the other end of a pipe.
func buildInfo(path string) (*buildinfo.BuildInfo, error) {
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if !st.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", path)
	}
	return buildinfo.Read(f)
}

func checkProgram(path, name string) error {
	info, err := buildInfo(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("install: quire's hook is not at %s; install.sh puts it there", path)
	case err != nil:
		return fmt.Errorf("install: %s is not quire's hook: %w", path, err)
	case info.Path != programPackage+name:
		return fmt.Errorf("install: %s is not quire's hook but a program built from %s", path, info.Path)
	}
	return nil
}

// Libexec is where the hook programs are, seen from the main program: as
// installed (PREFIX/bin/quire and PREFIX/libexec/quire), or all in one
// directory.
func Libexec() (string, error) {
	self, err := os.Executable()
	if err == nil {
		self, err = filepath.EvalSymlinks(self)
	}
	if err != nil {
		return "", fmt.Errorf("find quire's hooks: %w", err)
	}
	dir := filepath.Dir(self)
	installed := filepath.Join(filepath.Dir(dir), "libexec", "quire")
	if _, err := os.Stat(filepath.Join(installed, PostReceive)); err != nil {
		if _, err := os.Stat(filepath.Join(dir, PostReceive)); err == nil {
			return dir, nil
		}
	}
	return installed, nil
}
