package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"

	"github.com/spf13/cobra"

	"quire/internal/account"
	"quire/internal/config"
	"quire/internal/store"
)

func newDoctorCommand() *cobra.Command {
	var asJSON, alone bool
	cmd := &cobra.Command{
		Use:   "doctor [REPO…]",
		Short: "Say what is wrong with this installation, and what to do",
		Long: `Look at everything quire needs: the configuration and its permissions, the
state directory, what waits in the spool, the worker, the programs it calls, and
the hooks of the named repositories (default: all that a push came from, or that
quire was installed in). Each repository is looked at as the user who runs its
pipelines; root looks as each of them, and tries a push as everybody who may.

Exit status 1 if something is wrong.`,
		Example: `  quire doctor
  quire doctor /srv/git/*.git
  quire doctor --json | jq -r 'select(.state != "ok") | .text'`,
		RunE: func(cmd *cobra.Command, args []string) error {
			exam, err := examineAll(cmd.Context(), args, alone)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			bad := false
			p := paletteFor(out)
			c := columns{colour: func(_, col int, cell string) string {
				if col == 0 {
					return p.state(cell)
				}
				return cell
			}}
			me := account.Self().String()
			others := slices.ContainsFunc(exam, func(f finding) bool { return f.User != me })
			for _, f := range exam {
				bad = bad || f.State == stateBad
				if asJSON {
					if err := printJSON(out, f); err != nil {
						return err
					}
					continue
				}
				row := []string{f.State, plain(f.About), plain(f.Text)}
				cure := []string{"", "", "→ " + plain(f.Cure)}
				if others {
					row, cure = slices.Insert(row, 1, plain(f.User)), slices.Insert(cure, 1, "")
				}
				c.add(row...)
				if f.Cure != "" {
					c.add(cure...)
				}
			}
			if err := c.print(out); err != nil {
				return err
			}
			if bad {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object for each finding")
	cmd.Flags().BoolVar(&alone, "alone", false, "")
	_ = cmd.Flags().MarkHidden("alone")
	return cmd
}

// What a finding amounts to.
const (
	stateOK   = "ok"
	stateWarn = "warn"
	stateBad  = "bad"
)

// finding is one thing that was looked at.
type finding struct {
	State string `json:"state"` // ok, warn, bad
	User  string `json:"user"`  // as whom this was looked at
	About string `json:"about"`
	Text  string `json:"text"`
	Cure  string `json:"cure,omitempty"` // what to do
}

// exam collects findings in the order of the way of a push.
type exam struct {
	ctx      context.Context
	me       account.Account
	findings []finding
}

func (e *exam) ok(about, format string, args ...any) { e.add(stateOK, about, "", format, args...) }

func (e *exam) warn(about, cure, format string, args ...any) {
	e.add(stateWarn, about, cure, format, args...)
}

func (e *exam) bad(about, cure, format string, args ...any) {
	e.add(stateBad, about, cure, format, args...)
}

func (e *exam) add(state, about, cure, format string, args ...any) {
	e.findings = append(e.findings, finding{State: state, User: e.me.String(), About: about, Text: fmt.Sprintf(format, args...), Cure: cure})
}

// examine looks at what this process's user runs.
func (e *exam) examine(repos []string) {
	ctx := e.ctx
	e.git()
	cfg := e.config()
	if cfg == nil {
		return // nothing below can be found without it
	}
	e.binaries()
	if !e.stateDir(cfg) {
		return
	}
	e.spool(cfg)
	e.worker(cfg)
	e.executors(cfg)
	e.secrets(cfg)
	e.notifications(cfg)
	e.network(cfg)
	s, err := store.Open(ctx, cfg.StateDir)
	if errors.Is(err, fs.ErrPermission) {
		e.bad("store", whoseFile(store.Path(cfg.StateDir)), "%v", err)
		return
	}
	if err != nil {
		e.bad("store", "move "+store.Path(cfg.StateDir)+" away: runs are made anew, their history is in the moved file", "%v", err)
		return
	}
	defer s.Close()
	e.ok("store", "%s", store.Path(cfg.StateDir))
	e.leftovers(cfg, s)
	e.mirrors(cfg, s)
	known, err := s.Repositories(ctx)
	if err != nil {
		e.bad("store", "", "%v", err)
	}
	for _, path := range known { // beside those that were installed in
		if !slices.Contains(repos, path) {
			repos = append(repos, path)
		}
	}
	e.hooks(repos)
	e.scopes(cfg, repos)
	e.defaultBranches(cfg, repos)
}

func (e *exam) config() *config.Config {
	path := config.Find()
	cfg, err := config.Load()
	switch {
	case err != nil:
		e.bad("configuration", "", "%v", err)
		return nil
	case path == "":
		e.warn("configuration", "copy config.example.toml to "+config.InstallPath()+" and edit it", "there is none; the defaults hold")
	default:
		e.ok("configuration", "%s", path)
	}
	return cfg
}

// stateDir looks at the directory that everything is kept in.
func (e *exam) stateDir(cfg *config.Config) bool {
	dir := cfg.StateDir
	st, err := os.Stat(dir)
	switch {
	case err == nil && int(st.Sys().(*syscall.Stat_t).Uid) != e.me.UID:
		e.bad("state", whoseFile(dir), "%s is not this user's", dir)
		return false
	case errors.Is(err, fs.ErrPermission):
		e.bad("state", whoseFile(dir), "%v", err)
		return false
	case os.IsNotExist(err):
		e.warn("state", "", "%s is not there yet; the first push makes it", dir)
		return true
	case err != nil:
		e.bad("state", "name another state_dir, or make this one readable", "%v", err)
		return false
	case !st.IsDir():
		e.bad("state", "name another state_dir", "%s is not a directory", dir)
		return false
	case st.Mode().Perm()&0o077 != 0:
		e.bad("state", "chmod go-rwx "+dir, "others may read %s (mode %04o), where logs and the spool are", dir, st.Mode().Perm())
	}
	f, err := os.CreateTemp(dir, ".doctor-*")
	if err != nil {
		cure := "name another state_dir, or make room"
		if errors.Is(err, fs.ErrPermission) {
			cure = "chmod u+rwx " + dir
		}
		e.bad("state", cure, "cannot write in %s: %v", dir, err)
		return false
	}
	f.Close()
	os.Remove(f.Name())
	free, total, err := space(dir)
	switch {
	case err != nil:
		e.warn("state", "", "%s: cannot tell how much room is left: %v", dir, err)
	case free < 1<<30 && free < total/20:
		e.bad("state", "make room, or keep less: quire gc, and [retention] in the configuration", "%s has %d MiB left", dir, free>>20)
	default:
		e.ok("state", "%s, %d GiB free", dir, free>>30)
	}
	return true
}

func (e *exam) leftovers(cfg *config.Config, s *store.Store) {
	runs, err := filepath.Glob(filepath.Join(cfg.StateDir, "runs", "*", "workspace"))
	if err != nil || cfg.KeepWorkspace == "always" {
		return
	}
	running, err := s.Running(e.ctx)
	if err != nil {
		e.bad("store", "", "%v", err)
		return
	}
	live := map[string]bool{}
	for _, r := range running {
		live[r.ID] = true
	}
	left := 0
	for _, w := range runs {
		id := filepath.Base(filepath.Dir(w))
		if live[id] {
			continue
		}
		r, err := s.Run(e.ctx, id)
		if err == nil && cfg.KeepWorkspace == "failed" && r.State != "succeeded" {
			continue
		}
		left++
	}
	if left > 0 {
		e.warn("workspaces", "quire gc", "%d workspaces of finished runs could not be deleted", left)
	}
}
