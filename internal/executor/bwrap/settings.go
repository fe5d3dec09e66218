package bwrap

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"quire/internal/checked"

	"golang.org/x/sys/unix"
)

// The sandbox's /etc is a copy as of the run's beginning, of what everybody may read
// and nobody has hidden. Mounts over single files of the machine's own would not do:
// a file that is replaced (by a password change, by a secret's renewal) has lost the
// mount, and shows through.

func settingsDir(private string) string { return filepath.Join(private, "etc") }

// Bounds of the copy. A machine's /etc holds some 2,000 files and 5 MB; the largest
// are tables that no build reads (udev's hardware, SELinux's policy).
const (
	maxSettings    = 20_000
	maxSettingSize = 4 << 20
	maxSettingsSum = 64 << 20
)

// settings copies a directory of settings. What is left out for its size or number
// is told.
type settings struct {
	hidden []string
	left   int   // entries that may still be copied
	bytes  int64 // that may still be copied
	out    []string
	buf    []byte
}

func copySettings(from, to string, hidden []string) (leftOut []string, err error) {
	// The directory itself cannot be hidden: it is what programs need.
	hidden = slices.DeleteFunc(slices.Clone(hidden), func(p string) bool { return checked.Inside(from, p) })
	s := &settings{hidden: hidden, left: maxSettings, bytes: maxSettingsSum, buf: make([]byte, maxSettingSize+1)}
	if err := s.directory(from, to); err != nil {
		return nil, fmt.Errorf("the sandbox's copy of %s: %w", from, err)
	}
	return s.out, nil
}

func (s *settings) directory(from, to string) error {
	// It may be there, to lead to a mount.
	if err := os.Mkdir(to, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	entries, err := os.ReadDir(from)
	if err != nil {
		return nil // it has gone, or is not for everybody after all
	}
	for _, e := range entries {
		path, copied := filepath.Join(from, e.Name()), filepath.Join(to, e.Name())
		if slices.ContainsFunc(s.hidden, func(h string) bool { return checked.Inside(path, h) }) {
			continue
		}
		if s.left--; s.left < 0 {
			if s.left == -1 {
				s.out = append(s.out, path+" and what follows it")
			}
			return nil
		}
		if err := s.entry(e, path, copied); err != nil {
			return err
		}
	}
	return nil
}

func (s *settings) entry(e fs.DirEntry, path, copied string) error {
	switch {
	case e.Type()&fs.ModeSymlink != 0:
		if to, err := os.Readlink(path); err == nil {
			return os.Symlink(to, copied)
		}
	case e.IsDir():
		if info, err := e.Info(); err == nil && public(info.Mode()) {
			return s.directory(path, copied)
		}
	case e.Type().IsRegular():
		return s.file(path, copied)
	}
	return nil
}

// file copies one, with plain system calls: os.File asks the poller about each.
func (s *settings) file(path, copied string) error {
	in, err := unix.Open(path, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return nil
	}
	defer unix.Close(in)
	var st unix.Stat_t
	if err := unix.Fstat(in, &st); err != nil || st.Mode&unix.S_IFMT != unix.S_IFREG || st.Mode&0o4 == 0 {
		return nil
	}
	if st.Size > maxSettingSize || st.Size > s.bytes {
		s.out = append(s.out, path)
		return nil
	}
	n := 0
	for n < len(s.buf) && (n < int(st.Size) || n == 0) { // it may be growing
		m, err := unix.Read(in, s.buf[n:])
		if err != nil || m == 0 {
			break
		}
		n += m
	}
	s.bytes -= int64(n)
	out, err := unix.Open(copied, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_CLOEXEC, st.Mode&0o755|0o444)
	if err != nil {
		return &fs.PathError{Op: "create", Path: copied, Err: err}
	}
	for b := s.buf[:n]; len(b) > 0; {
		m, err := unix.Write(out, b)
		if err != nil {
			unix.Close(out)
			return &fs.PathError{Op: "write", Path: copied, Err: err}
		}
		b = b[m:]
	}
	return unix.Close(out)
}

// leftOutNote tells a person.
func leftOutNote(out []string) string {
	const few = 3
	more := ""
	if len(out) > few {
		more = fmt.Sprintf(" and %d more", len(out)-few)
		out = out[:few]
	}
	return "sandbox: /etc is large; not shown: " + strings.Join(out, ", ") + more
}
