package jobfile

import (
	"context"
	"sync/atomic"
)

// Within calls f and returns what it returns, or, when ctx ends first, the zero
// value and context.Cause(ctx). A system call on a file system that does not
// answer (a server that is gone, a FUSE program that reads requests and answers
// none) cannot be taken back; so it is abandoned.
//
// Left behind then is one thread of this process, which sits in the call until
// the file system answers or is unmounted, or this process ends. What f returns
// afterwards is given to discard, if that is not nil. f must not touch what its
// caller uses after Within has returned.
func Within[T any](ctx context.Context, f func() (T, error), discard func(T)) (T, error) {
	var zero T
	if ctx.Err() != nil {
		return zero, context.Cause(ctx)
	}
	if ctx.Done() == nil {
		return f()
	}
	type result struct {
		value T
		err   error
	}
	var settled atomic.Bool // set by whoever comes first: f's end, or ctx's
	done := make(chan result, 1)
	go func() { // ends with f; nobody can wait for that
		value, err := f()
		if settled.CompareAndSwap(false, true) {
			done <- result{value, err}
		} else if err == nil && discard != nil {
			discard(value)
		}
	}()
	select {
	case r := <-done:
		return r.value, r.err
	case <-ctx.Done():
	}
	if !settled.CompareAndSwap(false, true) { // it came at the same moment
		r := <-done
		return r.value, r.err
	}
	return zero, context.Cause(ctx)
}

// do is Within for calls that return nothing but an error.
func do(ctx context.Context, f func() error) error {
	_, err := Within(ctx, func() (struct{}, error) { return struct{}{}, f() }, nil)
	return err
}
