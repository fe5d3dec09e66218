package worker

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"quire/internal/checked"
)

// pushing reports whether a push to the repository may be going on: git's
// receive-pack, or a hook of its, is at work in there, as a user who may write to
// it. It changes into the repository (githooks(5)), so its working directory tells.
// Where that is not to be seen, because the process is another user's, one of its
// arguments must name the repository. Anybody can start a process with any
// arguments, so the caller bounds for how long it believes this.
func pushing(gitDir string) bool {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return false
	}
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil {
			continue
		}
		dir := filepath.Join("/proc", e.Name())
		cmdline, err := os.ReadFile(filepath.Join(dir, "cmdline"))
		if err != nil || !takesPush(string(cmdline)) || !mayWrite(dir, gitDir) {
			continue
		}
		cwd, err := os.Readlink(filepath.Join(dir, "cwd"))
		if errors.Is(err, os.ErrNotExist) {
			continue // ended meanwhile
		}
		if err == nil && checked.Inside(cwd, gitDir) || err != nil && names(string(cmdline), gitDir) {
			return true
		}
	}
	return false
}

func takesPush(cmdline string) bool {
	for _, word := range []string{"receive-pack", "post-receive", "pre-receive"} {
		if strings.Contains(cmdline, word) {
			return true
		}
	}
	return false
}

// mayWrite reports whether the user of a process may write to the repository, by
// the owner, group and mode of its directory.
func mayWrite(proc, gitDir string) bool {
	var process, repository syscall.Stat_t
	if syscall.Stat(proc, &process) != nil || syscall.Stat(gitDir, &repository) != nil {
		return false
	}
	switch {
	case process.Uid == 0, process.Uid == repository.Uid, process.Uid == uint32(os.Geteuid()):
		return true
	case repository.Mode&syscall.S_IWOTH != 0:
		return true
	}
	return repository.Mode&syscall.S_IWGRP != 0 && slices.Contains(groups(proc), strconv.FormatUint(uint64(repository.Gid), 10))
}

// groups are the groups of a process (proc_pid_status(5)).
func groups(proc string) []string {
	status, err := os.ReadFile(filepath.Join(proc, "status"))
	if err != nil {
		return nil
	}
	var ids []string
	for line := range strings.Lines(string(status)) {
		for _, key := range []string{"Gid:", "Groups:"} {
			if rest, ok := strings.CutPrefix(line, key); ok {
				ids = append(ids, strings.Fields(rest)...)
			}
		}
	}
	return ids
}

// names reports whether an argument of a command line names the repository. A
// path that is relative to a directory which is not to be seen is compared by its
// last part.
func names(cmdline, gitDir string) bool {
	for _, arg := range strings.Split(cmdline, "\x00") {
		for _, word := range append(strings.Fields(arg), arg) { // sh -c "git-receive-pack 'a.git'"
			word = strings.Trim(word, `'"`)
			if word == "" {
				continue
			}
			if real, err := filepath.EvalSymlinks(word); err == nil && filepath.IsAbs(word) {
				if real == gitDir || filepath.Join(real, ".git") == gitDir {
					return true
				}
				continue
			}
			last := filepath.Base(word)
			if !filepath.IsAbs(word) && (last == filepath.Base(gitDir) || last+".git" == filepath.Base(gitDir)) {
				return true
			}
		}
	}
	return false
}
