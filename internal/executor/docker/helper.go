package docker

import (
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
)

// helper finds the program that works in containers: the one named, or
// quire-inside, which is small, where install.sh puts it or beside this
// executable, or this executable, which has the same in it.
func helper(named string) (string, error) {
	path := named
	if path == "" {
		self, err := os.Executable()
		if err != nil {
			return "", fmt.Errorf("the docker executor's helper: %w", err)
		}
		if real, err := filepath.EvalSymlinks(self); err == nil {
			self = real
		}
		bin := filepath.Dir(self)
		path = self
		for _, small := range []string{filepath.Join(bin, "../libexec/quire/quire-inside"), filepath.Join(bin, "quire-inside")} {
			if !missing(small) {
				path = small
				break
			}
		}
	}
	f, err := elf.Open(path)
	if err != nil {
		return "", fmt.Errorf("the docker executor's helper %s: %w", path, err)
	}
	defer f.Close()
	for _, p := range f.Progs {
		if p.Type == elf.PT_INTERP {
			return "", fmt.Errorf("the docker executor's helper %s needs libraries that containers do not have: build quire with CGO_ENABLED=0", path)
		}
	}
	return path, nil
}
