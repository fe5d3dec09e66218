package hooks

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// repository is the absolute path of the repository that is pushed to, symbolic
// links resolved. git sets GIT_DIR for its hooks, often to "." (githooks(5)). A
// linked worktree's directory stands for the repository it belongs to.
func repository(gitDirVariable string) (string, error) {
	if gitDirVariable == "" {
		return "", errors.New("GIT_DIR is not set: a hook is called by git, not by hand")
	}
	dir, err := filepath.Abs(gitDirVariable)
	if err == nil {
		dir, err = filepath.EvalSymlinks(dir)
	}
	if err != nil {
		return "", fmt.Errorf("find the repository GIT_DIR=%s: %w", gitDirVariable, err)
	}
	common, err := os.ReadFile(filepath.Join(dir, "commondir")) // gitrepository-layout(5)
	if errors.Is(err, fs.ErrNotExist) {
		return dir, nil
	}
	if err != nil {
		return "", fmt.Errorf("find the repository: %w", err)
	}
	path := strings.TrimSuffix(string(common), "\n")
	if !filepath.IsAbs(path) {
		path = filepath.Join(dir, path)
	}
	return filepath.EvalSymlinks(path)
}
