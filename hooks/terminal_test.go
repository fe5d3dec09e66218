package hooks

import (
	"bytes"
	"errors"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestTerminalLeavesAReaderThatStands(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	defer w.Close() // ends the write that is left behind
	term := &terminal{w: w, stall: 50 * time.Millisecond}
	n, err := term.Write(make([]byte, 1<<20))
	if !errors.Is(err, errStalled) {
		t.Fatalf("error %v", err)
	}
	if n == 0 || n >= 1<<20 {
		t.Errorf("%d bytes written; want what a pipe holds", n)
	}
	// Nothing is tried after that, so nothing waits.
	if n, err := term.Write([]byte("more")); n != 0 || !errors.Is(err, errStalled) {
		t.Errorf("afterwards: %d, %v", n, err)
	}
}

// slow takes little at a time, and each piece takes a while; all together they
// take far longer than the stall limit.
type slow struct {
	bytes.Buffer
	pause time.Duration
}

func (s *slow) Write(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.Buffer.Write(p)
}

func TestTerminalStaysWithASlowReader(t *testing.T) {
	text := strings.Repeat("line\n", 50_000)
	s := &slow{pause: 25 * time.Millisecond}
	term := &terminal{w: s, stall: time.Second}
	if n, err := io.Copy(term, strings.NewReader(text)); err != nil || n != int64(len(text)) {
		t.Fatalf("%d bytes, %v", n, err)
	}
	if s.String() != text {
		t.Error("the bytes differ")
	}
}

func TestTerminalThatIsGone(t *testing.T) {
	shrug() // as the hook does: EPIPE, and not the signal
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	defer w.Close()
	for _, stall := range []time.Duration{0, time.Minute} {
		term := &terminal{w: w, stall: stall}
		term.line("hint: nobody reads this")
		if !errors.Is(term.err, syscall.EPIPE) {
			t.Errorf("stall %s: error %v", stall, term.err)
		}
	}
}
