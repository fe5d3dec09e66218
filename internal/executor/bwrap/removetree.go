package bwrap

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// removeTree removes a directory that a job could write to, and may have left
// with directories that nobody may enter.
func removeTree(dir string) error {
	if os.RemoveAll(dir) == nil {
		return nil
	}
	// A directory is opened up before WalkDir reads it: the entry comes first.
	filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(path, 0o700)
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("removing the sandbox's own directories: %w", err)
	}
	return nil
}
