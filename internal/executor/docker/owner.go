package docker

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"

	"quire/internal/executor"
)

// Labels on everything that is made in an engine.
const (
	LabelRun  = "quire.run"  // the run's id
	LabelRepo = "quire.repo" // path of the bare repository
	LabelBoot = "quire.boot" // the kernel's boot id, to tell what a reboot left
	// LabelHome tells the quires apart that share an engine: what another one
	// made is not ours to remove.
	LabelHome = "quire.home"
)

// owner is the labels of a run's things.
type owner map[string]string

func ownerOf(spec executor.Spec) owner {
	return owner{
		LabelRun:  spec.RunID,
		LabelRepo: spec.GitDir,
		LabelBoot: strings.TrimSpace(slurp("/proc/sys/kernel/random/boot_id")),
		LabelHome: home(filepath.Dir(spec.RunDir)),
	}
}

// home is the mark of one directory of runs on one machine.
func home(runsDir string) string {
	if real, err := filepath.EvalSymlinks(runsDir); err == nil {
		runsDir = real
	}
	sum := sha256.Sum256([]byte(strings.TrimSpace(slurp("/etc/machine-id")) + "\x00" + filepath.Clean(runsDir)))
	return hex.EncodeToString(sum[:8])
}

func slurp(path string) string {
	b, _ := os.ReadFile(path) // "" does for a label
	return string(b)
}
