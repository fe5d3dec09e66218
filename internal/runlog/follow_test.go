package runlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Followers that come at any time, leave at any offset and resume all see
// exactly the file.
func TestFollowersSeeTheSame(t *testing.T) {
	d := RunDir(t.TempDir(), "r")
	var want strings.Builder
	for i := range 500 {
		fmt.Fprintf(&want, "line %d\n", i)
	}
	var wg sync.WaitGroup
	started := make(chan struct{}, 8)
	for i := range 4 {
		wg.Go(func() {
			var got bytes.Buffer
			started <- struct{}{}
			var at int64
			var err error
			// Each reads a while, leaves at its (i*100)th byte, and comes again.
			if i > 0 {
				at, err = Follow(context.Background(), &limited{&got, i * 100}, d.PushLog(), 0, d.Ended)
				if !errors.Is(err, errEnough) {
					t.Errorf("follower %d: %v", i, err)
				}
			}
			if _, err = Follow(context.Background(), &got, d.PushLog(), at, d.Ended); err != nil {
				t.Errorf("follower %d: %v", i, err)
			}
			if got.String() != want.String() {
				t.Errorf("follower %d got %d bytes of %d, or others", i, got.Len(), want.Len())
			}
		})
	}
	for range 4 {
		<-started
	}
	if err := os.MkdirAll(string(d), 0o700); err != nil {
		t.Fatal(err)
	}
	a, err := Append(d.PushLog())
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(want.String()) {
		if err := a.Line(said(line)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(a.Close(), d.WriteOutcome(Outcome{Run: "r"})); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
}

var errEnough = errors.New("enough")

type limited struct {
	w    io.Writer
	room int
}

func (l *limited) Write(p []byte) (int, error) {
	if len(p) >= l.room {
		n, _ := l.w.Write(p[:l.room])
		return n, errEnough
	}
	l.room -= len(p)
	return l.w.Write(p)
}

func TestFollowEndsWithItsContext(t *testing.T) {
	cause := errors.New("left")
	for _, exists := range []bool{true, false} {
		ctx, cancel := context.WithCancelCause(context.Background())
		path := filepath.Join(t.TempDir(), "log")
		if exists {
			if err := os.WriteFile(path, []byte("abc"), 0o600); err != nil {
				t.Fatal(err)
			}
		} else {
			cancel(cause)
		}
		w := writerFunc(func(p []byte) (int, error) { cancel(cause); return len(p), nil })
		n, err := Follow(ctx, w, path, 1, func() bool { return false })
		if !errors.Is(err, cause) || exists && n != 3 {
			t.Errorf("exists=%v: Follow = %d, %v", exists, n, err)
		}
	}
}

type writerFunc func([]byte) (int, error)

func (f writerFunc) Write(p []byte) (int, error) { return f(p) }

// Without inotify the same facts arrive, by looking.
func TestPolling(t *testing.T) {
	w := &Watcher{}
	dir := t.TempDir()
	if w.Add(dir) {
		t.Error("nobody watches")
	}
	var done atomic.Bool
	go done.Store(true)
	for !done.Load() {
		if err := w.Wait(context.Background()); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Error(err)
	}
}

func TestWatcherTellsOfANewEntry(t *testing.T) {
	dir := t.TempDir()
	w := NewWatcher()
	defer w.Close()
	if !w.Add(dir) {
		t.Skip("needs inotify: its instances are used up")
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	go os.WriteFile(filepath.Join(dir, "x"), nil, 0o600)
	for {
		if _, err := os.Stat(filepath.Join(dir, "x")); err == nil {
			return
		}
		if err := w.Wait(ctx); err != nil {
			t.Fatal(err)
		}
	}
}
