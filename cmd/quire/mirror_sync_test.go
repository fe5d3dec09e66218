package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"

	"quire/mirror"
)

// Errands are run a few at once, are shown in their order whichever is done
// first, and the first that fails ends the others.
func TestErrandsAreRunAtOnceAndShownInOrder(t *testing.T) {
	var running, most atomic.Int32
	release := make([]chan struct{}, 9)
	var errands []errand
	for i := range release {
		release[i] = make(chan struct{})
		errands = append(errands, errand{target: fmt.Sprint(i), do: func(ctx context.Context) (mirror.Report, error) {
			n := running.Add(1)
			defer running.Add(-1)
			for m := most.Load(); n > m && !most.CompareAndSwap(m, n); m = most.Load() {
			}
			if i < atOnce-1 { // these wait for the last that may run beside them
				select {
				case <-release[i]:
				case <-ctx.Done():
					return mirror.Report{}, ctx.Err()
				}
			}
			if i == atOnce-1 {
				for j := range i {
					close(release[j])
				}
			}
			return mirror.Report{Target: fmt.Sprint(i)}, nil
		}})
	}
	var shown []string
	show := func(e errand, r mirror.Report) error {
		if e.target != r.Target {
			t.Errorf("errand %s has the report of %s", e.target, r.Target)
		}
		shown = append(shown, r.Target)
		return nil
	}
	var stderr bytes.Buffer
	if err := runErrands(t.Context(), errands, &stderr, show); err != nil {
		t.Fatal(err)
	}
	if !slices.IsSorted(shown) || len(shown) != len(errands) || most.Load() != atOnce || stderr.Len() > 0 {
		t.Errorf("shown %v, %d at once, stderr %q", shown, most.Load(), &stderr)
	}

	broken := errors.New("the ledger cannot be written")
	stuck := func(ctx context.Context) (mirror.Report, error) {
		<-ctx.Done()
		return mirror.Report{}, ctx.Err()
	}
	failing := []errand{{do: func(context.Context) (mirror.Report, error) { return mirror.Report{}, broken }}, {do: stuck}, {do: stuck}}
	if err := runErrands(t.Context(), failing, &stderr, show); !errors.Is(err, broken) {
		t.Errorf("%v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := runErrands(ended, []errand{{do: stuck}}, &stderr, show); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if err := runErrands(t.Context(), nil, &stderr, show); err != nil {
		t.Error(err)
	}
}
