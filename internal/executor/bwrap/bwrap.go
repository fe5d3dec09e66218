// Package bwrap runs a job's commands in a bubblewrap sandbox
// (github.com/containers/bubblewrap): the machine's programs read-only, the
// workspace writable, and of everything else nothing in sight.
//
// What is in sight is a list of what is shown, not of what is hidden: a secret
// that nobody thought of is not there either.
package bwrap

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/local"
	"quire/internal/executor/procs"

	"golang.org/x/sys/unix"
)

type sandbox struct {
	run       *local.Runner
	prepared  chan struct{} // closed when what takes long is ready, or has failed
	failed    error
	hidden    []string // besides what spec names; once prepared
	spec      executor.Spec
	bwrap     string // the program
	can       powers
	filter    []byte // of system calls, as bwrap reads it; nil: there is none
	private   string // directory of this run's own /tmp, homes and /etc
	overRoot  string // rootfs: where its throw-away copy is mounted, in each command's own namespace
	repo      *local.Repository
	networked bool

	base layout        // without a home directory, and what is hidden
	kept *keptSettings // nil: none is used; once prepared
	own  bool          // /etc is a copy of the run's own

	mu      sync.Mutex
	layouts map[string]planned // by home directory
}

// New makes the executor of one run, or says what to install. It makes this
// process a subreaper.
func New(ctx context.Context, spec executor.Spec) (executor.Executor, error) {
	if err := executor.Check(spec); err != nil {
		return nil, err
	}
	return over(ctx, spec, local.Group(spec))
}

func over(ctx context.Context, spec executor.Spec, group *procs.Cgroup) (_ executor.Executor, err error) {
	run, err := local.NewRunner(spec, group)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			run.Close()
		}
	}()
	program, err := exec.LookPath("bwrap")
	if err != nil {
		return nil, errors.New("the bwrap executor needs bubblewrap, which is not installed: apt-get install bubblewrap (dnf, apk, pacman: the same name)")
	}
	can, err := powersOf(program)
	if err != nil {
		return nil, fmt.Errorf("the bwrap executor: %w", err)
	}
	inside := filter(ways, refused, refusedInside)
	if inside == nil && !can.disableUserns {
		return nil, errors.New("the bwrap executor needs bubblewrap 0.8 or newer on this architecture, for which there is no filter of system calls")
	}
	if inside == nil && spec.Progress != nil {
		spec.Progress("sandbox: on this architecture system calls are not filtered")
	}
	if err := procs.Supervise(spec.RunID); err != nil {
		return nil, err
	}
	s := &sandbox{
		spec:    spec,
		bwrap:   program,
		can:     can,
		filter:  image(inside),
		run:     run,
		private: spec.Scratch,
	}
	if !can.setuid {
		if run.Limits, err = run.Limits.Confine(confine); err != nil {
			return nil, err
		}
	}
	switch spec.Network {
	case "", "none":
	case "host":
		s.networked = true
	default:
		return nil, fmt.Errorf("network %q: the bwrap executor knows \"none\" and \"host\"", spec.Network)
	}
	if err := os.MkdirAll(filepath.Join(s.private, "tmp"), 0o700); err != nil {
		return nil, fmt.Errorf("the sandbox's own directories: %w", err)
	}
	if spec.Rootfs != "" {
		if err := s.rootfs(); err != nil {
			return nil, err
		}
	}
	if s.repo, err = local.ShowRepository(ctx, spec, filepath.Join(s.private, "repository")); err != nil {
		return nil, fmt.Errorf("the sandbox: %w", err)
	}
	base, err := plan(ctx, spec, s.repo, s.networked, s.private)
	if err != nil {
		return nil, fmt.Errorf("the sandbox: %w", err)
	}
	// Before the first command: nobody can put anything in the way yet.
	if _, err := base.anchored(ctx); err != nil {
		return nil, fmt.Errorf("the sandbox: %w", err)
	}
	s.base, s.layouts = base, map[string]planned{}
	s.prepared = make(chan struct{})
	go func() { // Close waits for it
		defer close(s.prepared)
		s.failed = s.prepare()
	}()
	return s, nil
}

// mostGuarded is how many files of a tree are looked at for who may read them.
const mostGuarded = 20_000

// prepare copies the settings and finds what else to hide.
func (s *sandbox) prepare() error {
	if s.spec.Rootfs != "" {
		return nil
	}
	out, err := s.settings("/etc")
	if err != nil {
		return err
	}
	var notes []string
	if len(out) > 0 {
		notes = append(notes, leftOutNote(out))
	}
	if os.Geteuid() == 0 {
		for _, dir := range []string{"/opt", "/usr/local/bin", "/usr/local/sbin", "/usr/local/etc"} {
			found, all := guarded(dir, mostGuarded)
			s.hidden = append(s.hidden, found...)
			if !all {
				notes = append(notes, fmt.Sprintf("sandbox: %s has more than %d files; of the others those that only root may read are shown", dir, mostGuarded))
			}
		}
	}
	if s.spec.Progress != nil {
		for _, n := range notes {
			s.spec.Progress(n)
		}
	}
	return nil
}

// settings has the layout show a copy of a directory of settings: a kept one, or
// one of the run's own. It says what has been left out of it.
func (s *sandbox) settings(dir string) (leftOut []string, err error) {
	if s.spec.Kept != "" {
		// An error here is one of the run's own copy, too, or of no matter.
		if s.kept, _ = keepSettings(s.spec.Kept, dir, s.spec.Hidden, time.Now()); s.kept != nil {
			s.showSettings(dir, s.kept.tree, false)
			return s.kept.leftOut, nil
		}
	}
	return s.ownSettings(dir)
}

// ownSettings has later layouts show a copy of the run's own.
func (s *sandbox) ownSettings(dir string) (leftOut []string, err error) {
	s.own = true
	s.showSettings(dir, settingsDir(s.private), true)
	return copySettings(dir, settingsDir(s.private), s.spec.Hidden)
}

func (s *sandbox) showSettings(dir, source string, ours bool) {
	for i := range s.base {
		if s.base[i].target == dir && s.base[i].kind == readOnly {
			s.base[i].source, s.base[i].ours = source, ours
		}
	}
}

// layout is what a command with this environment sees. Each home directory that
// commands name is one of its own, so that its mount points are the same for all that
// see it (anchor.go).
func (s *sandbox) layout(ctx context.Context, env []string) (planned, error) {
	select {
	case <-s.prepared:
	case <-ctx.Done():
		return planned{}, context.Cause(ctx)
	}
	if s.failed != nil {
		return planned{}, s.failed
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	home, err := s.base.home(env)
	if err != nil && s.kept != nil && !s.own {
		// It may be one in the settings, and nothing is made in what other runs share.
		if _, err := s.ownSettings("/etc"); err != nil {
			return planned{}, err
		}
		home, err = s.base.home(env)
	}
	if err != nil {
		return planned{}, err
	}
	if l, found := s.layouts[home]; found && !l.outdated() {
		return l, nil
	}
	l := slices.Clone(s.base)
	if home != "" {
		own := filepath.Join(s.private, "home", fmt.Sprintf("%x", sha256.Sum256([]byte(home))))
		if err := os.MkdirAll(own, 0o700); err != nil {
			return planned{}, fmt.Errorf("the sandbox's home directory: %w", err)
		}
		l = append(l, mount{target: home, kind: writable, source: own})
	}
	covers, absent := l.covers(slices.Concat(s.spec.Hidden, s.hidden))
	l = append(l, covers...)
	if l, err = l.sorted().anchored(ctx); err != nil {
		return planned{}, fmt.Errorf("the sandbox: %w", err)
	}
	s.layouts[home] = planned{l, absent}
	return s.layouts[home], nil
}

// Exec runs a command in a sandbox of its own. /tmp and the home directory are
// the run's: what one command leaves there the next one finds.
func (s *sandbox) Exec(ctx context.Context, c executor.Command, stdout, stderr io.Writer) (executor.Exit, error) {
	if err := executor.CheckCommand(c); err != nil {
		return executor.Exit{}, err
	}
	if err := s.repo.Refresh(ctx); err != nil {
		return executor.Exit{}, err
	}
	const layouts = 3 // of which something that is hidden may go before bwrap covers it
	for attempt := 1; ; attempt++ {
		plan, err := s.layout(ctx, c.Env)
		if err != nil {
			return executor.Exit{}, err
		}
		exit, err := s.execIn(ctx, plan.layout, c, stdout, stderr)
		var unmade *unmadeError
		if attempt == layouts || !errors.As(err, &unmade) || !plan.outdated() {
			return exit, err
		}
	}
}

// unmadeError: the command was not begun.
type unmadeError struct{ program, why string }

func (e *unmadeError) Error() string {
	return fmt.Sprintf("%s: the sandbox could not be made: %s", e.program, e.why)
}

func (s *sandbox) execIn(ctx context.Context, l layout, c executor.Command, stdout, stderr io.Writer) (executor.Exit, error) {
	view := local.View(l.hold)
	env := local.Env(c.Env, s.run.RunID)
	at, err := view.Find(ctx, c, s.spec.Workspace, env)
	if errors.Is(err, local.ErrLate) {
		return local.NotBegun(true), nil
	}
	if err != nil {
		return executor.Exit{}, err
	}
	if err := loadable(ctx, view, c.Argv[0], at.Path); err != nil {
		return executor.Exit{}, err
	}
	options, err := optionsFile(s.options(l, at.Dir, env))
	if err != nil {
		return executor.Exit{}, err
	}
	defer options.Close()
	told, err := openReport()
	if err != nil {
		return executor.Exit{}, err
	}
	defer told.close()
	files := []*os.File{options, told.end}
	argv := append(s.prefix(), s.bwrap, "--args", "3", "--json-status-fd", "4")
	if s.filter != nil {
		f, err := memoryFile("bwrap filter", s.filter)
		if err != nil {
			return executor.Exit{}, err
		}
		defer f.Close()
		files = append(files, f)
		argv = append(argv, "--seccomp", "5")
	}
	argv = append(argv, "--")
	said := &tail{w: stderr}
	if local.Same(stdout, stderr) {
		stdout = said // one stays one
	}
	exit, err := s.run.Run(ctx, local.Program{
		Path: argv[0],
		Argv: append(argv, c.Argv...),
		// bwrap itself runs outside of the sandbox and must not be steered by
		// the command's environment (LD_PRELOAD), which it is given apart.
		Env:     []string{procs.EnvRun + "=" + s.run.RunID, "PATH=" + local.DefaultPath},
		Dir:     "/",
		Stdin:   c.Stdin,
		Timeout: c.Timeout,
		Files:   files,
		Keeper:  told.keeper,
	}, stdout, said)
	if err == nil && !exit.TimedOut && exit.Signal == "" && !told.ran() {
		return executor.Exit{}, &unmadeError{c.Argv[0], said.lastLine()}
	}
	if exit.Signal == "" && exit.Code > 128 && exit.Code <= 128+64 {
		// bwrap passes on the number and not the fact (bwrap.c, as shells do).
		exit.Signal = local.SignalName(exit.Code - 128)
	}
	return exit, err
}

func (s *sandbox) Close(context.Context) error {
	<-s.prepared
	defer s.kept.close() // commands have it mounted until they are ended
	return s.run.Close()
}

// options are bwrap's own arguments.
func (s *sandbox) options(l layout, dir string, env []string) []string {
	o := []string{
		"--unshare-pid", "--unshare-ipc", "--unshare-uts", "--unshare-cgroup-try",
		"--hostname", "quire",
		"--die-with-parent",
		// As root, a capability would be one over the machine.
		"--cap-drop", "ALL",
		"--clearenv",
	}
	if !s.networked {
		o = append(o, "--unshare-net")
	}
	if !s.can.setuid && userns() {
		// Root's sandbox gets one, too: a command that could make its own would have all
		// capabilities there, and mount the control files of its limits.
		o = append(o, "--unshare-user")
		if s.can.disableUserns {
			o = append(o, "--disable-userns")
		}
	}
	memory := s.memory()
	if s.overRoot == "" {
		o = append(o, memory.small.tmpfs("0755", "/")...)
	}
	for _, m := range l {
		o = append(o, m.option(memory)...)
	}
	// It is in memory, too, and bwrap gives it no size. Devices can be written to.
	o = append(o, "--remount-ro", "/dev")
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		o = append(o, "--setenv", name, value)
	}
	return append(o, "--chdir", dir)
}

// optionsFile is a file in memory with the options. On the command line
// everybody on the machine could read the command's environment.
func optionsFile(options []string) (*os.File, error) {
	for _, o := range options {
		// It ends an option in the file: what follows would be options of its own.
		if strings.IndexByte(o, 0) >= 0 {
			return nil, fmt.Errorf("the sandbox's options: %.60q holds a zero byte", o)
		}
	}
	return memoryFile("bwrap options", []byte(strings.Join(options, "\x00")+"\x00"))
}

// memoryFile is a file in memory, to be read from its start.
func memoryFile(name string, content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	f := os.NewFile(uintptr(fd), name)
	if _, err = f.Write(content); err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return f, nil
}

// tail passes output on and keeps its end.
type tail struct {
	w    io.Writer
	kept []byte
}

func (t *tail) Write(b []byte) (int, error) {
	t.kept = append(t.kept, b[max(0, len(b)-512):]...)
	t.kept = t.kept[max(0, len(t.kept)-512):]
	if t.w == nil {
		return len(b), nil
	}
	return t.w.Write(b)
}

func (t *tail) lastLine() string {
	lines := strings.Split(strings.TrimSpace(string(t.kept)), "\n")
	return strings.TrimPrefix(lines[len(lines)-1], "bwrap: ")
}
