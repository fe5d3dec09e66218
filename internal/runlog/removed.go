package runlog

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// RemovedName is the file of a finished run whose logs, events and artifacts were
// removed before the run itself is past keeping. It says why.
const RemovedName = "removed"

// removedBecause is what it says.
const removedBecause = "log removed: [retention] disk"

// MarkRemoved says that a run's logs and artifacts are gone, because all of them
// took more than the operator gives them.
func (d Dir) MarkRemoved() error {
	if err := writeAtomic(filepath.Join(string(d), RemovedName), []byte(removedBecause+"\n")); err != nil {
		return fmt.Errorf("say what is removed of a run: %w", err)
	}
	return nil
}

// Removed is why the run's logs and artifacts are gone; "" if they are not.
func (d Dir) Removed() string {
	text, err := os.ReadFile(filepath.Join(string(d), RemovedName))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
