package mirror

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/internal/event"
	"quire/internal/store"
	"quire/mirror/forgetest"
)

// However many targets pipelines name, at however many hosts, only so many are
// pushed to at once, for each repository and in all; and the operator's orders,
// and another repository's pipelines, get their turn beside them.
func TestTargetsOfPipelinesHavePlaces(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	ctx, cancel := context.WithCancel(context.Background())
	var mu sync.Mutex
	begun := map[string]int{} // by repository and authority
	letGo := map[string]chan struct{}{w.src: make(chan struct{})}
	standing := w.order()
	k := NewKeeper(w.engine, KeeperOptions{Orders: []Order{standing}, Begin: func(gitDir, url string) (func(), error) {
		mu.Lock()
		if url == standing.URL {
			gitDir = "standing"
		}
		begun[gitDir]++
		mu.Unlock()
		select {
		case <-letGo[gitDir]:
		case <-ctx.Done():
		}
		return nil, errors.New("let go")
	}})
	var work sync.WaitGroup
	defer work.Wait()
	defer cancel()
	owe := func(gitDir string, n int) {
		t.Helper()
		for i := range n {
			target := Target{URL: fmt.Sprintf("http://192.0.2.%d/%d.git", i+1, i), Asked: true}
			if err := w.engine.owe(ctx, gitDir, target, []Want{{"refs/heads/main", one}}, w.next()); err != nil {
				t.Fatal(err)
			}
		}
	}
	// round makes one, and waits until everything that it started has begun.
	round := func(all int) map[string]int {
		t.Helper()
		if _, err := k.round(ctx, &work); err != nil {
			t.Fatal(err)
		}
		k.mu.Lock()
		started := len(k.working)
		k.mu.Unlock()
		if started != all {
			t.Fatalf("%d under way, want %d", started, all)
		}
		for {
			mu.Lock()
			n, now := 0, map[string]int{}
			for where, count := range begun {
				n, now[where] = n+count, count
			}
			mu.Unlock()
			if n >= all {
				return now
			}
		}
	}
	hostile := []string{w.src}
	for i := range 3 {
		hostile = append(hostile, filepath.Join(t.TempDir(), fmt.Sprintf("%d.git", i)))
		forgetest.InitBare(t, hostile[i+1])
	}
	owe(hostile[0], 40)
	if now := round(4); now[hostile[0]] != 4 {
		t.Errorf("of one repository: %v", now)
	}
	for _, gitDir := range hostile[1:3] {
		owe(gitDir, 40)
	}
	round(12)
	quiet := hostile[3]
	owe(quiet, 1)
	if err := k.Owe(ctx, w.event(event.Update{Old: zero, New: one, Ref: "refs/heads/main"})); err != nil {
		t.Fatal(err)
	}
	if now := round(13); now["standing"] != 1 {
		t.Errorf("the operator's order got no place: %v", now)
	}
	// A place that becomes free goes to whom least is done for. What was let go
	// rests, and so counts as being worked at still.
	letGo[hostile[0]] <- struct{}{}
	for free := false; !free; {
		<-k.wake
		k.mu.Lock()
		free = k.places[kind{pushing, true}.all()] < 12
		k.mu.Unlock()
	}
	if now := round(14); now[quiet] != 1 {
		t.Errorf("the repository with one target waits for those with many: %v", now)
	}
}

// A pipeline's target that is one too many is refused in a sentence.
func TestAPipelinesTargetTooMany(t *testing.T) {
	w := newWorld(t)
	one := w.commit("refs/heads/main", "one")
	for i := range store.MaxAsked {
		target := Target{URL: fmt.Sprintf("http://192.0.2.1/%d.git", i), Asked: true}
		if err := w.engine.owe(t.Context(), w.src, target, []Want{{"refs/heads/main", one}}, w.next()); err != nil {
			t.Fatal(err)
		}
	}
	r := only(t, w.deliver(w.request(Want{"refs/heads/main", one})))
	if r.Status != Refused || r.Class != ClassNotAllowed || !strings.Contains(r.Detail.String(), "100 mirrors already") || !strings.Contains(r.Advice, "quire mirror forget") {
		t.Errorf("%+v", r)
	}
	w.wantThere("refs/heads/main", "")
}
