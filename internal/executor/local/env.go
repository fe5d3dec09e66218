package local

import (
	"strings"

	"quire/internal/executor/procs"
)

// Env is a command's environment as it is started: each name once, the last
// value, and the run's mark, by which its processes are found after a crash.
func Env(env []string, runID string) []string {
	last := make(map[string]int, len(env))
	for i, e := range env {
		name, _, _ := strings.Cut(e, "=")
		last[name] = i
	}
	out := make([]string, 0, len(env)+2) // the command's own mark comes too
	for i, e := range env {
		name, _, _ := strings.Cut(e, "=")
		if last[name] == i && name != procs.EnvRun && name != procs.EnvExec {
			out = append(out, e)
		}
	}
	return append(out, procs.EnvRun+"="+runID)
}
