package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"syscall"

	"quire/hooks"
	"quire/internal/config"
	"quire/internal/intake"
	"quire/internal/runner"
	"quire/internal/spool"
	"quire/internal/worker"
)

// listen takes in pushes of other users until ctx ends. socket is the path to
// listen on; with "" systemd passes the socket on, and the listener leaves when
// nobody has pushed for a while and the worker has left: systemd starts it again.
func listen(ctx context.Context, cfg *config.Config, socket string) error {
	idle := cfg.Linger.D()
	l, err := passedOn()
	if err != nil {
		return err
	}
	if l == nil {
		if socket == "" {
			return usageError{errors.New("--listen: systemd passes no socket on; name one: quire worker --listen --socket /run/quire/git.sock")}
		}
		idle = 0
		if l, err = listenAt(socket); err != nil {
			return err
		}
	}
	defer l.Close()
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	s := &intake.Server{
		Check: intake.Checker{Runs: mine},
		Spool: spool.Dir(cfg.StateDir),
		// What a worker says that cannot start goes to worker.log, which doctor reads.
		Started: func() error { return startWorker(cfg) },
		// systemd ends all processes of a service when the first one has left.
		Busy: func() bool { return worker.Running(cfg) },
		Report: func(ctx context.Context, id string, w io.Writer) error {
			_, err := hooks.Report{StateDir: cfg.StateDir, PushID: id}.Follow(ctx, w, 0)
			return err
		},
		Stall: cfg.Hook.StallLimit.D(),
		Log:   log,
	}
	return s.Serve(ctx, l, idle)
}

// mine reports whether this user is the runner of a repository that has said so:
// of one without a record, a listener takes nothing in.
func mine(gitDir string) (bool, error) {
	r, err := runner.Of(gitDir)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	return err == nil && r.Recorded && !r.Off && r.UID == os.Geteuid(), err
}

// firstPassedOn is the descriptor of the first socket that systemd passes on
// (sd_listen_fds(3)).
const firstPassedOn = 3

// passedOn is the socket that systemd has opened for this process; nil if it has
// opened none.
func passedOn() (*net.UnixListener, error) {
	if os.Getenv("LISTEN_PID") != strconv.Itoa(os.Getpid()) {
		return nil, nil
	}
	if n := os.Getenv("LISTEN_FDS"); n != "1" {
		return nil, fmt.Errorf("systemd passes %s sockets on, and quire listens on one", n)
	}
	syscall.CloseOnExec(firstPassedOn)
	f := os.NewFile(firstPassedOn, "the socket that systemd passes on")
	defer f.Close()
	l, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("the socket that systemd passes on: %w", err)
	}
	u, ok := l.(*net.UnixListener)
	if !ok {
		l.Close()
		return nil, errors.New("the socket that systemd passes on is no Unix socket")
	}
	return u, nil
}

// listenAt listens on a path. A socket that nobody listens on any more is taken
// over; anything else that is there is left alone.
func listenAt(path string) (*net.UnixListener, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	if st, err := os.Lstat(path); err == nil {
		if st.Mode()&fs.ModeSocket == 0 {
			return nil, fmt.Errorf("listen: %s is there and is no socket", path)
		}
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return nil, fmt.Errorf("listen: somebody listens on %s already", path)
		}
		if err := os.Remove(path); err != nil {
			return nil, fmt.Errorf("listen: %w", err)
		}
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	// Whoever may push must reach it; who it is the kernel says.
	if err := os.Chmod(path, 0o666); err != nil {
		l.Close()
		return nil, fmt.Errorf("listen: %w", err)
	}
	return l, nil
}
