package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"quire/hooks/install"
	"quire/internal/account"
	"quire/internal/config"
)

// place is where a user's quire keeps things.
type place struct {
	Config    string        `json:"config"` // "": none, the defaults hold
	StateDir  string        `json:"state_dir"`
	KillGrace time.Duration `json:"kill_grace_ns"`
}

// newPlaceCommand is how root asks, as another user, where that user's quire
// keeps things: the answer depends on that user's home and environment. For
// install.sh it says where a user's configuration is, or belongs.
func newPlaceCommand() *cobra.Command {
	var name string
	cmd := &cobra.Command{
		Use:    "place",
		Hidden: true,
		Args:   cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if name != "" {
				path, err := configOf(name)
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(cmd.OutOrStdout(), path)
				return err
			}
			p, err := ownPlace()
			if err != nil {
				return err
			}
			return printJSON(cmd.OutOrStdout(), p)
		},
	}
	cmd.Flags().StringVar(&name, "config-of", "", "")
	return cmd
}

func ownPlace() (place, error) {
	cfg, err := config.LoadPublic()
	if err != nil {
		return place{}, err
	}
	p := place{cfg.Path, cfg.StateDir, cfg.KillGrace.D()}
	if p.Config != "" {
		if p.Config, err = filepath.Abs(p.Config); err != nil {
			return place{}, err
		}
	}
	return p, nil
}

// configOf is where the configuration of a user is, or belongs.
func configOf(name string) (string, error) {
	user, err := account.ByName(name)
	switch {
	case err != nil:
		return "", usageError{err}
	case os.Getenv("QUIRE_CONFIG") != "" || user.UID == os.Geteuid():
		return config.InstallPath(), nil
	case usableHome(user):
		return filepath.Join(user.Home, ".config", "quire", "config.toml"), nil
	case user.Name == "":
		return "", fmt.Errorf("%s has no name and no home for a configuration; name a file in QUIRE_CONFIG", user)
	}
	return config.SystemPath(user.Name), makeSystemPlace(user)
}

// placeOf finds a runner's place. A user without a home of its own, as www-data,
// gets one in the system's directories.
func (in *installer) placeOf(user account.Account) (place, error) {
	if user.UID == in.me.UID {
		return ownPlace()
	}
	if os.Getenv("QUIRE_CONFIG") == "" && user.Name != "" && !usableHome(user) {
		if err := makeSystemPlace(user); err != nil {
			return place{}, err
		}
	}
	var p place
	err := in.ask(user, "/", &p, "place")
	return p, err
}

// usableHome reports whether a user can keep things at home: /nonexistent, and a
// home such as /var/www that belongs to root, are none.
func usableHome(user account.Account) bool {
	st, err := os.Stat(user.Home)
	return err == nil && st.IsDir() && user.Home != "/" && int(st.Sys().(*syscall.Stat_t).Uid) == user.UID && st.Mode().Perm()&0o300 == 0o300
}

// makeSystemPlace makes a configuration and a state directory for a user who has
// no home for them. What is there stays. The state is beside /var/lib/quire and
// not below it: that is root's own, and closed.
func makeSystemPlace(user account.Account) error {
	path, state := config.SystemPath(user.Name), "/var/lib/quire-"+user.Name
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	fail := func(err error) error { return fmt.Errorf("make a place for %s, who has no home: %w", user, err) }
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fail(err)
	}
	if err := os.Mkdir(state, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return fail(err)
	}
	if err := os.Lchown(state, user.UID, user.GID); err != nil {
		return fail(err)
	}
	text := fmt.Sprintf("# quire's configuration for %s. config.example.toml explains every setting.\nstate_dir = %q\n", user, state)
	if err := install.WriteFile(path, []byte(text), 0o644); err != nil {
		return fail(err)
	}
	return nil
}
