package local

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"quire/internal/jobfile"
)

// Alternates are the object directories that a repository borrows from, by
// gitrepository-layout(5), objects/info/alternates. One that is none to look at is
// left out: who owns a repository could name any directory of the machine there, and
// its runner may be allowed to read more.
func Alternates(ctx context.Context, gitDir string) ([]Bind, error) {
	if gitDir == "" {
		return nil, nil
	}
	return jobfile.Within(ctx, func() ([]Bind, error) {
		lists := &alternates{left: mostAlternates}
		if err := lists.follow(filepath.Join(gitDir, "objects"), 0); err != nil {
			return nil, err
		}
		var all []Bind
		for _, dir := range lists.dirs {
			real, err := filepath.EvalSymlinks(dir)
			b := Bind{real, filepath.Clean(dir)}
			if err == nil && isObjects(real) && !slices.Contains(all, b) {
				all = append(all, b)
			}
		}
		return all, nil
	}, nil)
}

func isObjects(dir string) bool {
	is := func(below string) bool {
		info, err := os.Lstat(filepath.Join(dir, below))
		return err == nil && info.IsDir()
	}
	return filepath.Base(dir) == "objects" && (is("info") || is("pack"))
}

// Bounds of what a repository borrows from. Each list names lists again, so that few
// short ones would make any number.
const (
	mostAlternates     = 1000
	mostAlternatesList = 256 << 10 // bytes
)

// alternates gathers the directories that lists name.
type alternates struct {
	dirs []string
	left int
}

func (a *alternates) follow(objects string, depth int) error {
	if depth == 5 { // git's own bound (alternate_object_database depth)
		return nil
	}
	list := filepath.Join(objects, "info", "alternates")
	n, err := jobfile.Hold(list)
	if err != nil {
		return nil
	}
	defer n.Close()
	if n.Size() > mostAlternatesList {
		return fmt.Errorf("%s is larger than %d bytes: repositories that borrow from so many cannot be shown to commands", list, mostAlternatesList)
	}
	b, err := n.Head(mostAlternatesList)
	if err != nil { // no plain file, or none for us to read
		return nil
	}
	for line := range strings.Lines(string(b)) {
		line = strings.TrimSuffix(line, "\n")
		if line == "" || line[0] == '#' {
			continue
		}
		if a.left--; a.left < 0 {
			return fmt.Errorf("%s: the repository borrows from more than %d others, which cannot be shown to commands", list, mostAlternates)
		}
		if !filepath.IsAbs(line) {
			line = filepath.Join(objects, line)
		}
		a.dirs = append(a.dirs, line)
		if err := a.follow(line, depth+1); err != nil {
			return err
		}
	}
	return nil
}
