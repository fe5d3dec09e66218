package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"github.com/spf13/cobra"

	"quire/internal/account"
	"quire/internal/checked"
	"quire/internal/config"
	"quire/internal/runner"
)

// onState marks commands, and those below them, as such that open a state
// directory. Whoever is not its owner would leave files there that the owner
// cannot read, and start a worker that runs other people's code as the wrong user.
func onState(cmds ...*cobra.Command) []*cobra.Command {
	for _, c := range cmds {
		if c.Annotations == nil {
			c.Annotations = map[string]string{}
		}
		c.Annotations[opensState] = "yes"
		onState(c.Commands()...)
	}
	return cmds
}

const opensState = "quire: opens a state directory"

// asRunner sees to it that a command which opens a state directory runs as the
// directory's owner: the runner of the repository that it names by a path (--repo,
// mirror sync REPO), or in whose directory it is called, else whom the configuration's state directory belongs to. Root becomes
// that user; anybody else is told what to type.
func asRunner(cmd *cobra.Command, args []string) error {
	if cmd.Annotations[opensState] == "" {
		return nil
	}
	owner, path, dir, err := stateOwner(repositoryNamed(cmd, args))
	if err != nil {
		return err
	}
	self := os.Geteuid()
	switch {
	case owner == self:
		if path != "" {
			return os.Setenv("QUIRE_CONFIG", path) // worker and supervisor read it too
		}
		return nil
	case self != 0:
		who, _ := account.ByUID(owner) // one without an entry is named by number
		return usageError{fmt.Errorf("%s belongs to %s; run this as that user: %s", dir, who, typed(who))}
	}
	return become(owner, path)
}

// stateOwner finds whose state directory a command is about, which file
// configures it ("" for the usual place), and what to call it in a sentence. named
// is a directory that the command names, "" if it names none.
func stateOwner(named string) (uid int, path, dir string, err error) {
	if os.Getenv("QUIRE_CONFIG") == "" {
		gitDir := ""
		if named != "" {
			gitDir = recordedAt(named)
		}
		if gitDir == "" {
			gitDir = repositoryHere()
		}
		if gitDir != "" {
			r, err := runner.Of(gitDir)
			if err != nil {
				return 0, "", "", err
			}
			if r.Recorded {
				return r.UID, r.Config, gitDir, nil
			}
		}
	}
	cfg, err := config.LoadPublic()
	if errors.Is(err, fs.ErrPermission) {
		return 0, "", "", err
	}
	if err != nil {
		return os.Geteuid(), "", "", nil // the command says what is wrong with the file
	}
	st, err := os.Stat(cfg.StateDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return os.Geteuid(), "", "", nil
	case err != nil:
		return 0, "", "", fmt.Errorf("look at the state directory: %w", err)
	}
	if abs, err := filepath.Abs(cfg.Path); err == nil && cfg.Path != "" {
		path = abs
	}
	return int(st.Sys().(*syscall.Stat_t).Uid), path, cfg.StateDir, nil
}

// repositoryHere is the repository with a record of its runner that the working
// directory is in; "" if it is in none.
func repositoryHere() string {
	dir, err := os.Getwd()
	if err != nil {
		return ""
	}
	for {
		if gitDir := recordedAt(dir); gitDir != "" {
			return gitDir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
		dir = filepath.Dir(dir)
	}
}

// recordedAt is the repository with a record that a directory is, or is the
// checkout of; "" if there is none.
func recordedAt(dir string) string {
	for _, gitDir := range []string{dir, filepath.Join(dir, ".git")} {
		if _, err := os.Lstat(filepath.Join(gitDir, runner.File)); err != nil {
			continue
		}
		if _, err := os.Lstat(filepath.Join(gitDir, "HEAD")); err == nil {
			if real, err := filepath.EvalSymlinks(gitDir); err == nil {
				return real
			}
		}
	}
	return ""
}

// repositoryNamed is the repository that a command's line names, as it stands
// there: a name that is no path leads nowhere.
func repositoryNamed(cmd *cobra.Command, args []string) string {
	if f := cmd.Flags().Lookup("repo"); f != nil && f.Value.String() != "" {
		return f.Value.String()
	}
	if parent := cmd.Parent(); parent != nil && parent.Name() == "mirror" && cmd.Name() != "trust" && len(args) > 0 {
		return args[0]
	}
	return ""
}

// typed is this command as root types it for another user.
func typed(who account.Account) string {
	name, command := who.Name, "quire "+plain(checked.CommandLine(os.Args[1:]))
	if name == "" {
		name = fmt.Sprintf("'#%d'", who.UID) // sudo(8) takes a number so
		return "sudo -u " + name + " " + command
	}
	return "runuser -u " + name + " -- " + command + " (as root; others: sudo -u " + name + " quire …)"
}

// keptVariables are those that root's command hands to the same command of
// another user: how the terminal is, and nothing of what root is.
var keptVariables = []string{"TERM", "COLORTERM", "NO_COLOR", "COLUMNS", "LINES", "LANG", "TZ"}
