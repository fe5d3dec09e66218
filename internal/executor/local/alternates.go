package local

import (
	"os"
	"path/filepath"
	"strings"
)

// Alternates are the object directories that a repository borrows from, by
// gitrepository-layout(5), objects/info/alternates.
func Alternates(gitDir string) []string {
	return borrowed(filepath.Join(gitDir, "objects"), 0)
}

func borrowed(objects string, depth int) []string {
	if depth == 5 { // git's own bound (alternate_object_database depth)
		return nil
	}
	b, err := os.ReadFile(filepath.Join(objects, "info", "alternates"))
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if !filepath.IsAbs(line) {
			line = filepath.Join(objects, line)
		}
		dirs = append(append(dirs, line), borrowed(line, depth+1)...)
	}
	return dirs
}
