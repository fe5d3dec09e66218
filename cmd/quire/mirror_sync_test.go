package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"quire/mirror"
)

// Errands are run a few at once, and are shown in their order whichever is done
// first. One that fails keeps no other back.
func TestErrandsAreRunAtOnceAndShownInOrder(t *testing.T) {
	var running, begun atomic.Int32
	all := make(chan struct{}) // closed when as many run as may
	var errands []errand
	for i := range 9 {
		errands = append(errands, errand{target: fmt.Sprint(i), do: func(context.Context) (mirror.Report, error) {
			if n := running.Add(1); n > atOnce {
				t.Errorf("%d at once", n)
			}
			defer running.Add(-1)
			if begun.Add(1) == atOnce {
				close(all)
			}
			select {
			case <-all:
			case <-time.After(time.Minute):
				t.Error("they wait for one another")
			}
			return mirror.Report{Target: fmt.Sprint(i)}, nil
		}})
	}
	var shown []string
	show := func(e errand, r mirror.Report, err error) error {
		if err != nil {
			return err
		}
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
	if !slices.IsSorted(shown) || len(shown) != len(errands) || stderr.Len() > 0 {
		t.Errorf("shown %v, stderr %q", shown, &stderr)
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
	var told []string
	failing[1].do = func(context.Context) (mirror.Report, error) { return mirror.Report{Target: "second"}, nil }
	goOn := func(_ errand, r mirror.Report, err error) error {
		told = append(told, fmt.Sprint(r.Target, err))
		return nil
	}
	if err := runErrands(t.Context(), failing[:2], &stderr, goOn); err != nil || !slices.Equal(told, []string{broken.Error(), "second<nil>"}) {
		t.Errorf("told %q, %v", told, err)
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
