package worker

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"quire/internal/event"
)

// onSmallDisk is a world whose state directory is a file system of its own, of
// some MB.
func onSmallDisk(t *testing.T, settings string) *world {
	t.Helper()
	dir, err := os.MkdirTemp("", "quire-small-disk-")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("quire", dir, "tmpfs", 0, "size=4m"); err != nil {
		os.Remove(dir)
		skip(t, "needs the right to mount a tmpfs: "+err.Error())
	}
	t.Cleanup(func() { // after the world has ended its processes
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
		os.Remove(dir)
	})
	w := newWorld(t, fmt.Sprintf("state_dir = %q\n", filepath.Join(dir, "state"))+settings)
	w.root = filepath.Join(dir, "state")
	return w
}

func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatal(why)
	}
	t.Skip(why)
}

// fill leaves no room at all. The function it returns makes it again.
func (w *world) fill() (empty func()) {
	w.t.Helper()
	name := filepath.Join(filepath.Dir(w.root), "ballast")
	f, err := os.Create(name)
	if err != nil {
		w.t.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	for {
		if _, err := f.Write(block); err != nil {
			break
		}
	}
	return func() { os.Remove(name) }
}

func TestNoRoomInTheSpool(t *testing.T) {
	w := onSmallDisk(t, "")
	r := w.repo("project")
	r.commit(`(runtime.run "true")`)
	r.push()
	w.workOff() // the repository is known from now on
	empty := w.fill()
	commit := r.commit(`(runtime.run "true")`)
	seen := r.push()
	if !strings.Contains(seen, "error: quire has not recorded this push") || !strings.Contains(seen, "no space left") {
		t.Errorf("the pusher saw\n%s", seen)
	}
	if got := r.git(r.bare, "rev-parse", "main"); got != commit {
		t.Errorf("git did not accept the push: main is %s", got)
	}
	empty()
	// The next invocation of anything finds it.
	w.workOff()
	runs := w.waitOver(2)
	if runs[1].New != commit || runs[1].State != event.RunSucceeded {
		t.Errorf("runs %+v", runs)
	}
	w.checkInvariants()
}

func TestNoRoomForTheDatabase(t *testing.T) {
	w := onSmallDisk(t, "")
	r := w.repo("project")
	commit := r.commit(`(runtime.run "true")`)
	r.pushUnattended("")
	empty := w.fill()
	// The push waits; a worker cannot take it and says so.
	out, err := w.quire([]string{"worker", "--once"})
	if err == nil || !strings.Contains(out, "no space left") && !strings.Contains(out, "disk I/O") && !strings.Contains(out, "full") {
		t.Errorf("the worker: %v\n%s", err, out)
	}
	empty()
	w.workOff()
	runs := w.waitOver(1)
	if len(runs) != 1 || runs[0].New != commit || runs[0].State != event.RunSucceeded {
		t.Errorf("runs %+v", runs)
	}
	w.checkInvariants()
}

// A job that fills the disk: the run comes to its end all the same, and the
// database stays sound.
func TestNoRoomForTheLog(t *testing.T) {
	w := onSmallDisk(t, "[log]\nmax_bytes = \"64MiB\"\n")
	r := w.repo("project")
	r.commit(`(runtime.run "head -c 20000000 /dev/zero | tr '\\0' 'x'; exit 0")`)
	r.pushDetached()
	w.until("the run is over in the store", func() bool {
		runs := w.runs()
		return len(runs) == 1 && runs[0].State.Final()
	})
	w.until("the worker rests", func() bool { return !Running(w.cfg) || len(w.processes()) == 1 })
	// Its log is what took the room.
	run := w.runs()[0]
	os.RemoveAll(filepath.Join(w.root, "runs", run.ID, "jobs"))
	w.workOff()
	w.until("the outcome is there", func() bool { return w.outcomeIs(run, run.State) })
	// And work goes on.
	r.commit(`(runtime.run "true")`)
	if seen := r.push(); !strings.Contains(seen, "success: run 2") {
		t.Errorf("the pusher saw\n%s", seen)
	}
	s := w.store()
	defer s.Close()
	if err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}
