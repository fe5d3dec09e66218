package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sort"
	"sync"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/executor"
	"quire/internal/gitrepo"
	"quire/internal/jobfile"
	"quire/internal/runlog"
	"quire/internal/secret"
	"quire/internal/secret/masked"
	"quire/internal/store"
	"quire/mirror"
	"quire/pipeline"
)

// world is what the run-fns of a run ask for what is outside of them
// (pipeline.Host).
type world struct {
	cfg     *config.Config
	run     event.Run
	commit  string // what run.New names, peeled
	dir     runlog.Dir
	repo    *gitrepo.Repo
	vault   *secret.Vault
	journal *journal
	exec    executor.Executor
	files   *jobfile.Root // the workspace
	keeper  *artifactKeeper
	store   *store.Store
	engine  *mirror.Engine // nil, and store too: mirrors are not pushed from here

	standing *standing

	names []string // that the commit declares

	logs *runlog.Budget // of all commands, jobs and services

	mu       sync.Mutex
	commands int // of all jobs
	mirrored int // calls of mirror of all jobs
	jobs     map[string]*jobState
	revealed map[string]bool // secrets, by name
}

// jobState is what the host keeps of a job.
type jobState struct {
	commands int           // sh calls so far, over all attempts
	failed   masked.Text   // end of the output of the last command, if it failed
	said     []masked.Text // the last lines that the pipeline itself said in this attempt
	remark   masked.Text   // for the job's line in the report
	log      *runlog.Log   // of runtime.log; nil until used
}

// maxCapture is how much of each output sh returns; what a log keeps is another
// matter. A pipeline that wants more writes a file.
const maxCapture = 16 << 20

// with calls f with a job's state, alone.
func (w *world) with(job string, f func(*jobState)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.jobs[job]
	if s == nil {
		s = &jobState{}
		w.jobs[job] = s
	}
	f(s)
}

// Sh runs one command, logs what it says as it says it, and returns the
// beginning of it.
func (w *world) Sh(ctx context.Context, call pipeline.Call, cmd pipeline.Command) (pipeline.Result, error) {
	if err := w.countCommand(); err != nil {
		return pipeline.Result{}, err
	}
	var n int
	w.with(call.Job, func(s *jobState) {
		s.commands++
		n = s.commands
		s.failed = masked.Text{}
	})
	argv, line := cmd.Argv, commandLine(cmd)
	recorded := recordedLine(w.vault.Redactor(), line)
	if len(argv) == 0 {
		argv = []string{"sh", "-c", cmd.Shell}
	}
	log, err := runlog.CreateLog(w.dir.CommandLog(call.Job, n), int64(w.cfg.Log.MaxBytes), w.logs)
	if err != nil {
		w.journal.note(err)
		log = nil
	}
	red := w.vault.Redactor()
	out, errw := newCapture(red, log, runlog.Stdout), newCapture(red, log, runlog.Stderr)
	row := event.Command{RunID: w.run.ID, Job: call.Job, N: n, Line: recorded, StartedAt: time.Now()}
	w.journal.command(row)
	w.journal.record(event.Record{Type: event.ShStarted, Job: call.Job, Attempt: call.Attempt, Sh: n, Cmd: recorded})

	timeout := cmd.Timeout
	if wall := w.cfg.Limits.Wall.D(); wall > 0 && (timeout == 0 || wall < timeout) {
		timeout = wall
	}
	exit, err := w.exec.Exec(ctx, executor.Command{
		Argv: argv, Env: w.environment(call, cmd), Dir: cmd.Dir, Stdin: cmd.Stdin, Timeout: timeout, Image: call.Image.String(),
	}, out, errw)
	out.end()
	errw.end()
	row.FinishedAt, row.Duration = time.Now(), time.Since(row.StartedAt)
	row.Exit, row.Signal = exit.Code, exit.Signal
	var reason masked.Text
	if err != nil {
		reason = w.journal.mask(err.Error())
	}
	if log != nil {
		if !reason.IsZero() {
			log.Note(reason)
		}
		if cerr := log.Close(); cerr != nil {
			w.journal.note(cerr)
			w.journal.say(w.journal.report.Warning(masked.Format("the log of %s, command %d, is incomplete: %s",
				w.journal.mask(call.Job), masked.Int(n), w.journal.mask(cerr.Error()))))
		}
	}
	w.journal.command(row)
	w.journal.record(event.Record{Type: event.ShFinished, Job: call.Job, Attempt: call.Attempt, Sh: n, Exit: &exit.Code,
		Signal: exit.Signal, Reason: reason, DurationMS: row.Duration.Milliseconds()})
	if err != nil || exit.Code != 0 {
		w.with(call.Job, func(s *jobState) { s.failed = w.journal.mask(tailOf(out, errw)) })
	}
	if err != nil {
		return pipeline.Result{}, err
	}
	return pipeline.Result{
		Exit: exit.Code, Signal: exit.Signal, Stdout: out.bytes(), Stderr: errw.bytes(), Cmd: line,
		TimedOut: exit.TimedOut, Limit: exit.Limit, Truncated: out.truncated || errw.truncated,
	}, nil
}

// countCommand counts one command more, each of which is a row of the store and a
// file. What is too much is an error in the job.
func (w *world) countCommand() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.commands >= w.cfg.Limits.Commands {
		return fmt.Errorf("the run has run %d commands, and may run no more ([limits] commands)", w.commands)
	}
	w.commands++
	return nil
}

// environment is a command's whole environment: what the operator passes on,
// what quire says of the run, what the job and then the call set.
func (w *world) environment(call pipeline.Call, cmd pipeline.Command) []string {
	var env []string
	for _, name := range w.cfg.Env.Pass {
		if v, ok := os.LookupEnv(name); ok && w.cfg.Env.Set[name] == "" {
			env = append(env, name+"="+v)
		}
	}
	env = appendEnv(env, w.cfg.Env.Set)
	env = append(env, "CI=true", "QUIRE=true", "QUIRE_RUN="+w.run.ID, "QUIRE_JOB="+call.Job,
		"QUIRE_REPO="+event.RepoName(w.run.GitDir), "QUIRE_REF="+w.run.Ref, "QUIRE_SHA="+w.commit)
	if b := w.run.Branch(); b != "" {
		env = append(env, "QUIRE_BRANCH="+b)
	}
	if t := w.run.Tag(); t != "" {
		env = append(env, "QUIRE_TAG="+t)
	}
	return appendEnv(appendEnv(env, call.Env), cmd.Env)
}

func appendEnv(env []string, more map[string]string) []string {
	names := make([]string, 0, len(more))
	for n := range more {
		names = append(names, n)
	}
	sort.Strings(names)
	for _, n := range names {
		env = append(env, n+"="+more[n])
	}
	return env
}

// Secret reveals a secret to a job.
func (w *world) Secret(ctx context.Context, call pipeline.Call, name string) (string, error) {
	v, err := w.vault.Reveal(ctx, name, w.scope(call, name))
	if err != nil {
		return "", err
	}
	w.warnOfPublished(name, v)
	return v.Reveal(), nil
}

// scope is who asks for the secret called name. How the run's commit stands
// beside the default branch costs a look at trees, and few secrets want to know.
func (w *world) scope(call pipeline.Call, name string) secret.Scope {
	sc := secret.Scope{GitDir: w.run.GitDir, Ref: w.run.Ref, Pusher: w.run.Pusher, Job: call.Job}
	if d := w.cfg.Secrets[name]; d.Protect != config.Unprotected {
		sc.Unlike = w.standing.unlike(d)
		sc.Protected = sc.Unlike == ""
	}
	return sc
}

// Env is a variable of the operator's allow list.
func (w *world) Env(name string) (string, bool) {
	if v, ok := w.cfg.Env.Set[name]; ok {
		return v, true
	}
	for _, pass := range w.cfg.Env.Pass {
		if pass == name {
			return os.LookupEnv(name)
		}
	}
	return "", false
}

// Mask takes the run's secrets out of a text.
func (w *world) Mask(text string) secret.Masked { return w.journal.mask(text) }

// Log adds lines to the job's own log. What is too long for an event stands in the
// log whole.
func (w *world) Log(call pipeline.Call, message string) {
	red := w.vault.Redactor()
	w.with(call.Job, func(s *jobState) {
		if s.log == nil {
			log, err := runlog.CreateLog(w.dir.JobLog(call.Job), int64(w.cfg.Log.MaxBytes), w.logs)
			if err != nil {
				w.journal.note(err)
				return
			}
			s.log = log
		}
		lines := red.Into(s.log.Stream(runlog.Stdout))
		io.WriteString(lines, message) // a log takes everything; its Close tells
		lines.Flush()
		io.WriteString(lines, "\n")
	})
	text := red.Mask(message)
	w.with(call.Job, func(s *jobState) {
		s.said = append(s.said, text.LastLines(saidLines)...)
		s.said = s.said[max(0, len(s.said)-saidLines):]
	})
	w.journal.record(event.Record{Type: event.Logged, Job: call.Job, Attempt: call.Attempt, Text: text.Cut(event.MaxText)})
}

// saidLines is how many lines that the pipeline itself said are shown of a job that
// failed. They take room of its last command's.
const saidLines = 8

// failedOutput is what a report shows of a job that failed: the end of what the
// pipeline said, and of what its last command said, if that failed.
func (w *world) failedOutput(job string) (tail masked.Text) {
	w.with(job, func(s *jobState) {
		lines := append(s.said, s.failed.LastLines(runlog.MaxTail-len(s.said))...)
		tail = masked.Join(lines, "\n")
		s.failed, s.said = masked.Text{}, nil
	})
	return tail
}

// close ends the jobs' logs.
func (w *world) close() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	var errs []error
	for _, s := range w.jobs {
		if s.log != nil {
			errs = append(errs, s.log.Close())
			s.log = nil
		}
	}
	if w.files != nil {
		errs = append(errs, w.files.Close())
	}
	return errors.Join(errs...)
}

// remark sets what stands behind a job's time in the report.
func (w *world) remark(job, text string) {
	remark := w.journal.mask(text)
	w.with(job, func(s *jobState) { s.remark = remark })
}

// takeRemark is what a job's host calls have to say for its line in the report.
func (w *world) takeRemark(job string) (remark masked.Text) {
	w.with(job, func(s *jobState) { remark, s.remark = s.remark, masked.Text{} })
	return remark
}
