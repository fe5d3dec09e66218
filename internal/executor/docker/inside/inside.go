// Package inside is the part of the docker executor that works in the
// container: the process that keeps it alive, and the one that each command
// runs under. It needs nothing in the image: it is a static program that is
// mounted, or copied, into the container.
//
// The engine's own exec cannot end what it started, tells 128+n for both a
// signal and a status, and calls a missing program status 126 or 127. So a
// command's request comes by the exec's standard input and its result goes
// out at the end of the standard error:
//
//	→ {"argv":…,"env":…,"dir":…,"stdin":N,…}\n, N bytes of the command's
//	  standard input, and then nothing as long as the command may run; a byte, or
//	  the end of the stream (the supervisor has died), ends the command
//	← the command's own two streams; when no process of it is left,
//	  a mark that only this command has, and {"code":…}
package inside

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/local"
	"quire/internal/executor/procs"
)

// Home is the home directory of a user whom the image does not know: one that
// anybody may write to.
const Home = "/tmp"

// Word is the program's first argument, by which an executable that is more
// than this part knows what it is asked to be.
const Word = "inside"

// Request is a command.
type Request struct {
	Mark  string        `json:"mark"` // stands before the result on the standard error
	Argv  []text        `json:"argv"`
	Env   []text        `json:"env"`   // over the image's own
	Root  text          `json:"root"`  // the workspace
	Dir   text          `json:"dir"`   // as the command gave it
	Stdin int64         `json:"stdin"` // bytes; -1: /dev/null
	Grace time.Duration `json:"grace"`
	RunID string        `json:"run"`
}

// text is a string that need not be Unicode, which strings in JSON must.
type text []byte

// Texts makes the strings of a request.
func Texts(all []string) []text {
	out := make([]text, len(all))
	for i, s := range all {
		out[i] = text(s)
	}
	return out
}

func plain(all []text) []string {
	out := make([]string, len(all))
	for i, s := range all {
		out[i] = string(s)
	}
	return out
}

// Result is how a command ended.
type Result struct {
	Code   int    `json:"code"`
	Signal string `json:"signal,omitempty"`
	Limit  string `json:"limit,omitempty"`
	Fault  string `json:"fault,omitempty"` // it could not be run, or not be ended
}

// Main is the program: "inside pause" or "inside exec". It returns the exit
// status.
func Main(args []string) int {
	switch {
	case len(args) == 2 && args[0] == Word && args[1] == "pause":
		pause()
		return 0
	case len(args) == 2 && args[0] == Word && args[1] == "exec":
		if err := serve(os.Stdin, os.Stdout, os.Stderr); err != nil {
			fmt.Fprintln(os.Stderr, "quire inside:", err)
			return 125
		}
		return 0
	}
	fmt.Fprintln(os.Stderr, "usage: inside pause|exec (for quire's own use, in containers)")
	return 2
}

// pause waits to be told to stop. Signals without a handler do not reach the
// first process of a container, so they have one.
func pause() {
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	<-stop
}

var errTold = errors.New("told to end")

func serve(control, stdout, stderr *os.File) error {
	in := bufio.NewReader(control)
	line, err := in.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	var r Request
	if err := json.Unmarshal(line, &r); err != nil {
		return fmt.Errorf("reading the request: %w", err)
	}
	var stdin []byte
	if r.Stdin >= 0 {
		stdin = make([]byte, r.Stdin)
		if _, err := io.ReadFull(in, stdin); err != nil {
			return fmt.Errorf("reading the command's standard input: %w", err)
		}
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	go func() { // ends with this process
		in.ReadByte()
		cancel(errTold)
	}()
	// Whoever kills everything by SIGTERM means the command, and this process has
	// to outlive it. Heard and not ignored: a command would inherit that.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGTERM, syscall.SIGHUP, syscall.SIGINT, syscall.SIGPIPE)
	reserve(spareThreads)
	b, err := json.Marshal(r.run(ctx, stdin, stdout, stderr))
	if err != nil {
		return err
	}
	_, err = stderr.Write(append(append([]byte(r.Mark), b...), '\n'))
	return err
}

// spareThreads is how many threads serve needs at once beside those that it has
// when it begins: for the command's streams, its end, and the clock.
const spareThreads = 6

// reserve makes n threads and lets them rest. A command that uses up the
// container's process limit leaves none to be made later, and a Go program that
// cannot make a thread dies (runtime.newosproc).
func reserve(n int) {
	var there, gone sync.WaitGroup
	there.Add(n)
	release := make(chan struct{})
	for range n {
		gone.Go(func() {
			runtime.LockOSThread() // held while blocked, so each has a thread of its own
			defer runtime.UnlockOSThread()
			there.Done()
			<-release
		})
	}
	there.Wait()
	close(release)
	gone.Wait()
}

func (r Request) run(ctx context.Context, stdin []byte, stdout, stderr *os.File) Result {
	exit, err := r.exec(ctx, stdin, stdout, stderr)
	result := Result{Code: exit.Code, Signal: exit.Signal, Limit: exit.Limit}
	if err != nil && !errors.Is(err, errTold) {
		result.Fault = err.Error()
	}
	return result
}

func (r Request) exec(ctx context.Context, stdin []byte, stdout, stderr *os.File) (executor.Exit, error) {
	if err := procs.Supervise(r.RunID); err != nil {
		return executor.Exit{}, err
	}
	env := local.Env(append(imageEnv(), plain(r.Env)...), r.RunID)
	argv := plain(r.Argv)
	at, err := local.View(local.Machine).Find(ctx, executor.Command{Argv: argv, Dir: string(r.Dir)}, string(r.Root), env)
	if errors.Is(err, errTold) {
		return local.NotBegun(false), err // whoever told knows what for
	}
	if err != nil {
		return executor.Exit{}, err
	}
	runner := local.Runner{RunID: r.RunID, Grace: r.Grace, Limits: procs.Around()}
	return runner.RunOn(ctx, local.Program{Path: at.Path, Argv: argv, Env: env, Dir: at.Dir, Stdin: stdin}, stdout, stderr)
}

// imageEnv is the environment that the image and the engine give.
func imageEnv() []string {
	var env []string
	for _, e := range os.Environ() {
		if !strings.HasPrefix(e, procs.EnvExec+"=") {
			env = append(env, e)
		}
	}
	return env
}
