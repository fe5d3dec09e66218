package attack

import (
	"crypto/sha256"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
)

// snapshot is what stands in some trees: a line for each file, by path.
type snapshot map[string]string

// snapshot records the operator's files, home, configuration, and the given
// directories besides: all that no run may change.
func (m *machine) snapshot(dirs ...string) snapshot {
	m.t.Helper()
	s := snapshot{}
	for _, dir := range append(dirs, m.Home, m.Operator, filepath.Dir(m.Config)) {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if err != nil {
				return err
			}
			info, err := d.Info()
			if err != nil {
				return err
			}
			line := fmt.Sprintf("%s uid %d", info.Mode(), info.Sys().(*syscall.Stat_t).Uid)
			switch {
			case info.Mode().IsRegular():
				data, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				line += fmt.Sprintf(" %d bytes %x", len(data), sha256.Sum256(data))
			case info.Mode()&fs.ModeSymlink != 0:
				target, err := os.Readlink(path)
				if err != nil {
					return err
				}
				line += " -> " + target
			}
			s[path] = line
			return nil
		})
		if err != nil {
			m.t.Fatal(err)
		}
	}
	return s
}

// unchanged demands that what a snapshot holds is as it was, and that nothing
// was added.
func (m *machine) unchanged(before snapshot, dirs ...string) {
	m.t.Helper()
	after := m.snapshot(dirs...)
	var faults []string
	for path, line := range before {
		if now, there := after[path]; !there {
			faults = append(faults, path+": removed")
		} else if now != line {
			faults = append(faults, fmt.Sprintf("%s: %s, was %s", path, now, line))
		}
	}
	for path := range after {
		if _, there := before[path]; !there {
			faults = append(faults, path+": added")
		}
	}
	slices.Sort(faults)
	for _, f := range faults {
		m.t.Error(f)
	}
}

// exists demands that paths are there.
func (m *machine) exists(paths ...string) {
	m.t.Helper()
	for _, p := range paths {
		if _, err := os.Lstat(p); err != nil {
			m.t.Errorf("%s is gone: %v", p, err)
		}
	}
}

// absent demands that paths are not there.
func (m *machine) absent(paths ...string) {
	m.t.Helper()
	for _, p := range paths {
		if _, err := os.Lstat(p); err == nil {
			m.t.Errorf("%s is there", p)
		}
	}
}
