package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"

	"github.com/spf13/cobra"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/worker"
	"quire/mirror"
)

func newMirrorSyncCommand() *cobra.Command {
	var asJSON, confirm bool
	var only string
	cmd := &cobra.Command{
		Use:   "sync [REPO]",
		Short: "Bring mirrors into step with the repository as it is now",
		Long: `Bring mirrors into step with the repository as it is now, under the same rules as
a push: what somebody else moved there stays, and only what quire made there is
deleted. For a mirror that a pipeline orders (ci.mirror), what it wanted last is
tried again.

REPO is a repository's name or path; without it, all that quire knows.
Exit status 1 if something did not get there.`,
		Example:           "  quire mirror sync project\n  quire mirror sync --mirror github.com --confirm /srv/git/project.git",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRepositories,
		RunE: func(cmd *cobra.Command, args []string) error {
			ctx := cmd.Context()
			d, err := openDesk(ctx)
			if err != nil {
				return err
			}
			defer d.Close()
			repos, err := d.repositories(ctx, args)
			if err != nil {
				return err
			}
			s := syncer{desk: d, only: only, confirm: confirm}
			if s.engine, err = d.mirrors(); err != nil {
				return err
			}
			out, bad, n := cmd.OutOrStdout(), false, 0
			for _, gitDir := range repos {
				reports, err := s.sync(ctx, gitDir)
				for _, r := range reports {
					n++
					bad = bad || !r.OK()
					if asJSON {
						if err := printJSON(out, r); err != nil {
							return err
						}
						continue
					}
					fmt.Fprintf(out, "%s: %s", plain(event.RepoName(gitDir)), r)
					if len(r.Results) == 0 {
						fmt.Fprintln(out, "  in step")
					}
				}
				if err != nil {
					return err
				}
			}
			if n == 0 && !asJSON {
				fmt.Fprintln(out, "there is no mirror to bring into step")
			}
			if bad {
				return errFailed
			}
			return nil
		},
	}
	f := cmd.Flags()
	f.BoolVar(&asJSON, "json", false, "print one JSON object a mirror")
	f.BoolVar(&confirm, "confirm", false, "delete there also more than half of the refs")
	f.StringVar(&only, "mirror", "", "only the mirror of this `NAME`")
	return cmd
}

// repositories are those a person named, or all that are known. One that was
// not pushed to yet is named by its path.
func (d *desk) repositories(ctx context.Context, args []string) ([]string, error) {
	if len(args) == 0 {
		return d.store.Repositories(ctx)
	}
	if _, err := os.Stat(filepath.Join(args[0], "HEAD")); err == nil {
		abs, err := filepath.Abs(args[0])
		if err == nil {
			abs, err = filepath.EvalSymlinks(abs)
		}
		return []string{abs}, err
	}
	dir, err := d.findRepository(ctx, args[0])
	return []string{dir}, err
}

// syncer brings the mirrors of one repository after another into step.
type syncer struct {
	*desk
	engine  *mirror.Engine
	only    string
	confirm bool
}

func (s *syncer) sync(ctx context.Context, gitDir string) ([]mirror.Report, error) {
	var reports []mirror.Report
	ordered := map[string]bool{}
	for _, o := range worker.MirrorOrders(s.cfg) {
		t, ok := o.For(gitDir)
		if !ok {
			continue
		}
		ordered[t.URL] = true
		if s.only != "" && s.only != t.Name && s.only != o.Name {
			continue
		}
		o.Target = t
		r, err := s.engine.Sync(ctx, mirror.SyncRequest{GitDir: gitDir, Order: o, KnownHosts: s.cfg.SSH.KnownHosts,
			Confirmed: s.confirm, Credential: s.credential(gitDir, t)})
		if err != nil {
			return reports, err
		}
		reports = append(reports, r)
	}
	known, err := s.engine.Status(ctx, gitDir, worker.MirrorOrders(s.cfg))
	if err != nil {
		return reports, err
	}
	for _, t := range known {
		if ordered[t.URL] || t.Retired != "" || s.only != "" && s.only != t.Target {
			continue
		}
		var refs []mirror.Want
		for _, r := range t.Refs {
			if r.Drift {
				refs = append(refs, mirror.Want{Ref: r.Ref, OID: r.Want})
			}
		}
		r := mirror.Report{Target: t.Target, URL: t.URL}
		if len(refs) > 0 {
			r, err = s.engine.Deliver(ctx, mirror.Request{GitDir: gitDir, Refs: refs, KnownHosts: s.cfg.SSH.KnownHosts, Confirmed: s.confirm,
				Target: t.Again(), Resolve: s.credential(gitDir, t.Again())})
			if err != nil {
				return reports, err
			}
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// credential reveals a mirror's secret when it is needed.
func (s *syncer) credential(gitDir string, t mirror.Target) func(context.Context) (secret.Value, error) {
	return mirror.Resolver(t, func(ctx context.Context, name string) (secret.Value, error) {
		return worker.MirrorSecret(ctx, s.cfg, gitDir, name)
	})
}
