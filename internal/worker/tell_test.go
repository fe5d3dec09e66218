package worker

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A state directory that cannot be written to gives another error at each
// attempt: the name of the temporary file is in it. Ten attempts a second must
// not fill the log.
func TestErrorsWithNewNamesDoNotFillTheLog(t *testing.T) {
	var log bytes.Buffer
	w := &worker{told: map[string]bool{}, toldAt: map[string]time.Time{}}
	w.Log = slog.New(slog.NewTextHandler(&log, nil))
	for i := range 100 {
		w.tell("settle run 1", fmt.Errorf("rename .outcome.%d: stale file handle", i))
	}
	w.tell("settle run 2", errors.New("stale file handle"))
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines, want one of each run:\n%s", n, log.String())
	}
	w.toldAt["settle run 1"] = time.Now().Add(-2 * time.Minute)
	w.tell("settle run 1", errors.New("no space left on device"))
	if !strings.Contains(log.String(), "no space left") {
		t.Errorf("a new error is not logged after a minute:\n%s", log.String())
	}
}
