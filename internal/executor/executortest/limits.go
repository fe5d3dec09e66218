package executortest

import (
	"bytes"
	"runtime"
	"strings"
	"testing"
	"time"

	"quire/internal/executor"
)

// Limits runs the suite's part about limits, where they are held for all of a
// run's commands together.
func Limits(t *testing.T, traits Traits, make Factory) {
	s := &suite{traits: traits, make: make}
	t.Run("memory", s.memory)
	t.Run("pids", s.pids)
	t.Run("fork bomb", s.forkBomb)
}

func (s *suite) memory(t *testing.T) {
	p := s.openWith(t, func(spec *executor.Spec) { spec.Limits.Memory = 64 << 20 })
	// This process, which starts the commands, has more than they may have together:
	// that is not theirs, nor is it what the kernel ends.
	own := bytes.Repeat([]byte{1}, 256<<20)
	defer runtime.KeepAlive(own)
	o := p.sh(t, "head -c 500000000 /dev/zero | tail") // without a newline tail keeps it all
	if o.Code == 0 || o.Limit != "memory" || o.TimedOut {
		t.Errorf("a memory hog: %+v", o)
	}
	if o := p.sh(t, "head -c 5000000 /dev/zero | tail | wc -c"); strings.TrimSpace(o.out) != "5000000" || o.Limit != "" {
		t.Errorf("a frugal command: %+v", o)
	}
	if o := p.sh(t, "exit 3"); o.Code != 3 || o.Limit != "" {
		t.Errorf("a later failure: %+v", o)
	}
}

func (s *suite) pids(t *testing.T) {
	p := s.openWith(t, func(spec *executor.Spec) { spec.Limits.PIDs = 20 })
	o := p.sh(t, "i=0; while [ $i -lt 100 ]; do sleep "+far+"3 & i=$((i+1)); done; wait")
	if o.Code == 0 || o.Limit != "pids" {
		t.Errorf("a hundred processes: %+v", o)
	}
	p.nothing(t, far+"3")
	if o := p.sh(t, "sleep 0.01 & sleep 0.01 & wait; echo done"); o.out != "done\n" || o.Limit != "" {
		t.Errorf("three processes: %+v", o)
	}
}

func (s *suite) forkBomb(t *testing.T) {
	p := s.openWith(t, func(spec *executor.Spec) { spec.Limits.PIDs = 60 })
	mark := "bomb" + far
	o := p.run(t.Context(), executor.Command{
		Argv:    []string{"sh", "-c", "b() { b | b & }; b 2>/dev/null; while :; do b; sleep 0.01; done 2>/dev/null", mark},
		Timeout: time.Second,
	})
	if o.fault != nil || o.Code == 0 {
		t.Errorf("a fork bomb: %+v", o)
	}
	p.nothing(t, mark)
	if o := p.sh(t, "echo well"); o.out != "well\n" {
		t.Errorf("after a fork bomb: %+v", o)
	}
}
