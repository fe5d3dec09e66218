package supervise

import (
	"context"
	"io"
	"path/filepath"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/executor"
	"quire/internal/executor/choose"
	"quire/internal/runlog"
	"quire/internal/wall"
	"quire/pipeline"
)

// specOf is what an executor is told of the run before its pipeline is known.
func (s *supervision) specOf(rule config.ExecutorRule) executor.Spec {
	j := s.journal
	return executor.Spec{
		RunID: s.run.ID, GitDir: s.run.GitDir, Workspace: s.workspace, RunDir: string(s.dir), Scratch: s.dir.Scratch(),
		Checkout: s.local, Kept: filepath.Join(s.cfg.StateDir, "sandbox"),
		DefaultImage: rule.Image, AllowImages: s.cfg.Executor.AllowImages, Network: rule.Network, Rootfs: rule.Rootfs,
		Limits: executor.Limits{CPU: s.cfg.Limits.CPU, Memory: int64(s.cfg.Limits.Memory), PIDs: s.cfg.Limits.PIDs},
		Grace:  s.cfg.KillGrace.D(),
		Hidden: hidden(s.cfg, s.run.GitDir),
		Progress: func(text string) {
			j.say(j.report.Progress(j.mask(text)))
		},
		Container: func(started bool, name string) {
			t := event.ContainerStopped
			if started {
				t = event.ContainerStarted
			}
			j.record(event.Record{Type: t, Text: j.mask(name)})
		},
		ServiceLog: s.serviceLog,
	}
}

// hold makes the ground on which the workspace is filled and commands run.
func (s *supervision) hold() (executor.Ground, error) {
	rule, err := wall.Executor(s.cfg, s.run.GitDir)
	if err != nil {
		return nil, err
	}
	g, err := choose.Hold(rule.Use, s.specOf(rule))
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.ground = g
	s.mu.Unlock()
	return g, nil
}

// openExecutor makes the executor that the configuration gives the repository.
func (s *supervision) openExecutor(ctx context.Context, p *pipeline.Pipeline) (executor.Executor, error) {
	rule, err := wall.Executor(s.cfg, s.run.GitDir)
	if err != nil {
		return nil, err
	}
	spec := s.specOf(rule)
	spec.Image, spec.Ground, spec.Context = p.Image.String(), s.ground, s.imageContext(s.standing.commit)
	if rule.Use == "docker" {
		spec.Domains = s.domain().all()
	}
	if spec.Mounts, err = s.caches(ctx, p, rule.Use); err != nil {
		return nil, err
	}
	for _, v := range p.Services {
		spec.Services = append(spec.Services, executor.Service{Name: v.Name.String(), Image: v.Image.String(), Env: appendEnv(nil, v.Env), Ready: v.Ready})
	}
	x, err := s.newExecutor(ctx, rule.Use, spec)
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	s.exec = x
	s.mu.Unlock()
	return x, nil
}

// chooseExecutor is what newExecutor is outside of tests.
func chooseExecutor(ctx context.Context, use string, spec executor.Spec) (executor.Executor, error) {
	return choose.New(ctx, use, spec)
}

// serviceLog is where a service's output goes, redacted.
func (s *supervision) serviceLog(name string) io.WriteCloser {
	log, err := runlog.CreateLog(s.dir.ServiceLog(name), int64(s.cfg.Log.MaxBytes), s.logs)
	if err != nil {
		s.journal.note(err)
		return discard{io.Discard}
	}
	return redactedLog{s.vault.Redactor().Into(log.Stream(runlog.Stdout)), log}
}

type discard struct{ io.Writer }

func (discard) Close() error { return nil }

// redactedLog ends the redaction before the log.
type redactedLog struct {
	io.WriteCloser
	log *runlog.Log
}

func (l redactedLog) Close() error {
	err := l.WriteCloser.Close()
	if cerr := l.log.Close(); err == nil {
		err = cerr
	}
	return err
}

// hidden are the paths that no command may see where that can be had: what is
// quire's, and the repositories beside this one.
func hidden(cfg *config.Config, gitDir string) []string {
	paths := append(cfg.Private(), filepath.Dir(gitDir))
	if real, err := filepath.EvalSymlinks(gitDir); err == nil {
		paths = append(paths, filepath.Dir(real))
	}
	return paths
}
