package intake

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"quire/internal/account"
	"quire/internal/event"
	"quire/internal/handover"
	"quire/internal/runner"
	"quire/internal/spool"

	"golang.org/x/sys/unix"
)

// Drops takes in what hooks left in drop directories because nobody listened on
// the socket. The owner of a file is its pusher: others may put files into the
// directory (mode 1733), and neither see nor remove what is there.
type Drops struct {
	Check Checker
	Spool spool.Dir
	// Account finds the owner of a file: account.ByUID, outside of tests.
	Account func(uid int) (account.Account, error)
}

// DropDir is where pushes to a repository are dropped.
func DropDir(gitDir string) string { return filepath.Join(gitDir, runner.Drop) }

// Bounds of one call of Take: a flood must not keep the worker from its work.
const (
	maxEntries = 2000    // files looked at, and at most 499 more
	maxSeen    = 200_000 // names read, directories with them
	maxOfUser  = 100     // taken, of one user
)

// Taken is what one call of Take did.
type Taken struct {
	Pushes  []event.Push // recorded in the spool
	Refused []error      // one for each file that was removed without a push; at most 20
	Removed int          // how many such files there were
	More    bool         // the bounds were met: call again
}

// Take takes in the pushes that were dropped for a repository, up to its bounds.
// A file is removed when its push is in the spool, or when it can never be one.
// An error means that nothing can be said of the rest.
func (d Drops) Take(gitDir string) (t Taken, err error) {
	dir, err := openDropDir(DropDir(gitDir))
	if err != nil || dir == nil {
		return t, err
	}
	defer dir.Close()
	names, more, err := entries(dir)
	if err != nil {
		return t, fmt.Errorf("look for pushes that were handed over: %w", err)
	}
	t.More = more
	accounts, taken := map[int]account.Account{}, map[int]int{}
	for _, name := range names {
		if strings.HasPrefix(name, handover.DropTemporary) && young(dir, name) {
			continue // somebody is writing it
		}
		f, uid, gid, err := openDropped(dir, name)
		if err == nil && taken[uid] >= maxOfUser {
			f.Close()
			t.More = true
			continue
		}
		var p event.Push
		if err == nil {
			by, known := accounts[uid]
			if !known {
				by, _ = d.Account(uid) // one without an entry is a number, and has no groups
				accounts[uid] = by
			}
			by.Groups = append(slices.Clip(by.Groups), gid) // only a member could give it to the group
			p, err = d.read(f, gitDir, by)
			f.Close()
		}
		switch {
		case err == nil:
			taken[uid]++
			t.Pushes = append(t.Pushes, p)
		case IsRefusal(err):
			t.Removed++
			if len(t.Refused) < 20 {
				t.Refused = append(t.Refused, fmt.Errorf("handed over by %s: %w", nameOf(uid), err))
			}
		case errors.Is(err, os.ErrNotExist):
			continue
		default:
			return t, err // the disk is full, say: the file stays
		}
		if err := remove(dir, name); err != nil {
			return t, err
		}
	}
	return t, nil
}

// entries are names in the directory, up to the bound. Directories are none of a
// hook's: an empty one is removed, and one with something in it stays, since
// what is in there is its owner's.
func entries(dir *os.File) (names []string, more bool, err error) {
	for seen := 0; seen < maxSeen; {
		batch, err := dir.ReadDir(500)
		for _, e := range batch {
			if e.IsDir() {
				unix.Unlinkat(int(dir.Fd()), e.Name(), unix.AT_REMOVEDIR)
				continue
			}
			names = append(names, e.Name())
		}
		seen += len(batch)
		switch {
		case err == io.EOF:
			return names, false, nil
		case err != nil:
			return names, false, err
		case len(names) >= maxEntries:
			return names, true, nil
		}
	}
	return names, false, nil
}

// read makes a push of a dropped file and records it.
func (d Drops) read(f *os.File, gitDir string, by account.Account) (event.Push, error) {
	data, err := io.ReadAll(io.LimitReader(f, handover.MaxPush+1))
	if err != nil {
		return event.Push{}, fmt.Errorf("read a push that was handed over: %w", err)
	}
	if len(data) > handover.MaxPush {
		return event.Push{}, refuse("it is larger than %d bytes", handover.MaxPush)
	}
	claimed, err := spool.Parse(data)
	if err != nil {
		return event.Push{}, refuse("it is no push: %v", err)
	}
	if claimed.GitDir != gitDir {
		return event.Push{}, refuse("it is a push to %q, not to this repository", claimed.GitDir)
	}
	return record(d.Check, d.Spool, claimed, by)
}

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
// name elsewhere may be one that the pusher only linked here (link(2)), so its
// owner says nothing.
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

// young reports whether a file may still be written by a living hook.
func young(dir *os.File, name string) bool {
	var st unix.Stat_t
	if unix.Fstatat(int(dir.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
		return false
	}
	var now syscall.Timeval
	if syscall.Gettimeofday(&now) != nil {
		return true
	}
	return st.Mode&unix.S_IFMT == unix.S_IFREG && now.Sec-st.Mtim.Sec < handover.DropPatience
}

func remove(dir *os.File, name string) error {
	err := unix.Unlinkat(int(dir.Fd()), name, 0)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("remove %s from %s: %w", name, dir.Name(), err)
	}
	return nil
}
