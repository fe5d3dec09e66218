package spool

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// writeDurably makes a file appear under name whole or not at all, by way of
// tmp in the same file system, and returns when it survives a power cut.
//
// The file is renamed before it is synced. A process that reads it in between
// reads all of it, from memory, and if power fails in between the push was not
// yet said to be recorded (a file cut short is one that Read calls torn). In
// return one sync is enough on the usual file systems, and a sync is what
// spooling costs: 0.25 ms of 0.5 ms on ext4.
func writeDurably(tmp, name string, data []byte) error {
	f, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = os.Rename(tmp, name)
	}
	if err == nil {
		if err = f.Sync(); err == nil && !SyncCarriesName(f) {
			err = syncDir(filepath.Dir(name))
		}
		if err != nil && errors.Is(os.Remove(name), fs.ErrNotExist) {
			err = nil // somebody has taken the push already, and records it
		}
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// SyncCarriesName reports whether syncing a file also makes its name durable,
// the last rename included. fsync(2) promises it for no file system; these
// keep it, since a file's sync commits the journal that holds the rename (ext4,
// XFS) or logs the names with the inode (btrfs).
func SyncCarriesName(f *os.File) bool {
	// statfs(2)
	const (
		ext4  = 0xef53
		xfs   = 0x58465342
		btrfs = 0x9123683e
		tmpfs = 0x01021994 // holds nothing over a power cut anyway
	)
	var st syscall.Statfs_t
	if err := syscall.Fstatfs(int(f.Fd()), &st); err != nil {
		return false
	}
	switch uint32(st.Type) {
	case ext4, xfs, btrfs, tmpfs:
		return true
	}
	return false
}
