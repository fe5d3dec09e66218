package install

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"quire/internal/account"
	"quire/internal/runner"
)

// Repo is a repository as the installer sees it.
type Repo struct {
	GitDir   string // absolute, links resolved; of the repository, not of a linked worktree
	HooksDir string // where git looks for its hooks; links resolved if it is there
	Owner    int    // who owns GitDir

	// Elsewhere is set when core.hooksPath comes from a configuration outside
	// the repository; it names that configuration's scope. Then HooksDir is shared with
	// other repositories.
	Elsewhere string

	id identity // of GitDir
}

// Patience is how long a look at a repository takes at most: whose it is can have
// git wait for ever, by a pipe in a file's place.
const Patience = 5 * time.Second

// Find finds the repository at path, and not one further up.
func Find(path string) (Repo, error) {
	abs, err := filepath.Abs(path)
	if err == nil {
		abs, err = filepath.EvalSymlinks(abs)
	}
	if err != nil {
		return Repo{}, fmt.Errorf("find repository: %w", err)
	}
	if st, err := os.Stat(abs); err == nil && !st.IsDir() {
		if filepath.Base(abs) != ".git" {
			return Repo{}, fmt.Errorf("%s is a file; name the repository's directory", path)
		}
		abs = filepath.Dir(abs) // the .git file of a worktree or submodule
	}
	if errors.Is(syscall.Access(filepath.Join(abs, "HEAD"), 4 /* R_OK */), fs.ErrPermission) {
		return Repo{}, closed(abs)
	}
	out, err := git(abs, "rev-parse", "--path-format=absolute", "--git-common-dir", "--git-path", "hooks")
	if errors.Is(err, account.ErrNoAnswer) {
		return Repo{}, fmt.Errorf("look at %s: %w", path, err)
	}
	if err != nil {
		return Repo{}, fmt.Errorf("%s is not a git repository: %w", path, err)
	}
	dir, hooksDir, _ := strings.Cut(strings.TrimSuffix(out, "\n"), "\n")
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return Repo{}, fmt.Errorf("find repository: %w", err)
	}
	if real, err := filepath.EvalSymlinks(hooksDir); err == nil {
		hooksDir = real // several repositories may share it
	}
	r := Repo{GitDir: dir, HooksDir: filepath.Clean(hooksDir)}
	st, err := os.Stat(dir)
	if err != nil {
		return Repo{}, fmt.Errorf("find repository: %w", err)
	}
	r.id = identify(st)
	r.Owner = int(r.id.uid)
	if out, err := git(r.GitDir, "config", "--show-scope", "--get", "core.hooksPath"); err == nil {
		if scope, _, _ := strings.Cut(out, "\t"); scope != "local" && scope != "worktree" {
			r.Elsewhere = scope
		}
	}
	return r, nil
}

// closed is the error of a repository that this process's user may not look into.
func closed(dir string) error {
	st, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("find repository: %w", err)
	}
	owner, _ := account.ByUID(int(st.Sys().(*syscall.Stat_t).Uid)) // one without an entry is named by number
	return fmt.Errorf("%s belongs to %s; become that user or root: %s may not look into it: %w", dir, owner, account.Self(), fs.ErrPermission)
}

// Hooked reports whether pushes to the repository call our hook, and it does not
// pass them over.
func (r Repo) Hooked() bool {
	who, err := runner.Of(r.GitDir)
	return Ours(r.hook(PostReceive)) && (err != nil || !who.Off)
}

// findOwn finds a repository of this process's user; nobody else's process
// changes anything in one.
func findOwn(path, doing string) (Repo, error) {
	repo, err := Find(path)
	if err != nil {
		return repo, err
	}
	if repo.Owner != os.Geteuid() {
		owner, _ := account.ByUID(repo.Owner)
		return repo, fmt.Errorf("%s: %s belongs to %s; become that user or root", doing, repo.GitDir, owner)
	}
	return repo, nil
}

// coveredElsewhere is the answer where git looks for hooks in a directory of
// many repositories: that directory is the operator's, and one command of
// theirs serves all of them.
func (r Repo) coveredElsewhere(names []string) error {
	for _, name := range names {
		if !Ours(r.hook(name)) {
			return fmt.Errorf("install: the %s git configuration sets core.hooksPath to %s, so git ignores the hooks in %s; link %s there for all repositories, or set core.hooksPath in this one",
				r.Elsewhere, r.HooksDir, r.GitDir, name)
		}
	}
	return nil
}

// isGitDir reports whether a directory is one that git can be told by --git-dir.
func isGitDir(dir string) bool {
	_, err := os.Lstat(filepath.Join(dir, "HEAD"))
	if err != nil {
		return false
	}
	for _, sign := range []string{"objects", "commondir"} { // the second in a linked worktree's
		if _, err := os.Stat(filepath.Join(dir, sign)); err == nil {
			return true
		}
	}
	return false
}

// git runs git in dir and returns its output; the error carries what it said. A
// bare repository is named, and not found: with safe.bareRepository=explicit
// (git-config(1)) git uses only those that are.
func git(dir string, args ...string) (string, error) {
	if isGitDir(dir) {
		args = append([]string{"--git-dir=" + dir}, args...)
	}
	// Somebody else's repository is what root installs into, and only its
	// configuration is read and written.
	args = append([]string{"-c", "safe.directory=*"}, args...)
	cmd := exec.Command("git", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = os.Environ()
	// Root's git would read, and wait for, whatever the owner puts there.
	if owner := ownerTo(dir); owner != nil {
		cmd = owner.Command("git", args...)
		for _, v := range os.Environ() {
			if strings.HasPrefix(v, "GIT_CONFIG_") {
				cmd.Env = append(cmd.Env, v)
			}
		}
	}
	cmd.Dir = dir
	cmd.Env = slices.DeleteFunc(cmd.Env, func(v string) bool {
		return strings.HasPrefix(v, "GIT_") && !strings.HasPrefix(v, "GIT_CONFIG_")
	})
	// The named directory or nothing: not a repository that happens to hold it.
	cmd.Env = append(cmd.Env, "LC_ALL=C", "GIT_CEILING_DIRECTORIES="+filepath.Dir(dir))
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := account.Within(cmd, Patience)
	if errors.Is(err, account.ErrNoAnswer) {
		return "", fmt.Errorf("git gives %w", err)
	}
	if err == nil {
		return stdout.String(), nil
	}
	if said := strings.TrimSpace(stderr.String()); said != "" {
		first, _, _ := strings.Cut(said, "\n")
		return "", errors.New(strings.TrimPrefix(first, "fatal: "))
	}
	if errors.Is(err, exec.ErrNotFound) {
		return "", errors.New("git is not installed")
	}
	return "", err
}

// ownerTo is as whom root looks into a directory; nil for this process's user.
func ownerTo(dir string) *account.Account {
	if os.Geteuid() != 0 {
		return nil
	}
	st, err := os.Stat(dir)
	if err != nil || st.Sys().(*syscall.Stat_t).Uid == 0 {
		return nil
	}
	owner, _ := account.ByUID(int(st.Sys().(*syscall.Stat_t).Uid)) // one without an entry is a number
	return &owner
}
