package local

import (
	"os"
	"slices"
	"strconv"
	"time"

	"quire/internal/executor/procs"
)

// direct is an outlet for a command that was given the final files. That it is
// silent cannot be read off a pipe's end then, but off what its processes have
// open.
type direct struct {
	c     *procs.Command
	files []*os.File
}

func (d *direct) silent() <-chan struct{} {
	done := make(chan struct{})
	go func() { // ends with the drain's time, which is when its answer loses its use
		defer close(done)
		for end := time.Now().Add(Drain); time.Now().Before(end) && d.held(); {
			time.Sleep(10 * time.Millisecond)
		}
	}()
	return done
}

func (d *direct) finish() error { return nil }

// held says whether a process that is left has one of the files open.
func (d *direct) held() bool {
	left, err := d.c.Left()
	if err != nil {
		return false
	}
	var names []string
	for _, f := range d.files {
		if name, err := os.Readlink("/proc/self/fd/" + strconv.Itoa(int(f.Fd()))); err == nil {
			names = append(names, name)
		}
	}
	for _, p := range left {
		dir := "/proc/" + strconv.Itoa(p.PID) + "/fd"
		entries, _ := os.ReadDir(dir)
		for _, e := range entries {
			if name, err := os.Readlink(dir + "/" + e.Name()); err == nil && slices.Contains(names, name) {
				return true
			}
		}
	}
	return false
}
