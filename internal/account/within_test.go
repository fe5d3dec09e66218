package account

import (
	"errors"
	"testing"
	"time"
)

// A command that waits for ever, and what it started, are ended.
func TestACommandThatWaitsForEverIsEnded(t *testing.T) {
	cmd := Self().Command("/bin/sh", "-c", "sleep 100000 & sleep 100000")
	if err := Within(cmd, 100*time.Millisecond); !errors.Is(err, ErrNoAnswer) {
		t.Errorf("%v", err)
	}
	if cmd.ProcessState == nil || cmd.ProcessState.Success() {
		t.Errorf("%v", cmd.ProcessState)
	}
	if err := Within(Self().Command("/bin/sh", "-c", "exit 3"), time.Hour); err == nil || err.Error() != "exit status 3" {
		t.Errorf("%v", err)
	}
}
