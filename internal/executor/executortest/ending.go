package executortest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/internal/executor"
)

// far begins the length of a sleep that no test waits out, by which it is
// found, and by which two test programs at once do not find each other's.
var far = strconv.Itoa(100_000_000 + os.Getpid())

// ready is a Writer that says when the command has written "ready".
type ready struct {
	mu  sync.Mutex
	got bytes.Buffer
	ok  chan struct{}
}

func newReady() *ready { return &ready{ok: make(chan struct{})} }

func (r *ready) Write(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	before := bytes.Contains(r.got.Bytes(), []byte("ready"))
	r.got.Write(b)
	if !before && bytes.Contains(r.got.Bytes(), []byte("ready")) {
		close(r.ok)
	}
	return len(b), nil
}

var errStopped = errors.New("stopped by the test")

// cancelled starts a script, cancels it when it says ready, and returns what
// came of it.
func (p *place) cancelled(t testing.TB, script string) outcome {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	out := newReady()
	go func() {
		select {
		case <-out.ok:
			cancel(errStopped)
		case <-ctx.Done():
		}
	}()
	exit, err := p.Exec(ctx, executor.Command{Argv: []string{"sh", "-c", script}, Env: []string{"PATH=" + p.traits.Path}}, out, io.Discard)
	return outcome{Exit: exit, out: out.got.String(), fault: err}
}

// nothing fails the test if a process with the mark in its command line is
// left on this machine. Sandboxes and containers here are in sight of it.
func (p *place) nothing(t testing.TB, mark string) {
	t.Helper()
	for _, left := range Marked(t, mark) {
		t.Errorf("left running: %s", left)
	}
}

// Marked lists this machine's processes, zombies apart, that have the mark in
// their command line. It reads the table twice, since a process may fork while
// it is read.
func Marked(t testing.TB, mark string) []string {
	t.Helper()
	var found []string
	for range 2 {
		files, err := filepath.Glob("/proc/[0-9]*/cmdline")
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range files {
			if b, err := os.ReadFile(f); err == nil && bytes.Contains(b, []byte(mark)) {
				found = append(found, filepath.Dir(f)+": "+strings.ReplaceAll(string(b), "\x00", " "))
			}
		}
		if len(found) > 0 {
			break
		}
	}
	return found
}

// zombies fails the test if a child of this process that is called name waits
// to be reaped.
func zombies(t testing.TB, name string) {
	t.Helper()
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err == nil && bytes.Contains(b, []byte("("+name+") Z "+strconv.Itoa(os.Getpid())+" ")) {
			t.Errorf("not reaped: %s", b)
		}
	}
}

func (s *suite) ending(t *testing.T) {
	p := s.open(t)
	t.Run("cancelled", func(t *testing.T) {
		o := p.cancelled(t, "echo ready; exec sleep "+far+"1")
		if !errors.Is(o.fault, errStopped) || o.Code != 143 || o.Signal != "SIGTERM" || o.TimedOut {
			t.Errorf("got %+v", o)
		}
		p.nothing(t, far+"1")
	})
	t.Run("cancelled before it starts", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errStopped)
		o := p.run(ctx, executor.Command{Argv: []string{"echo", "ran"}})
		if !errors.Is(o.fault, errStopped) || o.out != "" {
			t.Errorf("got %+v", o)
		}
	})
	t.Run("SIGTERM is heard", func(t *testing.T) {
		o := p.cancelled(t, "trap 'echo bye; exit 7' TERM; echo ready; while :; do sleep 0.05; done")
		if !errors.Is(o.fault, errStopped) || o.Code != 7 || !strings.HasSuffix(o.out, "bye\n") {
			t.Errorf("got %+v", o)
		}
	})
	t.Run("SIGTERM is ignored", func(t *testing.T) {
		o := p.cancelled(t, "trap '' TERM; echo ready; while :; do sleep "+far+"2; done")
		if !errors.Is(o.fault, errStopped) || o.Code != 137 || o.Signal != "SIGKILL" {
			t.Errorf("got %+v", o)
		}
		p.nothing(t, far+"2")
	})
	t.Run("a stopped process", func(t *testing.T) {
		o := p.cancelled(t, "echo ready; kill -STOP $$; exec sleep "+far+"3")
		if !errors.Is(o.fault, errStopped) || o.Code < 128 {
			t.Errorf("got %+v", o)
		}
		p.nothing(t, far+"3")
	})
	t.Run("a tree", func(t *testing.T) {
		o := p.cancelled(t, fmt.Sprintf(`trap '' TERM HUP INT
			for i in 1 2 3 4 5; do sh -c 'trap "" TERM; sleep %[1]s & sleep %[1]s & wait; sleep %[1]s' & done
			setsid sh -c 'trap "" TERM; sleep %[1]s & sleep %[1]s' &
			(setsid sh -c 'sleep %[1]s & setsid sleep %[1]s' </dev/null >/dev/null 2>&1 &)
			echo ready; wait; sleep %[1]s`, far+"4"))
		if !errors.Is(o.fault, errStopped) {
			t.Errorf("got %+v", o)
		}
		p.nothing(t, far+"4")
	})
	t.Run("timed out", func(t *testing.T) {
		o := p.run(t.Context(), executor.Command{Argv: []string{"sh", "-c", "echo begun; sleep " + far + "5"}, Timeout: 300 * time.Millisecond})
		if o.fault != nil || !o.TimedOut || o.Limit != "wall" || o.Code < 128 || (o.out != "begun\n" && o.out != "") {
			t.Errorf("got %+v", o)
		}
		p.nothing(t, far+"5")
	})
	t.Run("in time", func(t *testing.T) {
		o := p.run(t.Context(), executor.Command{Argv: []string{"echo", "done"}, Timeout: time.Hour})
		if o.fault != nil || o.TimedOut || o.out != "done\n" {
			t.Errorf("got %+v", o)
		}
	})
}

func (s *suite) leftovers(t *testing.T) {
	p := s.open(t)
	for i, c := range []struct{ name, script string }{
		{"a child that holds the output", "sleep %[1]s & echo done"},
		{"a daemon", "sleep %[1]s </dev/null >/dev/null 2>&1 & echo done"},
		{"a daemon of another session", "setsid sleep %[1]s </dev/null >/dev/null 2>&1 & echo done"},
		{"a daemon forked twice", "(setsid sh -c '(setsid sleep %[1]s &) ; exit' </dev/null >/dev/null 2>&1 &); echo done"},
		{"a daemon without environment", "(setsid env -i PATH=\"$PATH\" sh -c '(setsid env -i PATH=\"$PATH\" sleep %[1]s &); exit' &); echo done"},
		{"one that forks and ends, again and again", `c='if [ $1 -gt 0 ]; then setsid sh -c "$0" "$0" $(($1-1)) & else exec sleep %[1]s; fi'
			env -i PATH="$PATH" sh -c "$c" "$c" 60 </dev/null >/dev/null 2>&1 & echo done`},
		{"one that ignores SIGTERM", "sh -c 'trap \"\" TERM HUP; while :; do sleep %[1]s; done' & echo done"},
		{"one that is stopped", "sh -c 'kill -STOP $$; sleep %[1]s' & echo done"},
	} {
		t.Run(c.name, func(t *testing.T) {
			mark := fmt.Sprintf("%s6%d", far, i)
			o := p.sh(t, fmt.Sprintf(c.script, mark))
			if o.Code != 0 || o.out != "done\n" {
				t.Errorf("got %+v", o)
			}
			p.nothing(t, mark)
			zombies(t, "sleep")
			zombies(t, "sh")
		})
	}
	t.Run("the last words of a background process", func(t *testing.T) {
		o := p.sh(t, "(sleep 0.2; echo late) & echo early")
		if !s.traits.Apart && o.out != "early\nlate\n" {
			t.Errorf("got %+v", o)
		}
	})
	t.Run("cancelled while a child holds the output", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		out := &onWrite{do: func([]byte) { cancel(errStopped) }}
		_, err := p.Exec(ctx, executor.Command{Argv: []string{"sh", "-c", "sleep " + far + "7 & echo x"}, Env: []string{"PATH=" + s.traits.Path}}, out, nil)
		if err != nil && !errors.Is(err, errStopped) {
			t.Errorf("got %v", err)
		}
		p.nothing(t, far+"7")
	})
}

func (s *suite) parallel(t *testing.T) {
	p := s.open(t)
	// Each command waits for all the others, so they do run at once.
	const n = 12
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			o := p.run(t.Context(), executor.Command{Argv: []string{"sh", "-c",
				`: > here.$1; i=1; while [ $i -le $2 ]; do while [ ! -e here.$i ]; do sleep 0.05; done; i=$((i+1)); done; echo $1; exit $1`,
				"sh", fmt.Sprint(i + 1), fmt.Sprint(n)}})
			if o.fault != nil || o.Code != i+1 || o.out != fmt.Sprintf("%d\n", i+1) {
				t.Errorf("command %d: %+v", i+1, o)
			}
		})
	}
	all.Wait()
	t.Run("one's end is not the others'", func(t *testing.T) {
		ctx, cancel := context.WithCancelCause(t.Context())
		out := newReady()
		type result struct {
			exit executor.Exit
			err  error
		}
		long := make(chan result, 1)
		go func() {
			exit, err := p.Exec(ctx, executor.Command{Argv: []string{"sh", "-c", "(setsid sleep " + far + "8 &); echo ready; sleep " + far + "8"}, Env: []string{"PATH=" + s.traits.Path}}, out, nil)
			long <- result{exit, err}
		}()
		select {
		case <-out.ok:
		case r := <-long:
			t.Fatalf("the other command has ended: %+v", r)
		}
		for range 3 {
			if o := p.sh(t, "(setsid sleep "+far+"9 &); exit 4"); o.Code != 4 {
				t.Errorf("got %+v", o)
			}
		}
		p.nothing(t, far+"9")
		select {
		case r := <-long:
			t.Errorf("the other command was ended: %+v", r)
		default:
		}
		if left := Marked(t, "sleep\x00"+far+"8"); len(left) != 2 {
			t.Errorf("of the other command's two processes are left: %q", left)
		}
		cancel(errStopped)
		r := <-long
		if !errors.Is(r.err, errStopped) {
			t.Errorf("got %+v", r)
		}
		p.nothing(t, far+"8")
	})
}
