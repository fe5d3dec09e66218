package install

import (
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"quire/internal/runner"
)

// WriteRunner writes down who runs a repository of this process's user. The file
// belongs to who calls it: root's is believed in every repository, others' only
// in their own. Everything goes by the open directory and new names, since
// members of a shared repository's group can put links into it. gitDir has its
// links resolved (Find): the record counts there alone.
func WriteRunner(gitDir string, who runner.Runner) error {
	who.Repository = gitDir
	text, err := who.Text()
	var root *os.Root
	if err == nil {
		root, err = os.OpenRoot(gitDir)
	}
	if err == nil {
		err = errors.Join(writeIn(root, runner.File, text), root.Close())
	}
	if err != nil {
		return fmt.Errorf("write down the repository's runner in %s: %w", gitDir, err)
	}
	return nil
}

func writeIn(root *os.Root, name string, text []byte) error {
	tmp := ".quire-" + rand.Text()
	f, err := root.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(0o644) // whatever the umask
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = root.Rename(tmp, name)
	}
	if err != nil {
		return errors.Join(err, ignoreMissing(root.Remove(tmp)))
	}
	d, err := root.Open(".")
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

func ignoreMissing(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// makeDrop makes the directory into which other users put pushes for the
// runner. It belongs to the runner, so only root can make it for somebody else.
func makeDrop(root *os.Root, uid int) error {
	if err := root.Mkdir(runner.Drop, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := root.OpenFile(runner.Drop, os.O_RDONLY|syscall.O_DIRECTORY|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return err
	}
	defer d.Close()
	st, err := d.Stat()
	if err != nil {
		return err
	}
	sys := st.Sys().(*syscall.Stat_t)
	if above, err := root.Stat("."); err != nil {
		return err
	} else if identify(above).dev != uint64(sys.Dev) {
		return fmt.Errorf("%s is another file system", runner.Drop)
	}
	if int(sys.Uid) != uid {
		// Not the group: the directory's is of no use to anybody.
		if err := d.Chown(uid, -1); err != nil {
			return err
		}
	}
	if sys.Mode&0o7777 == runner.DropMode && int(sys.Uid) == uid {
		return nil
	}
	// By its number: os.FileMode has other bits, and chown takes the sticky one away.
	return syscall.Fchmod(int(d.Fd()), runner.DropMode)
}

// forgetRunner takes away the record and the drop directory. Pushes that wait
// in the drop directory keep it there.
func forgetRunner(gitDir string) error {
	root, err := os.OpenRoot(gitDir)
	if err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	defer root.Close()
	if err := forget(root); err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	return nil
}

func forget(root *os.Root) error {
	if err := ignoreMissing(root.Remove(runner.File)); err != nil {
		return err
	}
	if err := ignoreMissing(root.Remove(runner.Drop)); err != nil && !errors.Is(err, syscall.ENOTEMPTY) && !errors.Is(err, syscall.ENOTDIR) {
		return err
	}
	return nil
}
