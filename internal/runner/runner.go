// Package runner says who the runner of a repository is: the user under whom its
// pushes are run, whoever pushes. The answer stands in quire.toml in the
// repository's directory, which `quire install` writes, and is only as good as
// the file's owner; see docs/users.md.
//
// It links the standard library and a TOML reader, because the hook asks at
// every push.
package runner

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

// File is the name of the record in the repository's directory.
const File = "quire.toml"

// Drop is the name of the directory in the repository's directory into which
// users other than the runner put their pushes when nobody listens on the
// socket. Others may put files in, and neither list nor remove what is there.
const (
	Drop     = "quire-drop"
	DropMode = 0o1733 // as chmod(2) has it: sticky, rwx-wx-wx
)

// maxFile is far more than a record takes.
const maxFile = 64 << 10

// Runner is who runs a repository's pipelines, and where that user keeps things.
type Runner struct {
	Name     string // for people; "" if no record names it
	UID      int
	Config   string // the runner's configuration file; "": where quire looks by itself
	StateDir string // "": as the configuration says
	Socket   string // where pushes of other users are handed over; "": nowhere, the drop directory serves
	Reason   string // why root is the runner of another user's repository
	Off      bool   // the repository was uninstalled, and a hook that it shares with others is still called

	// Repository is the path, links resolved, of the repository that the record is
	// for; "" in records of earlier versions. Whoever may write to two repositories
	// can move a record from one to the other, and its owner stays.
	Repository string

	// Recorded is false if there is no record that counts. Then the runner is
	// the owner of the repository's directory, and only UID is known.
	Recorded bool
	// Ignored says why no record counts where one is or should be: who runs the
	// pipelines is in doubt then, and nothing may run. It is "" if the record counts,
	// and if there is none in a directory that nobody but its owner may write to.
	Ignored string
}

// Of finds the runner of the repository at gitDir. A record that belongs to
// somebody who has no say is ignored. One that counts and cannot be read or
// understood is an error: to go on with the directory's owner could run other
// people's code as the wrong user.
func Of(gitDir string) (Runner, error) {
	dir, err := os.Stat(gitDir)
	if err != nil {
		return Runner{}, fmt.Errorf("find the repository's runner: %w", err)
	}
	path := filepath.Join(gitDir, File)
	open := func(flags int) (int, error) { return syscall.Open(path, flags, 0) }
	return of(path, dir, open, func() (string, error) {
		real, err := filepath.Abs(gitDir)
		if err != nil {
			return "", err
		}
		return filepath.EvalSymlinks(real)
	})
}

// OfOpened is Of for a directory that was opened by a path without links,
// wherever that path leads by now.
func OfOpened(dir *os.File) (Runner, error) {
	st, err := dir.Stat()
	if err != nil {
		return Runner{}, fmt.Errorf("find the repository's runner: %w", err)
	}
	open := func(flags int) (int, error) { return syscall.Openat(int(dir.Fd()), File, flags, 0) }
	return of(filepath.Join(dir.Name(), File), st, open, func() (string, error) { return dir.Name(), nil })
}

func of(path string, dir os.FileInfo, open func(flags int) (int, error), gitDir func() (string, error)) (Runner, error) {
	r := Runner{UID: ownerOf(dir)}
	// Not to wait for the other end of a pipe, and not to follow a link: in a
	// shared repository every member of the group can put either here.
	fd, err := open(syscall.O_RDONLY | syscall.O_NOFOLLOW | syscall.O_NONBLOCK | syscall.O_CLOEXEC)
	switch err {
	case nil:
	case syscall.ENOENT:
		// Who may write here may have taken the record away, so that the owner's
		// next push runs as the owner. With access control lists the group's bits
		// are their mask (acl(5)), so they are seen here too.
		if dir.Mode().Perm()&0o022 != 0 {
			r.Ignored = fmt.Sprintf("%s is missing, and others than the owner may write to the directory (mode %04o)", path, dir.Mode().Perm())
		}
		return r, nil
	case syscall.ELOOP:
		r.Ignored = path + " is a symbolic link"
		return r, nil
	default:
		// One that this user may not read is somebody's in most cases who has no say.
		if st, lerr := os.Lstat(path); lerr == nil {
			if r.Ignored = distrusted(path, st, r.UID); r.Ignored != "" {
				return r, nil
			}
		}
		return r, fmt.Errorf("find the repository's runner: %w", &os.PathError{Op: "open", Path: path, Err: err})
	}
	f := os.NewFile(uintptr(fd), path)
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return r, fmt.Errorf("find the repository's runner: %w", err)
	}
	if r.Ignored = distrusted(path, st, r.UID); r.Ignored != "" {
		return r, nil
	}
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return r, fmt.Errorf("find the repository's runner: %w", err)
	}
	rec, err := parse(string(text))
	if err != nil {
		return r, fmt.Errorf("find the repository's runner: %s: %w; run quire install again", path, err)
	}
	why, err := elsewhere(rec, gitDir, ownerOf(st), r.UID)
	if err != nil {
		return r, fmt.Errorf("find the repository's runner: %w", err)
	}
	if why == "" {
		why = overreaches(rec, ownerOf(st), r.UID)
	}
	if why != "" {
		r.Ignored = path + " " + why
		return r, nil
	}
	return rec, nil
}

// distrusted says why a file is no record, by what the file system tells of it.
func distrusted(path string, st os.FileInfo, dirOwner int) string {
	sys, ok := st.Sys().(*syscall.Stat_t)
	switch {
	case !ok:
		return path + " has no owner that could be asked for"
	case !st.Mode().IsRegular():
		return path + " is not a file"
	case sys.Uid != 0 && int(sys.Uid) != dirOwner:
		return fmt.Sprintf("%s belongs to user %d, who is neither root nor the repository's owner", path, sys.Uid)
	case sys.Nlink != 1:
		// A second name could be that of a file which its owner made for
		// something else.
		return path + " has more than one name"
	case st.Mode().Perm()&0o022 != 0:
		return fmt.Sprintf("%s may be written by others (mode %04o)", path, st.Mode().Perm())
	case st.Size() > maxFile:
		return path + " is too large"
	}
	return ""
}

// elsewhere says that a record was not written for the repository at gitDir.
func elsewhere(r Runner, gitDir func() (string, error), fileOwner, dirOwner int) (string, error) {
	if r.Repository == "" {
		if fileOwner == dirOwner {
			return "", nil // of an earlier version, and gives nobody more than the owner has
		}
		return "does not say which repository it is for, as earlier versions wrote it", nil
	}
	real, err := gitDir()
	if err != nil {
		return "", err
	}
	if r.Repository != real {
		return fmt.Sprintf("is the record of %q, not of this repository", r.Repository), nil
	}
	return "", nil
}

// overreaches says what a record asks for that its owner cannot give.
func overreaches(r Runner, fileOwner, dirOwner int) string {
	switch {
	case fileOwner != 0 && r.UID != fileOwner:
		return fmt.Sprintf("names the user %d as runner, which only root can do", r.UID)
	case r.UID == 0 && dirOwner != 0 && strings.TrimSpace(r.Reason) == "":
		return "names root as runner of another user's repository and gives no reason"
	}
	return ""
}

func ownerOf(st os.FileInfo) int {
	if sys, ok := st.Sys().(*syscall.Stat_t); ok {
		return int(sys.Uid)
	}
	return -1
}

// Settled is the error of a repository whose runner is in doubt; see Ignored. Who
// takes the owner for the runner then could run other people's code as the wrong
// user.
func (r Runner) Settled(gitDir string) error {
	if r.Ignored == "" {
		return nil
	}
	return errors.New(r.Ignored + ", so nothing says who runs the pipelines of " + gitDir + "; as root or the owner: quire install " + gitDir)
}

// Who is the runner as a sentence names it.
func (r Runner) Who() string {
	if r.Name != "" {
		return r.Name
	}
	return "user " + strconv.Itoa(r.UID)
}
