package jobfile

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// mountBelow names a mount point at or below path, "" if there is none
// (proc_pid_mountinfo(5)).
func mountBelow(path string) (string, error) {
	parent, err := filepath.EvalSymlinks(filepath.Dir(path))
	if err != nil {
		return "", err
	}
	path = filepath.Join(parent, filepath.Base(path))
	table, err := os.ReadFile("/proc/self/mountinfo")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil // no /proc: nothing to be known
	}
	if err != nil {
		return "", fmt.Errorf("what is mounted: %w", err)
	}
	for line := range strings.Lines(string(table)) {
		f := strings.Fields(line)
		if len(f) < 5 {
			continue
		}
		at := unescapeMount.Replace(f[4])
		if at == path || strings.HasPrefix(at, path+"/") {
			return at, nil
		}
	}
	return "", nil
}

// mountinfo writes these bytes of a name in octal.
var unescapeMount = strings.NewReplacer(`\040`, " ", `\011`, "\t", `\012`, "\n", `\134`, `\`)
