package installtest

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// EndAll kills the processes that have a variable (NAME=VALUE) in their
// environment, and returns when they are gone.
func EndAll(variable string) {
	for {
		found := false
		environs, _ := filepath.Glob("/proc/[0-9]*/environ")
		for _, file := range environs {
			pid, err := strconv.Atoi(filepath.Base(filepath.Dir(file)))
			env, rerr := os.ReadFile(file) // of a zombie: empty
			if err != nil || rerr != nil || !slices.Contains(strings.Split(string(env), "\x00"), variable) {
				continue
			}
			found = true
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone by now
		}
		if !found {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
