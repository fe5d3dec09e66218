package intake

import (
	"errors"
	"fmt"
	"os"

	"quire/internal/account"
	"quire/internal/handover"

	"golang.org/x/sys/unix"
)

// openDropDir opens the directory; nil without an error if there is none. One
// that another user made holds what that user wants, not what pushers dropped.
func openDropDir(path string) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("open the drop directory %s: %w", path, err)
	}
	dir := os.NewFile(uintptr(fd), path)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		dir.Close()
		return nil, fmt.Errorf("look at %s: %w", path, err)
	}
	if int(st.Uid) != os.Geteuid() {
		dir.Close()
		return nil, fmt.Errorf("the drop directory %s belongs to %s, not to the runner %s: quire install makes it anew", path, nameOf(int(st.Uid)), account.Self())
	}
	if st.Mode&unix.S_ISGID != 0 {
		dir.Close()
		return nil, fmt.Errorf("files in the drop directory %s get its group (mode %04o), which then says nothing of who put them there: quire install sets 1733", path, st.Mode&0o7777)
	}
	if st.Mode&0o022 != 0 && st.Mode&unix.S_ISVTX == 0 {
		dir.Close()
		return nil, fmt.Errorf("in the drop directory %s others may remove files (mode %04o): quire install sets 1733", path, st.Mode&0o7777)
	}
	return dir, nil
}

// openDropped opens a dropped file and says whose it is. A file that has another
// name elsewhere may be one that the pusher only linked here (link(2)), and one of
// another mode than a hook gives it may have been moved here by somebody else
// (handover.DropFileMode), so its owner says nothing.
func openDropped(dir *os.File, name string) (f *os.File, uid, gid int, err error) {
	fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	switch {
	case errors.Is(err, unix.ENOENT):
		return nil, 0, 0, os.ErrNotExist
	case errors.Is(err, unix.ELOOP), errors.Is(err, unix.ENXIO), errors.Is(err, unix.EACCES), errors.Is(err, unix.ENODEV):
		return nil, ownerOf(dir, name), 0, refuse("%.100q cannot be opened: %v", name, err)
	case err != nil:
		return nil, 0, 0, fmt.Errorf("open %s in %s: %w", name, dir.Name(), err)
	}
	f = os.NewFile(uintptr(fd), name)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		f.Close()
		return nil, 0, 0, fmt.Errorf("look at %s in %s: %w", name, dir.Name(), err)
	}
	uid = int(st.Uid)
	switch {
	case st.Mode&unix.S_IFMT != unix.S_IFREG:
		err = refuse("%.100q is no plain file", name)
	case st.Mode&0o7777 != handover.DropFileMode:
		err = refuse("%.100q was not put there by a hook: its mode is %04o, not %04o", name, st.Mode&0o7777, handover.DropFileMode)
	case st.Nlink != 1:
		err = refuse("%.100q has %d names", name, st.Nlink)
	case st.Size > handover.MaxPush:
		err = refuse("%.100q has %d bytes, of %d", name, st.Size, handover.MaxPush)
	}
	if err != nil {
		f.Close()
		return nil, uid, 0, err
	}
	return f, uid, int(st.Gid), nil
}

func nameOf(uid int) string {
	a, _ := account.ByUID(uid)
	return a.String()
}

func ownerOf(dir *os.File, name string) int {
	var st unix.Stat_t
	if unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return -1
	}
	return int(st.Uid)
}

func remove(dir *os.File, name string) error {
	err := unix.Unlinkat(int(dir.Fd()), name, 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove %s from %s: %w", name, dir.Name(), err)
	}
	return nil
}
