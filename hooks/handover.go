package hooks

import (
	"context"
	"errors"
	"fmt"
	"os"

	"quire/internal/event"
	"quire/internal/handover"
	"quire/internal/spool"
)

// handOver gives the push to the repository's runner, who is another user: over
// the runner's socket, else into the repository's drop directory. When it
// returns nil the push survives a power cut.
func (r *reception) handOver() error {
	push := spool.Encode(r.push)
	var why error // nothing came of the socket
	if r.runner.Socket != "" {
		c, err := handover.Dial(r.runner.Socket, r.runner.UID)
		if err == nil {
			var id string
			if id, err = handover.Offer(c, push); err == nil {
				r.push.ID, r.listener = id, c
				return nil
			}
			c.Close()
		}
		var refused *handover.RefusedError
		if errors.As(err, &refused) {
			return fmt.Errorf("%s, who runs this repository's pipelines, does not take this push: %s", r.runner.Who(), refused.Reason)
		}
		why = err
	}
	if err := handover.Drop(r.push.GitDir, r.runner.UID, r.push.ID, push); err != nil {
		if why != nil {
			err = fmt.Errorf("%w; %w", why, err)
		}
		return fmt.Errorf("this repository's pipelines are run by %s, and the push cannot be handed over: %w; let that user or root run: quire install %s",
			r.runner.Who(), err, r.push.GitDir)
	}
	event.Reached(event.StepSpooled)
	r.hints = append(r.hints, fmt.Sprintf("the push waits for %s, who runs this repository's pipelines; nobody listens now, so nothing of it can be shown", r.runner.Who()))
	return nil
}

// showHandedOver shows the report that the listener sends.
func (r *reception) showHandedOver() {
	if r.listener == nil {
		return
	}
	defer r.listener.Close()
	switch r.wait() {
	case event.WaitNone:
		return
	case event.WaitStart:
		r.term.line("hint: " + r.runner.Who() + " has recorded the push as " + r.push.ID)
		return
	}
	ctx := heed()
	if limit := r.conf.Hook.WaitLimit.D(); limit > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeoutCause(ctx, limit, errLimit)
		defer cancel()
	}
	err := handover.Follow(ctx, r.listener, r.term)
	switch {
	case errors.Is(err, errLimit):
		r.term.line("hint: the wait limit is over and the work goes on")
	case err != nil && ctx.Err() == nil && r.term.err == nil:
		r.term.line("error: the report cannot be shown: " + err.Error())
	}
}

// own reports whether this process is the hook of the repository's runner.
func (r *reception) own() bool { return r.runner.UID == os.Geteuid() }
