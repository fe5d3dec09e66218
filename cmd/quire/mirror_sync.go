package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/runner"
	"quire/internal/secret"
	"quire/internal/wall"
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
			out, stderr, bad, n := cmd.OutOrStdout(), cmd.ErrOrStderr(), false, 0
			// One repository that cannot be read keeps no other back.
			failed := func(gitDir, target string, err error) error {
				if len(args) > 0 {
					return err
				}
				bad = true
				_, err = fmt.Fprintf(stderr, "quire: %s%s: %s\n", plain(event.RepoName(gitDir)), plain(target), plain(err.Error()))
				return err
			}
			var errands []errand
			for _, gitDir := range repos {
				if len(args) == 0 && gitrepo.Gone(gitDir) {
					fmt.Fprintf(stderr, "quire: %[1]s is not there any more; take its mirrors off the list with: quire mirror forget %[1]s\n", plain(gitDir))
					continue
				}
				err := runner.Check(gitDir)
				if err != nil {
					err = fmt.Errorf("mirror sync: %w", err)
				}
				var more []errand
				if err == nil {
					more, err = s.errands(ctx, gitDir)
				}
				if err != nil {
					if err := failed(gitDir, "", err); err != nil {
						return err
					}
					continue
				}
				errands = append(errands, more...)
			}
			err = runErrands(ctx, errands, stderr, func(e errand, r mirror.Report, err error) error {
				n++
				if err != nil {
					return failed(e.gitDir, " → "+e.target, err)
				}
				bad = bad || !r.OK()
				if asJSON {
					return printJSON(out, r)
				}
				fmt.Fprintf(out, "%s: %s", plain(event.RepoName(e.gitDir)), r)
				if len(r.Results) == 0 {
					fmt.Fprintln(out, "  in step")
				}
				return nil
			})
			if err != nil {
				return err
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
		return d.mirrored(ctx)
	}
	if _, err := os.Stat(filepath.Join(args[0], "HEAD")); err == nil {
		abs, err := filepath.Abs(args[0])
		if err == nil {
			abs, err = filepath.EvalSymlinks(abs)
		}
		return []string{abs}, err
	}
	dir, err := d.findMirrored(ctx, args[0])
	return []string{dir}, err
}

// syncer brings the mirrors of one repository after another into step.
type syncer struct {
	*desk
	engine  *mirror.Engine
	only    string
	confirm bool
}

// errand is one mirror to bring into step.
type errand struct {
	gitDir, target string
	do             func(context.Context) (mirror.Report, error)
}

// errands are a repository's: the mirrors that the configuration orders, and
// those that pipelines asked for.
func (s *syncer) errands(ctx context.Context, gitDir string) ([]errand, error) {
	var out []errand
	orders := worker.MirrorOrders(s.cfg)
	ordered := map[string]bool{}
	for _, o := range orders {
		t, ok := o.For(gitDir)
		if !ok {
			continue
		}
		ordered[t.URL] = true
		if s.only != "" && s.only != t.Name && s.only != o.Name {
			continue
		}
		o.Target = t
		out = append(out, errand{gitDir, t.Name, func(ctx context.Context) (mirror.Report, error) {
			worker.RetryMirror(s.cfg, gitDir, t.URL)
			return s.engine.Sync(ctx, mirror.SyncRequest{GitDir: gitDir, Order: o, KnownHosts: s.cfg.SSH.KnownHosts,
				Confirmed: s.confirm, Credential: s.credential(gitDir, t)})
		}})
	}
	known, err := s.engine.Status(ctx, gitDir, orders)
	if err != nil {
		return nil, err
	}
	for _, t := range known {
		if ordered[t.URL] || t.Retired != "" || s.only != "" && s.only != t.Target {
			continue
		}
		retries := t.Retries()
		if len(retries) == 0 {
			out = append(out, errand{gitDir, t.Target, func(context.Context) (mirror.Report, error) {
				return mirror.Report{Target: t.Target, URL: t.URL}, nil
			}})
		}
		for _, again := range retries {
			out = append(out, errand{gitDir, t.Target, s.retry(gitDir, again)})
		}
	}
	return out, nil
}

// retry delivers again what a pipeline asked for: with the secret that it named,
// and where the operator lets it push now.
func (s *syncer) retry(gitDir string, again mirror.Retry) func(context.Context) (mirror.Report, error) {
	return func(ctx context.Context) (mirror.Report, error) {
		worker.RetryMirror(s.cfg, gitDir, again.Target.URL)
		w, err := wall.Mirrors(s.cfg, gitDir)
		if err != nil {
			return mirror.Report{}, err
		}
		return s.engine.Deliver(ctx, mirror.Request{GitDir: gitDir, Target: again.Target, Refs: again.Wants, Wall: w,
			KnownHosts: s.cfg.SSH.KnownHosts, Confirmed: s.confirm, Resolve: s.credential(gitDir, again.Target)})
	}
}

// atOnce is how many mirrors are brought into step at once, so that one that is
// slow keeps few others waiting.
const atOnce = 4

// slow is how long a person waits in silence.
const slow = 3 * time.Second

// runErrands runs errands, and shows the report or the error of each in their order.
// What show returns ends it.
func runErrands(ctx context.Context, errands []errand, stderr io.Writer, show func(errand, mirror.Report, error) error) error {
	type outcome struct {
		report mirror.Report
		err    error
	}
	ctx, cancel := context.WithCancel(ctx)
	var working sync.WaitGroup
	defer working.Wait()
	defer cancel()
	next, over := make(chan int), make([]chan outcome, len(errands))
	for i := range over {
		over[i] = make(chan outcome, 1)
	}
	working.Go(func() {
		defer close(next)
		for i := range errands {
			select {
			case next <- i:
			case <-ctx.Done():
				return
			}
		}
	})
	for range min(atOnce, len(errands)) {
		working.Go(func() {
			for i := range next {
				r, err := errands[i].do(ctx)
				over[i] <- outcome{r, err}
			}
		})
	}
	for i, e := range errands {
		quiet := time.NewTimer(slow)
		var o outcome
		for waiting := true; waiting; {
			select {
			case o = <-over[i]:
				waiting = false
			case <-ctx.Done():
				o.err, waiting = context.Cause(ctx), false
			case <-quiet.C:
				if isTerminal(stderr) {
					fmt.Fprintf(stderr, "%s → %s: still at it\n", plain(event.RepoName(e.gitDir)), plain(e.target))
				}
			}
		}
		quiet.Stop()
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if err := show(e, o.report, o.err); err != nil {
			return err
		}
	}
	return nil
}

// credential reveals a mirror's secret when it is needed.
func (s *syncer) credential(gitDir string, t mirror.Target) func(context.Context) (secret.Value, error) {
	return mirror.Resolver(t, func(ctx context.Context, name string) (secret.Value, error) {
		return worker.MirrorSecret(ctx, s.cfg, gitDir, name)
	})
}
