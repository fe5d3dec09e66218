package pipeline

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// clock bounds how long Lua code may run in one stretch: from when it gets
// control, at the start or from a primitive that returns, until it gives it
// back. While a primitive works the clock stands still.
type clock struct {
	ctx    context.Context // ends when a stretch is too long, or with its parent
	cancel context.CancelCauseFunc
	limits Limits

	abandoned atomic.Bool // watch has given up

	mu      sync.Mutex
	timer   *time.Timer
	pauses  int       // primitives at work
	resumed time.Time // when Lua last got control
}

// stretchError is the cause with which a clock's context ends.
type stretchError struct{ limit time.Duration }

func (e *stretchError) Error() string {
	return fmt.Sprintf("the pipeline's own code ran for more than %s without giving way to a primitive", e.limit)
}

// newClock starts a clock, running. Whoever has it calls stop.
func newClock(parent context.Context, limits Limits) *clock {
	c := &clock{limits: limits, resumed: time.Now()}
	c.ctx, c.cancel = context.WithCancelCause(parent)
	c.timer = time.AfterFunc(limits.Stretch, func() { c.cancel(&stretchError{limits.Stretch}) })
	return c
}

func (c *clock) stop() {
	c.timer.Stop()
	c.cancel(context.Canceled)
}

// pause stops the clock for a primitive; resume starts it anew.
func (c *clock) pause() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pauses++; c.pauses == 1 {
		c.timer.Stop()
	}
}

func (c *clock) resume() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.pauses--; c.pauses == 0 {
		c.resumed = time.Now()
		c.timer.Reset(c.limits.Stretch)
	}
}

// cause is why the clock's context ended, nil while it has not.
func (c *clock) cause() error {
	if c.ctx.Err() == nil {
		return nil
	}
	return context.Cause(c.ctx)
}

// watch runs f, which runs Lua under the clock's context, in a goroutine, and
// waits for it. It returns false, and leaves the goroutine behind, when the
// context has ended and Lua has still not come back after the grace: it is then
// inside a library call, which nothing in this process can stop. Time inside
// primitives does not count; they have the context and end by themselves.
func (c *clock) watch(f func()) bool {
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
		return true
	case <-c.ctx.Done():
	}
	wait := c.limits.Grace
	for {
		timer := time.NewTimer(wait)
		select {
		case <-done:
			timer.Stop()
			return true
		case <-timer.C:
		}
		c.mu.Lock()
		busy, sinceResumed := c.pauses > 0, time.Since(c.resumed)
		c.mu.Unlock()
		switch {
		case busy:
			wait = c.limits.Grace
		case sinceResumed < c.limits.Grace:
			wait = c.limits.Grace - sinceResumed
		default:
			c.abandoned.Store(true)
			return false
		}
	}
}
