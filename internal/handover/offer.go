package handover

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"
)

// RefusedError is the listener's word that it does not take a push.
type RefusedError struct{ Reason string }

func (e *RefusedError) Error() string { return e.Reason }

// answerLimit is how long the listener may take to record a push: it waits for
// its disk, and looks at each ref.
const answerLimit = time.Minute

// Offer sends a push, as a spool file has it, and returns the id under which the
// listener has recorded it durably. A *RefusedError is final; after any other
// error nobody knows whether the push is recorded.
func Offer(c *os.File, push []byte) (id string, err error) {
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return "", err
	}
	if len(push) > MaxPush {
		return "", fmt.Errorf("the push has %d bytes of ref names and options, of %d", len(push), MaxPush)
	}
	return answered(c, Push, push)
}

// Ask asks whether the listener would take a push of this process's user to a
// repository; nil says yes, and a *RefusedError no.
func Ask(c *os.File, gitDir string) error {
	if err := c.SetDeadline(time.Now().Add(answerLimit)); err != nil {
		return err
	}
	_, err := answered(c, Question, []byte(gitDir))
	return err
}

func answered(c *os.File, asked Kind, with []byte) (text string, err error) {
	if err := Write(c, asked, with); err != nil {
		return "", fmt.Errorf("hand the push over: %w", err)
	}
	kind, payload, err := Read(c, maxAnswer)
	switch {
	case err != nil:
		return "", fmt.Errorf("hand the push over: no answer: %w", err)
	case kind == Refused:
		return "", &RefusedError{string(payload)}
	case kind != Accepted:
		return "", fmt.Errorf("hand the push over: an answer of kind %q", string(rune(kind)))
	}
	return string(payload), nil
}

// Follow writes the report of the push that was offered to w until it is
// complete, and returns nil then. The error is w's, ctx's cause, or that the
// report ended early.
func Follow(ctx context.Context, c *os.File, w io.Writer) error {
	if err := c.SetDeadline(time.Time{}); err != nil {
		return err
	}
	stop := context.AfterFunc(ctx, func() { c.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	for {
		kind, payload, err := Read(c, maxAnswer)
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, io.EOF):
			return errors.New("the listener has closed the connection")
		case err != nil:
			return err
		case kind == Done:
			return nil
		case kind == Broken:
			return errors.New(string(payload))
		case kind == Piece:
			if _, err := w.Write(payload); err != nil {
				return err
			}
		}
	}
}
