package supervise

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"quire/internal/event"
	"quire/internal/store"
)

// stopped is the cause with which a run's context ends before its time.
type stopped struct {
	state  event.RunState
	reason string
	by     string // the run that takes its place

	interrupted bool // nobody asked for it: the machine goes down, or somebody used kill(1)
}

func (s *stopped) Error() string {
	if s.reason != "" {
		return s.reason
	}
	return string(s.state)
}

// stopper decides when a run ends before its time. What is asked by a person is
// done at once; a newer push waits until no job is running that the pipeline
// says must not be interrupted.
type stopper struct {
	cancel context.CancelCauseFunc

	mu      sync.Mutex
	firm    map[string]bool // jobs that run and are not to be interrupted
	pending *stopped        // a replacement that waits for them
	asked   *stopped        // what was done
}

func newStopper(cancel context.CancelCauseFunc) *stopper {
	return &stopper{cancel: cancel, firm: map[string]bool{}}
}

// ask requests an end. The first that is carried out counts.
func (s *stopper) ask(req *stopped) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.asked != nil {
		return
	}
	if req.state == event.RunReplaced && len(s.firm) > 0 {
		s.pending = req
		return
	}
	s.asked = req
	s.cancel(req)
}

// began tells that a job has begun that must not be interrupted.
func (s *stopper) began(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.firm[job] = true
}

// ended tells that a job is over.
func (s *stopper) ended(job string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.firm, job)
	if s.pending != nil && s.asked == nil && len(s.firm) == 0 {
		s.asked = s.pending
		s.cancel(s.asked)
	}
}

// read turns a signal into what was asked: the store says what. A signal of
// which it knows nothing came from the machine, or from a person with kill(1).
func readStop(ctx context.Context, st *store.Store, runID string) *stopped {
	asked, err := st.StopAsked(ctx, runID)
	if err == nil && asked.State != "" {
		return &stopped{state: asked.State, reason: asked.Reason.String(), by: asked.By}
	}
	return &stopped{state: event.RunCanceled, reason: "the supervisor was told to end (SIGTERM)", interrupted: true}
}

// timeout is the cause of a run that took longer than run_timeout.
func timeout(limit time.Duration) *stopped {
	return &stopped{state: event.RunFailed, reason: fmt.Sprintf("it took longer than run_timeout, %s", limit)}
}

// stopOf is the cause of a context's end, if it was one of ours.
func stopOf(ctx context.Context) *stopped {
	var s *stopped
	if errors.As(context.Cause(ctx), &s) {
		return s
	}
	return nil
}
