package main

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

	"quire/hooks"
	"quire/hooks/install"
	"quire/internal/account"
	"quire/internal/runner"
)

// proof is whether a push by one user would be recorded.
type proof struct {
	User    string `json:"user"`
	OK      bool   `json:"ok"`
	Note    string `json:"note,omitempty"`    // what costs the pusher something and loses nothing
	Untried bool   `json:"untried,omitempty"` // only root can try as others
	Error   string `json:"error,omitempty"`
}

// prove tries a push as each user who may push: the program that the hook leads
// to is called, and does all but leave a push behind. Every failure is an error.
func (in *installer) prove(repo install.Repo, owner account.Account, who runner.Runner) ([]proof, error) {
	pushers, err := in.pushersOf(repo, owner, who)
	if err != nil {
		return nil, err
	}
	var proofs []proof
	var failed []error
	for _, user := range pushers {
		if in.me.UID != 0 && user.UID != in.me.UID {
			proofs = append(proofs, proof{User: user.String(), Untried: true})
			continue
		}
		p := proof{User: user.String(), OK: true}
		var err error
		if p.Note, err = in.tryPush(repo, user); errors.Is(err, errNotAsRoot) {
			p = proof{User: user.String(), Untried: true, Note: err.Error()}
		} else if err != nil {
			p.OK, p.Error = false, err.Error()
			failed = append(failed, fmt.Errorf("a push to %s by %s is not recorded: %w", repo.GitDir, user, err))
		}
		proofs = append(proofs, p)
	}
	return proofs, errors.Join(failed...)
}

// trial is how long each part of a tried push takes at most; the user as whom it
// is tried can stop it.
const trial = 30 * time.Second

// errNotAsRoot says why a push by root was not tried.
var errNotAsRoot = errors.New("root tries a push only where nobody else can change what git obeys")

// pushersOf lists who may push: the owner, the members of a shared repository's
// group, and who was named. The runner need not be able to.
func (in *installer) pushersOf(repo install.Repo, owner account.Account, who runner.Runner) ([]account.Account, error) {
	pushers := []account.Account{owner}
	st, err := os.Stat(filepath.Join(repo.GitDir, "objects"))
	if err != nil {
		return nil, fmt.Errorf("find who may push to %s: %w", repo.GitDir, err)
	}
	if st.Mode().Perm()&0o020 != 0 { // core.sharedRepository
		members, err := account.Members(int(st.Sys().(*syscall.Stat_t).Gid))
		if err != nil {
			return nil, err
		}
		pushers = append(pushers, members...)
	}
	for _, name := range in.pushers {
		user, err := account.ByName(name)
		if err != nil {
			return nil, usageError{err}
		}
		pushers = append(pushers, user)
	}
	var once []account.Account
	for _, user := range pushers {
		if !slices.ContainsFunc(once, func(a account.Account) bool { return a.UID == user.UID }) {
			once = append(once, user)
		}
	}
	return once, nil
}

// tryPush does as a user what a push by that user does, up to the point where
// something would stay. Nothing that the repository's owner or its group could
// have put there is run: the installed program is, which looks whether the
// repository's hook leads to it, and git without what a config can have it run.
func (in *installer) tryPush(repo install.Repo, user account.Account) (note string, err error) {
	program, hookPath := filepath.Join(in.options.Libexec, install.PostReceive), filepath.Join(repo.HooksDir, install.PostReceive)
	if user.UID == 0 {
		for _, path := range []string{repo.GitDir, filepath.Join(repo.GitDir, "config"), repo.HooksDir, program} {
			if other := install.ChangedByOthers(path); other != "" {
				return "", fmt.Errorf("%w: others than root can change %s", errNotAsRoot, other)
			}
		}
	}
	receive := user.Command("git", "-c", "core.alternateRefsCommand=true", // a command line of the config's
		"receive-pack", "--stateless-rpc", "--advertise-refs", repo.GitDir) // git compares the path as it is given with safe.directory
	receive.Env = append(receive.Env, "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none") // of missing objects, by a command of the config's
	hook := user.Command(program, hooks.CheckArg, hookPath)
	hook.Env = append(hook.Env, "GIT_DIR=.")
	if path := os.Getenv("QUIRE_CONFIG"); path != "" {
		hook.Env = append(hook.Env, "QUIRE_CONFIG="+path)
	}
	for _, name := range []string{"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_GLOBAL"} { // who sets them means them
		if v, ok := os.LookupEnv(name); ok {
			receive.Env = append(receive.Env, name+"="+v)
		}
	}
	receive.Dir, hook.Dir = repo.GitDir, repo.GitDir
	var said, noted bytes.Buffer
	receive.Stderr, hook.Stderr, hook.Stdout = &said, &said, &noted
	if err := account.Within(receive, trial); err != nil {
		if errors.Is(err, fs.ErrPermission) {
			return "", explain(user, repo.GitDir, err)
		}
		return "", gitRefuses(repo, user, &said, err)
	}
	said.Reset()
	err = account.Within(hook, trial)
	var ee *exec.ExitError
	if errors.As(err, &ee) && ee.ExitCode() == hooks.StatusClosed {
		err = fs.ErrPermission
	} else if errors.Is(err, fs.ErrPermission) {
		hookPath = program
	}
	switch text := strings.TrimSpace(said.String()); {
	case err == nil:
		return strings.TrimSpace(noted.String()), nil
	case errors.Is(err, fs.ErrPermission):
		return "", explain(user, hookPath, fmt.Errorf("git passes the hook over in silence, since %s may not run %s", user, hookPath))
	case text != "":
		return "", errors.New(text)
	}
	return "", err
}

// gitRefuses is what git says of a repository that it does not serve this user.
func gitRefuses(repo install.Repo, user account.Account, said *bytes.Buffer, err error) error {
	text := strings.TrimSpace(said.String())
	if strings.Contains(text, "dubious ownership") {
		// Not for all users: root's git would obey that repository's config too.
		return fmt.Errorf("git does not trust a repository of another user; if %s does, as that user: git config --global --add safe.directory %s", user, repo.GitDir)
	}
	first, _, _ := strings.Cut(text, "\n")
	if first = strings.TrimPrefix(first, "fatal: "); first == "" {
		return err
	}
	return errors.New("git refuses it: " + first)
}

// explain names what on the way to a file keeps a user out, where the modes of
// the directories tell.
func explain(user account.Account, path string, err error) error {
	for _, p := range []string{resolved(path), path} {
		if blocked, st := user.Blocked(p); blocked != "" {
			return fmt.Errorf("%s (mode %04o) is not open to %s: chmod o+x %s, or keep what lies below elsewhere", blocked, st.Mode().Perm(), user, blocked)
		}
	}
	return err
}

func resolved(path string) string {
	if real, err := filepath.EvalSymlinks(path); err == nil {
		return real
	}
	return path
}
