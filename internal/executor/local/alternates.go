package local

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Alternates are the object directories that a repository borrows from, by
// gitrepository-layout(5), objects/info/alternates. One that is none to look at is
// left out: who owns a repository could name any directory of the machine there, and
// its runner may be allowed to read more.
func Alternates(gitDir string) []Bind {
	var all []Bind
	for _, dir := range borrowed(filepath.Join(gitDir, "objects"), 0) {
		real, err := filepath.EvalSymlinks(dir)
		b := Bind{real, filepath.Clean(dir)}
		if err == nil && isObjects(real) && !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

func isObjects(dir string) bool {
	is := func(below string) bool {
		info, err := os.Lstat(filepath.Join(dir, below))
		return err == nil && info.IsDir()
	}
	return filepath.Base(dir) == "objects" && (is("info") || is("pack"))
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
