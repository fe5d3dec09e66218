package mirror

import (
	"testing"
	"time"
)

// What cannot be recorded here is pushed again: a ledger that is broken for a
// night must not cost the other end a push every few seconds.
func TestRestsGrow(t *testing.T) {
	var night time.Duration
	attempts := 0
	for ; night < 8*time.Hour; attempts++ {
		d := restAfter(attempts)
		if d < 5*time.Second || d > 10*time.Minute {
			t.Fatalf("rest %d is %v", attempts, d)
		}
		night += d
	}
	if attempts > 60 {
		t.Errorf("%d attempts in eight hours, want at most 60", attempts)
	}
}
