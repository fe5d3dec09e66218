package mirror

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// local finds the repository of a local target, and decides whether a pipeline
// in a sandbox may push there. git runs the receiving side as quire's user,
// outside of every sandbox; so the place must be one that the operator lists, no
// job can change, and at which nothing runs. repositories are this box's own: a
// push there is somebody else's to make, and would be one that quire runs.
func (w Wall) local(to remote, repositories []string) (string, error) {
	path := "/" + to.path
	listed := func(real string) bool {
		return slices.ContainsFunc(w.allowed, func(a allow) bool { return a.matchesLocal(real) })
	}
	if !slices.ContainsFunc(w.allowed, func(a allow) bool { return a.scheme == "file" }) {
		return "", &NotAllowedError{"it is a path of this machine, and a push there is quire's and not the job's", doAllow}
	}
	real, err := filepath.EvalSymlinks(path)
	if errors.Is(err, fs.ErrNotExist) {
		if listed(filepath.Clean(path)) {
			return "", &NotAllowedError{"there is no such repository", doOrder}
		}
		return "", &NotAllowedError{"the operator allows this repository's pipelines no push there", doAllow}
	}
	if err != nil {
		return "", &NotAllowedError{"the path cannot be followed", doOrder}
	}
	if !listed(real) {
		return "", &NotAllowedError{"the operator allows this repository's pipelines no push there", doAllow}
	}
	gitDir := real
	// As git looks for it (enter_repo in git's path.c).
	if st, err := os.Lstat(filepath.Join(real, ".git")); err == nil {
		if !st.IsDir() {
			return "", &NotAllowedError{"its .git is no directory", doOrder}
		}
		gitDir = filepath.Join(real, ".git")
	}
	for _, private := range w.private {
		if within(gitDir, private) {
			return "", &NotAllowedError{"it lies in quire's own directory", doOrder}
		}
	}
	for _, r := range repositories {
		if within(gitDir, r) || same(gitDir, r) {
			return "", &NotAllowedError{"it is a repository of this machine that people push to", doOrder}
		}
	}
	if _, err := os.Lstat(filepath.Join(gitDir, "HEAD")); err != nil {
		return "", &NotAllowedError{"there is no such repository", doOrder}
	}
	if _, err := os.Lstat(filepath.Join(gitDir, "commondir")); err == nil {
		return "", &NotAllowedError{"it is a linked worktree", doOrder}
	}
	what, err := runsAtPush(gitDir)
	if err != nil {
		return "", err
	}
	if what != "" {
		return "", &NotAllowedError{"a push there runs " + what + ", with more than the job has", doOrder}
	}
	return gitDir, nil
}

// within reports whether a path without links is dir or below it.
func within(path, dir string) bool {
	if real, err := filepath.EvalSymlinks(dir); err == nil {
		dir = real
	}
	return path == dir || strings.HasPrefix(path, strings.TrimSuffix(dir, "/")+"/")
}

func same(a, b string) bool {
	x, err := os.Stat(a)
	if err != nil {
		return false
	}
	y, err := os.Stat(b)
	return err == nil && os.SameFile(x, y)
}

// running are the settings by which a push starts a program, or a checkout
// (git-config(1)).
var running = regexp.MustCompile(`^(core\.(hookspath|fsmonitor|alternaterefscommand|sshcommand|gitproxy|editor|pager|askpass)` +
	`|uploadpack\.packobjectshook|gc\.recentobjectshook|hook\..*|filter\..*|diff\..*\.(command|textconv)|merge\..*\.driver` +
	`|credential\..*|gpg\..*|alias\..*)$`)

// runsAtPush names what a push to the repository would start: a hook, or a
// setting that does. "" is nothing.
func runsAtPush(gitDir string) (what string, err error) {
	hooks, err := os.ReadDir(filepath.Join(gitDir, "hooks"))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("look for hooks: %w", err)
	}
	for _, h := range hooks {
		if strings.HasSuffix(h.Name(), ".sample") {
			continue
		}
		if st, err := os.Stat(filepath.Join(gitDir, "hooks", h.Name())); err == nil && st.Mode().Perm()&0o111 != 0 && !st.IsDir() {
			return "its hook " + h.Name(), nil
		}
	}
	c := exec.Command("git", "config", "--list", "--name-only", "-z")
	c.Dir = "/"
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "GIT_DIR=" + gitDir}
	out, err := c.Output()
	if err != nil {
		return "", fmt.Errorf("read the configuration of the repository at %s: %w", gitDir, err)
	}
	for key := range strings.SplitSeq(string(out), "\x00") {
		if running.MatchString(strings.ToLower(key)) {
			return "what its setting " + key + " says", nil
		}
	}
	return "", nil
}

// receiver is the program for git to start at the other end of a local push of
// a pipeline in a sandbox. That nothing runs there was looked at before; this
// makes it so for what changed since.
func receiver(gitDir, program string) string {
	return "git -c core.hooksPath=/dev/null -c core.fsmonitor=false -c core.alternateRefsCommand=true" +
		" -c receive.autogc=false -c gc.auto=0 -c receive.denyCurrentBranch=refuse" +
		" -c safe.directory=" + quoted(gitDir) + " " + program
}
