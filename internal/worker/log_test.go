package worker

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func dup2(t *testing.T, from, to int) {
	t.Helper()
	if err := unix.Dup3(from, to, 0); err != nil {
		t.Fatal(err)
	}
}

// A worker that stays begins a new log when the old one is long, and keeps one.
func TestTheWorkersLogIsBounded(t *testing.T) {
	state := t.TempDir()
	log, err := openLog(state)
	if err != nil {
		t.Fatal(err)
	}
	// Standard error, for as long as the test lasts.
	own, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	dup2(t, 2, int(own.Fd()))
	defer func() { dup2(t, int(own.Fd()), 2) }()
	if err := turnLog(state); err != nil {
		t.Fatal(err)
	}
	dup2(t, int(log.Fd()), 2)
	log.Close()
	written := 0
	for written < 5*maxLog {
		n, err := os.Stderr.Write(append(bytes.Repeat([]byte("x"), 1000), '\n'))
		if err != nil {
			t.Fatal(err)
		}
		written += n
		if err := turnLog(state); err != nil {
			t.Fatal(err)
		}
	}
	os.Stderr.WriteString("the last line\n")
	entries, err := os.ReadDir(state)
	if err != nil || len(entries) != 2 {
		t.Errorf("%v, %v", entries, err)
	}
	var all []byte
	for _, name := range []string{"worker.log.old", "worker.log"} {
		data, err := os.ReadFile(state + "/" + name)
		if err != nil || len(data) > maxLog+2000 {
			t.Errorf("%s has %d bytes, %v", name, len(data), err)
		}
		all = append(all, data...)
	}
	if !strings.HasSuffix(string(all), "x\nthe last line\n") {
		t.Errorf("it ends with %q", all[max(0, len(all)-100):])
	}
}
