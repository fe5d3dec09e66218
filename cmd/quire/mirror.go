package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/store"
	"quire/internal/worker"
	"quire/mirror"
)

func newMirrorCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "mirror",
		Short: "Look at mirrors, bring them into step, pin SSH servers",
		Example: `  quire mirror status
  quire mirror sync project
  quire mirror trust git.example.org:2222`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	cmd.AddCommand(newMirrorStatusCommand(), newMirrorSyncCommand(), newMirrorTrustCommand())
	return cmd
}

func newMirrorStatusCommand() *cobra.Command {
	var asJSON, all bool
	cmd := &cobra.Command{
		Use:   "status [REPO]",
		Short: "Show what is wanted at each mirror, what is there, and what is owed",
		Long: `Show what is wanted at each mirror, what is there, and what is owed, from what
quire has recorded: no remote is asked (the worker looks at each once a day).

Exit status 1 if anything is not as it is wanted.`,
		Example:           "  quire mirror status\n  quire mirror status --all project\n  quire mirror status --json | jq -r 'select(.refs[].drift) | .url'",
		Args:              cobra.MaximumNArgs(1),
		ValidArgsFunction: completeRepositories,
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDesk(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			gitDir := ""
			if len(args) > 0 {
				if gitDir, err = d.findRepository(cmd.Context(), args[0]); err != nil {
					return err
				}
			}
			e, err := d.mirrors()
			if err != nil {
				return err
			}
			list, err := e.Status(cmd.Context(), gitDir)
			if err != nil {
				return err
			}
			out := cmd.OutOrStdout()
			for _, s := range list {
				if asJSON {
					err = printJSON(out, s)
				} else {
					err = printMirror(out, s, all, time.Now())
				}
				if err != nil {
					return err
				}
			}
			if len(list) == 0 && !asJSON {
				fmt.Fprintln(out, "nothing has been mirrored yet")
			}
			if slices.ContainsFunc(list, mirror.TargetStatus.Drift) {
				return errFailed
			}
			return nil
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object a mirror")
	cmd.Flags().BoolVar(&all, "all", false, "list also the refs that are as they should be")
	return cmd
}

// mirrors is the engine on this state directory.
func (d *desk) mirrors() (*mirror.Engine, error) {
	return mirror.New(d.store, filepath.Join(d.cfg.StateDir, "locks"))
}

// completeRepositories offers the repositories that were pushed to.
func completeRepositories(cmd *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	if len(args) > 0 {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	d, err := openDesk(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer d.Close()
	known, err := d.store.Repositories(cmd.Context())
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var names []string
	for _, dir := range known {
		names = append(names, event.RepoName(dir)+"\t"+dir)
	}
	return names, cobra.ShellCompDirectiveDefault
}

// printMirror shows one mirror: a line for itself, and one for each ref that is
// not in step (with all, for every ref).
func printMirror(w io.Writer, s mirror.TargetStatus, all bool, now time.Time) error {
	p := paletteFor(w)
	behind := 0
	var c columns
	c.colour = func(_, col int, cell string) string {
		if col == 1 {
			return p.state(cell)
		}
		return cell
	}
	for _, r := range s.Refs {
		if r.Drift {
			behind++
		} else if !all {
			continue
		}
		want, there := event.ShortOID(r.Want), event.ShortOID(r.There)
		if event.IsZero(r.Want) {
			want = "deleted"
		}
		lag, next := "-", ""
		if r.Drift {
			lag = took(r.Lag)
		}
		if !r.NextAt.IsZero() {
			next = "next try " + r.NextAt.Local().Format("15:04:05")
		}
		why := plain(r.Error)
		if r.Class != "" && r.State != store.DeliveryDiverged {
			why = string(r.Class) + ": " + why
		}
		c.add("  "+plain(event.ShortRef(r.Ref)), string(r.State), "want "+want, "there "+orNone(there), lag, next, why)
	}
	state := "in step"
	if behind > 0 {
		state = p.paint(red, fmt.Sprintf("%d of %d refs not in step", behind, len(s.Refs)))
	} else if len(s.Refs) > 0 {
		state = p.paint(green, fmt.Sprintf("%d refs in step", len(s.Refs)))
	}
	fmt.Fprintf(w, "%s → %s  %s", plain(event.RepoName(s.GitDir)), plain(s.Target), state)
	if !s.Checked.IsZero() {
		fmt.Fprintf(w, ", looked at %s", ago(s.Checked, now))
	}
	fmt.Fprintln(w)
	if !s.Expires.IsZero() {
		word := "ends"
		if s.Expires.Before(now) {
			word = "ended"
		}
		line := fmt.Sprintf("  secret %s %s on %s", s.Secret, word, s.Expires.Format(time.DateOnly))
		if s.Expires.Sub(now) < 14*24*time.Hour {
			line = p.paint(yellow, line)
		}
		fmt.Fprintln(w, line)
	}
	return c.print(w)
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}

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
			Confirmed: s.confirm, Credential: s.credential(gitDir, t.Secret)})
		if err != nil {
			return reports, err
		}
		reports = append(reports, r)
	}
	known, err := s.engine.Status(ctx, gitDir)
	if err != nil {
		return reports, err
	}
	for _, t := range known {
		if ordered[t.URL] || s.only != "" && s.only != t.Target {
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
				Target: t.Again(), Resolve: s.credential(gitDir, t.Secret)})
			if err != nil {
				return reports, err
			}
		}
		reports = append(reports, r)
	}
	return reports, nil
}

// credential reveals a mirror's secret when it is needed.
func (s *syncer) credential(gitDir, name string) func(context.Context) (secret.Value, error) {
	if name == "" {
		return nil
	}
	return func(ctx context.Context) (secret.Value, error) {
		return worker.MirrorSecret(ctx, s.cfg, gitDir, name)
	}
}

func newMirrorTrustCommand() *cobra.Command {
	var fingerprint string
	cmd := &cobra.Command{
		Use:   "trust HOST[:PORT]",
		Short: "Pin the host keys of an SSH server that mirrors go to",
		Long: `Ask an SSH server for its host keys, show their fingerprints, and pin them once
you say that they are right. Compare them with what the server's operator
publishes (GitHub, GitLab and Codeberg do). Pins of the same host that were made
before are replaced.

With --fingerprint nothing is asked: the key of that fingerprint is pinned, and
no other.`,
		Example: "  quire mirror trust github.com\n  quire mirror trust --fingerprint SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU github.com",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			d, err := openDesk(cmd.Context())
			if err != nil {
				return err
			}
			defer d.Close()
			e, err := d.mirrors()
			if err != nil {
				return err
			}
			keys, err := mirror.ScanHost(cmd.Context(), args[0])
			if err != nil {
				return err
			}
			if keys, err = chooseKeys(cmd, keys, fingerprint); err != nil {
				return err
			}
			if err := e.Trust(keys); err != nil {
				return err
			}
			fmt.Fprintf(cmd.OutOrStdout(), "pinned %d host keys of %s; refused mirrors go on with: quire mirror sync\n", len(keys), args[0])
			return nil
		},
	}
	cmd.Flags().StringVar(&fingerprint, "fingerprint", "", "pin the key of this `FINGERPRINT` (SHA256:…) without asking")
	return cmd
}

// chooseKeys shows the keys and has a person say whether they are right.
func chooseKeys(cmd *cobra.Command, keys []mirror.HostKey, fingerprint string) ([]mirror.HostKey, error) {
	out := cmd.OutOrStdout()
	for _, k := range keys {
		fmt.Fprintf(out, "%s  %s  %s\n", k.Host, k.Type, k.Fingerprint)
	}
	if fingerprint != "" {
		for _, k := range keys {
			if k.Fingerprint == fingerprint {
				return []mirror.HostKey{k}, nil
			}
		}
		return nil, failedError{error: fmt.Errorf("none of the server's keys has the fingerprint %s: nothing was pinned", fingerprint)}
	}
	if !term.IsTerminal(int(os.Stdin.Fd())) {
		return nil, usageError{errors.New("nobody is there to say whether this is right: give --fingerprint")}
	}
	fmt.Fprint(out, "Are these the server's keys? Type yes to pin them: ")
	answer, err := bufio.NewReader(cmd.InOrStdin()).ReadString('\n')
	if err != nil || strings.TrimSpace(answer) != "yes" {
		return nil, failedError{error: errors.New("nothing was pinned")}
	}
	return keys, nil
}
