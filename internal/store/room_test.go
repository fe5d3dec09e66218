package store

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// Pipelines of a repository have so many targets and no more. One that holds
// nothing makes room; what is owed, what was put somewhere and what the operator
// ordered stays.
func TestTargetsOfPipelinesAreBounded(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Unix(1700000000, 0).UTC()
	owe := func(gitDir, url string, asked bool, authority string) error {
		now = now.Add(time.Second)
		return s.Owe(ctx, MirrorTarget{GitDir: gitDir, URL: url, Asked: asked},
			[]Delivery{{Ref: "refs/heads/main", Want: "a1", Seq: "1", Authority: authority}}, now, false)
	}
	settle := func(url string, change func(*Delivery)) {
		t.Helper()
		all, err := s.Deliveries(ctx, "/r.git", url, []string{"refs/heads/main"})
		if err != nil || len(all) != 1 {
			t.Fatalf("%v, %v", all, err)
		}
		d := all["refs/heads/main"]
		d.State = DeliveryRefused
		change(&d)
		if err := s.Settle(ctx, []Delivery{d}); err != nil {
			t.Fatal(err)
		}
	}
	have := func(url string) bool {
		t.Helper()
		list, err := s.Targets(ctx, "/r.git", url)
		if err != nil {
			t.Fatal(err)
		}
		return len(list) > 0
	}
	url := func(i int) string { return fmt.Sprintf("https://h/%d", i) }
	for i := range MaxAsked {
		if err := owe("/r.git", url(i), true, "p"); err != nil {
			t.Fatal(err)
		}
	}
	if err := owe("/r.git", url(MaxAsked), true, "p"); !errors.Is(err, ErrTooManyTargets) || have(url(MaxAsked)) {
		t.Errorf("one more than there may be: %v", err)
	}
	for what, err := range map[string]error{
		"one that is recorded":   owe("/r.git", url(3), true, "p"),
		"the operator's":         owe("/r.git", "https://h/order", false, ""),
		"of another repository":  owe("/other.git", url(MaxAsked), true, "p"),
		"the operator's, by now": owe("/r.git", url(4), false, ""),
	} {
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	settle(url(0), func(d *Delivery) { d.Put, d.State = "a1", DeliveryLanded })
	settle(url(1), func(d *Delivery) { d.Sent = "a1" })
	settle(url(4), func(*Delivery) {})
	settle(url(7), func(d *Delivery) { d.At = now.Add(time.Minute) })
	settle(url(8), func(d *Delivery) { d.At = now })
	for _, gone := range []int{8, 7} { // the least lately used first
		if err := owe("/r.git", url(200+gone), true, "p"); err != nil || have(url(gone)) || !have(url(200+gone)) {
			t.Errorf("%d makes no room: %v", gone, err)
		}
	}
	if err := owe("/r.git", url(300), true, "p"); !errors.Is(err, ErrTooManyTargets) {
		t.Errorf("nothing that may go is left: %v", err)
	}
}
