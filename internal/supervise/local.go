package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/jobfile"
	"quire/internal/runlog"
	"quire/pipeline"
)

// LocalOptions say what Local runs.
type LocalOptions struct {
	Dir string    // anywhere in a checkout
	Out io.Writer // gets the report as it grows
	// Keep leaves the logs where Outcome's caller finds them; see Local.
	Keep bool
}

// Local runs the pipeline of a checkout as it lies there, uncommitted changes
// included, with the checkout as the workspace: `quire run`. It is the same
// work as a pushed run's, without a store, and nothing is mirrored. logs is
// where the run's files are, "" unless they were kept: they are if the run did
// not succeed, or with Keep.
//
// ctx's end stops the run, whose state is then canceled. An error means that
// there is nothing to run.
func Local(ctx context.Context, cfg *config.Config, o LocalOptions) (out runlog.Outcome, logs string, err error) {
	r, top, err := checkout(context.WithoutCancel(ctx), o.Dir) // an end of ctx is the end of the run, not an error
	if err != nil {
		return out, "", err
	}
	if _, err := os.Stat(filepath.Join(top, PipelineFile)); err != nil {
		return out, "", fmt.Errorf("there is no %s in %s", PipelineFile, top)
	}
	dir, err := os.MkdirTemp("", "quire-run-")
	if err != nil {
		return out, "", fmt.Errorf("run here: %w", err)
	}
	s := newSupervision(cfg, r, runlog.Dir(dir))
	s.local, s.workspace, s.echo = true, top, o.Out
	s.die = func() { os.Exit(1) }
	runCtx, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	s.stop = newStopper(cancel)
	forget := context.AfterFunc(ctx, func() { s.stop.ask(&stopped{state: event.RunCanceled, reason: "interrupted"}) })
	defer forget()
	s.supervise(runCtx)
	tidy, done := context.WithTimeout(context.WithoutCancel(ctx), removing)
	defer done()
	if o.Keep || s.final.State != event.RunSucceeded {
		return s.final, dir, jobfile.Remove(tidy, s.dir.Scratch())
	}
	return s.final, "", jobfile.Remove(tidy, dir)
}

// checkout describes the run that pushing HEAD would make.
func checkout(ctx context.Context, dir string) (r event.Run, top string, err error) {
	ask := func(args ...string) (string, error) {
		cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...)
		out, err := cmd.Output()
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			return "", errors.New(strings.TrimSpace(string(ee.Stderr)))
		}
		return strings.TrimSuffix(string(out), "\n"), err
	}
	if top, err = ask("rev-parse", "--show-toplevel"); err != nil {
		return r, "", fmt.Errorf("run here: %s is in no checkout: %w", dir, err)
	}
	if r.GitDir, err = ask("rev-parse", "--path-format=absolute", "--git-common-dir"); err != nil {
		return r, "", fmt.Errorf("run here: %w", err)
	}
	if r.New, err = ask("rev-parse", "--verify", "--quiet", "HEAD^{commit}"); err != nil {
		return r, "", errors.New("run here: there is no commit yet; make one first")
	}
	if r.Ref, err = ask("symbolic-ref", "--quiet", "HEAD"); err != nil {
		r.Ref = "refs/heads/HEAD" // detached: no branch would be pushed
	}
	// What a push would move from, if it is known.
	if r.Old, err = ask("rev-parse", "--verify", "--quiet", "@{upstream}^{commit}"); err != nil {
		r.Old = strings.Repeat("0", len(r.New))
	}
	if r.Pusher, err = ask("config", "user.name"); err != nil || r.Pusher == "" {
		r.Pusher = os.Getenv("USER")
	}
	now := time.Now()
	r.ID, r.PushedAt, r.QueuedAt, r.StartedAt, r.State = event.NewID(now), now, now, now, event.RunRunning
	return r, top, nil
}

// maxLib bounds the modules of a work tree together, in bytes.
const maxLib = 64 << 20

// sourceIn is the pipeline of a work tree, with the modules beside it. They are read
// now and not when they are asked for: a job may change what lies there.
func sourceIn(ctx context.Context, top string) (pipeline.Source, error) {
	root, err := jobfile.OpenRoot(ctx, top)
	if err != nil {
		return pipeline.Source{}, err
	}
	defer root.Close()
	text, err := root.ReadFile(ctx, PipelineFile, gitrepo.MaxFile)
	if err != nil {
		return pipeline.Source{}, fmt.Errorf("read %s: %w", PipelineFile, err)
	}
	type module struct {
		text []byte
		err  error // whoever requires it is told
	}
	lib := map[string]module{}
	left := int64(maxLib)
	err = root.Walk(ctx, contextDir, checkoutBounds, func(e jobfile.Entry) error {
		if !e.IsRegular() || !strings.HasPrefix(e.Name, "lib/") || !strings.HasSuffix(e.Name, ".fnl") {
			return nil
		}
		name := contextDir + "/" + e.Name
		if limit := min(left, gitrepo.MaxFile); e.Size() > limit {
			lib[name] = module{err: fmt.Errorf("%s has %d bytes; a module may have %d, and all of a checkout %d", name, e.Size(), gitrepo.MaxFile, maxLib)}
			return nil
		}
		left -= e.Size()
		f, err := e.Open(ctx)
		if err != nil {
			return fmt.Errorf("read %s: %w", name, err)
		}
		defer f.Close()
		text, err := io.ReadAll(io.LimitReader(f, gitrepo.MaxFile))
		lib[name] = module{text, err}
		return nil
	})
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return pipeline.Source{}, err
	}
	return pipeline.Source{Name: PipelineFile, Text: text, Lib: func(module string) ([]byte, string, error) {
		for _, file := range pipeline.LibFiles(module) {
			if m, there := lib[file]; there {
				return m.text, file, m.err
			}
		}
		return nil, "", pipeline.ErrNoModule
	}}, nil
}
