package handover

import (
	"fmt"
	"os"
	"path/filepath"
	"syscall"

	"quire/internal/runner"
	"quire/internal/spool"
)

// DropTemporary begins the name of a file that is being written. The runner lets
// one alone for DropPatience seconds.
const (
	DropTemporary = "tmp-"
	DropPatience  = 60
)

// DropFileMode is the mode of a dropped file, as chmod(2) has it. Its owner is taken
// for the pusher, so it must be a file whose owner made it to be dropped here: of
// one that others may write to they choose the content, and a repository's
// directory, a checkout or an unpacked archive has files of other users' content
// that only their owner may write to (0644), which whoever may write to the
// directory can move here. No umask gives a new file the sticky bit, and git gives
// none; on a plain file it does nothing (inode(7)). Only the owner can set it.
const DropFileMode = 0o1644

// Drop leaves a push, as a spool file has it, in the drop directory of a
// repository. When it returns nil the push survives a power cut. The directory
// must be the runner's: in one that somebody else put there the push would be
// lost.
func Drop(gitDir string, runnerUID int, id string, push []byte) (err error) {
	dir := filepath.Join(gitDir, runner.Drop)
	fail := func(err error) error { return fmt.Errorf("leave the push in %s: %w", dir, err) }
	// O_PATH: the directory may not be read by those who drop.
	const oPath = 0x200000 // open(2), Linux
	fd, err := syscall.Open(dir, oPath|syscall.O_DIRECTORY|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0)
	if err != nil {
		return fail(err)
	}
	defer syscall.Close(fd)
	var st syscall.Stat_t
	if err := syscall.Fstat(fd, &st); err != nil {
		return fail(err)
	}
	if int(st.Uid) != runnerUID {
		return fail(fmt.Errorf("it belongs to user %d, not to the runner, user %d", st.Uid, runnerUID))
	}
	tmp := DropTemporary + id
	file, err := syscall.Openat(fd, tmp, syscall.O_WRONLY|syscall.O_CREAT|syscall.O_EXCL|syscall.O_NOFOLLOW|syscall.O_CLOEXEC, 0o644)
	if err != nil {
		return fail(err)
	}
	f := os.NewFile(uintptr(file), tmp)
	// Renamed before it is synced: the directory cannot be synced by those who
	// may not read it, and on the usual file systems a file's sync carries its
	// name (see spool.writeDurably).
	vouch(f, gitDir)
	if err = syscall.Fchmod(file, DropFileMode); err == nil { // whatever the umask: the runner must read it
		if _, err = f.Write(push); err == nil {
			if err = syscall.Renameat(fd, tmp, fd, id); err == nil {
				err = durable(f)
			}
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		syscall.Unlinkat(fd, tmp) // else the runner removes it in time
		return fail(err)
	}
	return nil
}

// vouch gives the file to the group that may write into the repository. The
// kernel lets only a member do so (chown(2)): that is how the runner knows of
// members that its user database does not name. Others own the repository, or
// may write there as anybody may.
func vouch(f *os.File, gitDir string) {
	if st, err := os.Stat(filepath.Join(gitDir, "objects")); err == nil {
		f.Chown(-1, int(st.Sys().(*syscall.Stat_t).Gid))
	}
}

// durable returns when a file and its name survive a power cut.
func durable(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	if !spool.SyncCarriesName(f) {
		syscall.Sync()
	}
	return nil
}
