package bwrap

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"quire/internal/checked"

	"golang.org/x/sys/unix"
)

// A copy of the settings is kept for later runs, as long as nothing of what it was
// made of changes: a thousand small files cost more than all else that a run of one
// short command does. Commands see it read-only, so no run leaves anything in it for
// another.
//
// A copy is used under a shared lock (flock) on its directory, which ends with the
// process. What nobody uses is removed when another copy is made.

// keptSettings is a copy in use.
type keptSettings struct {
	tree    string
	leftOut []string
	hold    *os.File
}

func (k *keptSettings) close() {
	if k != nil {
		k.hold.Close()
	}
}

// Names in the directory of kept copies.
const (
	keptPrefix   = "etc-" // a copy, with the fingerprint of what it was made of
	makingPrefix = "new-" // one that is being made
	dyingPrefix  = "old-" // one that is being removed
	keptTree     = "tree"
	keptLeftOut  = "left-out" // paths, each ended by a zero byte
)

// keepSettings finds the copy of a directory of settings among those in kept, or makes
// it. It is nil where none can be kept: the settings have just changed, or are too
// many.
func keepSettings(kept, from string, hidden []string, now time.Time) (*keptSettings, error) {
	hidden = slices.DeleteFunc(slices.Clone(hidden), func(p string) bool { return p == from || !checked.Inside(p, from) })
	sum, changed, all := fingerprint(from, hidden)
	// Times of files have steps of some milliseconds. What changes after it was looked
	// at has another time than what has not changed for a second.
	if !all || changed.After(now.Add(-time.Second)) {
		return nil, nil
	}
	if err := os.MkdirAll(kept, 0o700); err != nil {
		return nil, fmt.Errorf("the sandbox's copy of %s: %w", from, err)
	}
	path := filepath.Join(kept, keptPrefix+sum)
	if k := openKept(path); k != nil {
		return k, nil
	}
	if err := makeKept(kept, path, from, hidden); err != nil {
		return nil, fmt.Errorf("the sandbox's copy of %s: %w", from, err)
	}
	k := openKept(path)
	sweepKept(kept, filepath.Base(path))
	return k, nil
}

// openKept takes hold of a copy; nil if it is not there, or is about to be removed.
func openKept(path string) *keptSettings {
	hold, err := lockDirectory(path, unix.LOCK_SH)
	if err != nil {
		return nil
	}
	// It may have been put aside before it was locked.
	there, err := os.Lstat(path)
	if held, herr := hold.Stat(); err != nil || herr != nil || !os.SameFile(there, held) {
		hold.Close()
		return nil
	}
	k := &keptSettings{tree: filepath.Join(path, keptTree), hold: hold}
	if out, err := os.ReadFile(filepath.Join(path, keptLeftOut)); err != nil {
		k.close()
		return nil
	} else if len(out) > 0 {
		k.leftOut = strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
	}
	return k
}

// lockDirectory opens a directory and locks it without waiting.
func lockDirectory(path string, how int) (*os.File, error) {
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil, err
	}
	if err := unix.Flock(fd, how|unix.LOCK_NB); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return os.NewFile(uintptr(fd), path), nil
}

// makeKept makes a copy under its name, whole. Somebody else may have done so
// meanwhile.
func makeKept(kept, path, from string, hidden []string) error {
	making, err := os.MkdirTemp(kept, makingPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(making) // nothing is there any more if all went well
	hold, err := lockDirectory(making, unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer hold.Close()
	out, err := copySettings(from, filepath.Join(making, keptTree), hidden)
	if err != nil {
		return err
	}
	text := ""
	for _, p := range out {
		text += p + "\x00"
	}
	if err := os.WriteFile(filepath.Join(making, keptLeftOut), []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Rename(making, path); err != nil && !errors.Is(err, unix.ENOTEMPTY) && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

// sweepKept removes the copies that nobody uses, but one.
func sweepKept(kept, but string) {
	entries, _ := os.ReadDir(kept)
	for _, e := range entries {
		name := e.Name()
		path := filepath.Join(kept, name)
		if name == but || !e.IsDir() || !strings.HasPrefix(name, keptPrefix) && !strings.HasPrefix(name, makingPrefix) && !strings.HasPrefix(name, dyingPrefix) {
			continue
		}
		hold, err := lockDirectory(path, unix.LOCK_EX)
		if err != nil {
			continue // in use, or gone
		}
		// Under a name of its own first: another process may make one under this name
		// while the files are being removed.
		dying := path
		if !strings.HasPrefix(name, dyingPrefix) {
			dying = filepath.Join(kept, dyingPrefix+name)
			err = os.Rename(path, dying)
		}
		if err == nil {
			os.RemoveAll(dying) // what is left the next sweep removes
		}
		hold.Close()
	}
}

// fingerprint says what a directory of settings is made of: all that copySettings
// looks at, by what changes with it. changed is when something last did. all is false
// if there is too much to look at.
func fingerprint(from string, hidden []string) (sum string, changed time.Time, all bool) {
	f := &fingerprints{hidden: hidden, left: maxSettings, h: sha256.New()}
	// A copy is not written through to the disk, so the machine's crash may leave one
	// with empty files.
	boot, _ := os.ReadFile("/proc/sys/kernel/random/boot_id")
	fmt.Fprintf(f.h, "1 %s %q %q\n", boot, from, hidden)
	f.directory(from)
	return hex.EncodeToString(f.h.Sum(nil)[:16]), time.Unix(f.last.Unix()), f.left >= 0
}

type fingerprints struct {
	hidden []string
	left   int // entries that may still be looked at
	h      hash.Hash
	last   unix.Timespec // of changes
}

func (f *fingerprints) directory(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		fmt.Fprintf(f.h, "%q unread\n", dir)
		return
	}
	for _, e := range entries {
		path := dir + "/" + e.Name()
		if slices.ContainsFunc(f.hidden, func(h string) bool { return checked.Inside(path, h) }) {
			continue
		}
		if f.left--; f.left < 0 {
			return
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			continue
		}
		f.h.Write([]byte(path))
		kind := st.Mode & unix.S_IFMT
		shown := kind == unix.S_IFLNK || kind == unix.S_IFREG && st.Mode&0o4 != 0 || kind == unix.S_IFDIR && st.Mode&0o5 == 0o5
		var b [72]byte // what is not shown is told by its mode; a password that changes needs no other copy
		binary.LittleEndian.PutUint64(b[0:], uint64(st.Mode))
		if shown {
			for i, v := range []uint64{st.Dev, st.Ino, uint64(st.Size), uint64(st.Mtim.Sec), uint64(st.Mtim.Nsec), uint64(st.Ctim.Sec), uint64(st.Ctim.Nsec)} {
				binary.LittleEndian.PutUint64(b[8*(i+1):], v)
			}
			if st.Ctim.Nano() > f.last.Nano() {
				f.last = st.Ctim
			}
		}
		b[71] = '\n'
		f.h.Write(b[:])
		if shown && kind == unix.S_IFDIR {
			f.directory(path)
		}
	}
}
