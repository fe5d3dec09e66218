package mirror

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// What a git that was broken off leaves behind is a child of this process, where
// it is a subreaper: each would stay a zombie until the run ends.
func TestABrokenOffGitLeavesNoZombie(t *testing.T) {
	const setChildSubreaper = 36 // prctl(2)
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, setChildSubreaper, 1, 0); errno != 0 {
		t.Fatal(errno)
	}
	defer syscall.Syscall(syscall.SYS_PRCTL, setChildSubreaper, 0, 0)
	ready := filepath.Join(t.TempDir(), "ready")
	s := &session{dir: t.TempDir(), env: []string{"PATH=" + os.Getenv("PATH"), "READY=" + ready}}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan output)
	go func() { done <- s.run(ctx, "sh", "-c", `sh -c 'sleep 1000 & echo > "$READY"; wait' & wait`) }()
	for {
		if _, err := os.Stat(ready); err == nil {
			break
		}
		time.Sleep(time.Millisecond)
	}
	s.mu.Lock()
	group := s.child
	s.mu.Unlock()
	cancel()
	if out := <-done; !errors.Is(out.err, context.Canceled) {
		t.Errorf("%+v", out)
	}
	if pid, err := syscall.Wait4(-group, nil, syscall.WNOHANG, nil); !errors.Is(err, syscall.ECHILD) {
		t.Errorf("process %d of the group is still to be waited for (%v)", pid, err)
	}
}
