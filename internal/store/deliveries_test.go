package store

import (
	"context"
	"errors"
	"testing"
	"time"

	"quire/internal/secret/masked"
)

func TestDeliveries(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	now := time.Unix(1700000000, 0).UTC()
	target := MirrorTarget{GitDir: "/r.git", URL: "https://h/r", Name: "h", Secret: "s", Force: "lease", Delete: "owned", RetryFor: time.Hour}
	row := func(ref string) Delivery {
		t.Helper()
		all, err := s.Deliveries(ctx, target.GitDir, target.URL, []string{ref})
		if err != nil {
			t.Fatal(err)
		}
		return all[ref]
	}
	owe := func(want, seq string, sending bool) {
		t.Helper()
		if err := s.Owe(ctx, target, []Delivery{{Ref: "refs/heads/main", Want: want, Seq: seq}}, now, sending); err != nil {
			t.Fatal(err)
		}
	}
	owe("a1", "1", true)
	if d := row("refs/heads/main"); d.State != DeliveryPushing || d.Sent != "a1" || d.Attempts != 1 || !d.Since.Equal(now) {
		t.Errorf("sending: %+v", d)
	}
	// Something newer is wanted while the first is in flight: it stays wanted
	// when the first has landed, and an older want changes nothing.
	owe("b2", "2", false)
	pushed := row("refs/heads/main")
	pushed.Want, pushed.Put, pushed.Sent, pushed.Ours, pushed.State, pushed.At = "a1", "a1", "", true, DeliveryLanded, now
	if err := s.Settle(ctx, []Delivery{pushed}); err != nil {
		t.Fatal(err)
	}
	owe("c0", "0", false)
	if d := row("refs/heads/main"); d.State != DeliveryWaiting || d.Want != "b2" || d.Put != "a1" || !d.Ours || d.Sent != "" {
		t.Errorf("settled under a newer want: %+v", d)
	}
	due, next, err := s.DueTargets(ctx, now)
	if err != nil || len(due) != 1 || due[0].Name != "h" || due[0].RetryFor != time.Hour || !next.IsZero() {
		t.Errorf("due %+v, %v, %v", due, next, err)
	}
	// A failed one is due later.
	d := row("refs/heads/main")
	d.NextAt, d.Class, d.Error = now.Add(time.Minute), "network", masked.Const("down")
	if err := s.Settle(ctx, []Delivery{d}); err != nil {
		t.Fatal(err)
	}
	due, next, err = s.DueTargets(ctx, now)
	if err != nil || len(due) != 0 || !next.Equal(now.Add(time.Minute)) {
		t.Errorf("due %+v, %v, %v", due, next, err)
	}
	// The clock was years ahead when it failed, and is right again: it is due.
	d.NextAt = now.AddDate(5, 0, 0)
	if err := s.Settle(ctx, []Delivery{d}); err != nil {
		t.Fatal(err)
	}
	due, next, err = s.DueTargets(ctx, now)
	if err != nil || len(due) != 1 || !next.IsZero() {
		t.Errorf("due after the clock was ahead: %+v, %v, %v", due, next, err)
	}
	// Landed, it is owed no more, and its lease stays.
	d.Put, d.State, d.NextAt, d.Class = "b2", DeliveryLanded, time.Time{}, ""
	if err := s.Settle(ctx, []Delivery{d}); err != nil {
		t.Fatal(err)
	}
	if due, next, err := s.DueTargets(ctx, now.Add(time.Hour)); err != nil || len(due) != 0 || !next.IsZero() {
		t.Errorf("due %+v, %v, %v", due, next, err)
	}
	if open, err := s.Deliveries(ctx, target.GitDir, target.URL, nil); err != nil || len(open) != 0 {
		t.Errorf("open %+v, %v", open, err)
	}
	if n, err := s.CountPut(ctx, target.GitDir, target.URL); err != nil || n != 1 {
		t.Errorf("%d refs are there, %v", n, err)
	}
	ends := now.Add(48 * time.Hour)
	for _, err := range []error{
		s.Ends(ctx, target.GitDir, target.URL, ends),
		s.Seen(ctx, target.GitDir, target.URL, now, "", masked.Text{}),
		s.Seen(ctx, target.GitDir, target.URL, now.Add(time.Hour), "auth", masked.Const("no")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	owe("b2", "3", false) // the target's row is written again and keeps its notes
	list, err := s.Targets(ctx, "", "")
	if err != nil || len(list) != 1 {
		t.Fatalf("targets %+v, %v", list, err)
	}
	if l := list[0]; !l.Checked.Equal(now) || !l.Looked.Equal(now.Add(time.Hour)) || l.LookClass != "auth" || l.LookError.String() != "no" || !l.Expires.Equal(ends) {
		t.Errorf("target %+v", l)
	}
	for at, want := range map[time.Duration]int{59 * time.Minute: 0, time.Hour: 1} {
		if list, err := s.UnseenTargets(ctx, now.Add(at), now.Add(2*time.Hour)); err != nil || len(list) != want {
			t.Errorf("unseen since %s: %+v, %v", at, list, err)
		}
	}
	// Its pushes go through again; and the new credential does not end.
	if err := errors.Join(s.Reached(ctx, target.GitDir, target.URL), s.Ends(ctx, target.GitDir, target.URL, time.Time{})); err != nil {
		t.Fatal(err)
	}
	if list, err := s.Targets(ctx, "", ""); err != nil || list[0].LookClass != "" || !list[0].Expires.IsZero() || !list[0].Checked.Equal(now) {
		t.Errorf("targets %+v, %v", list, err)
	}
}

// Settle does not wait for the disk; whoever comes after it does again.
func TestSettleLeavesOthersTheirDisk(t *testing.T) {
	ctx := context.Background()
	s, err := Open(ctx, t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	ended, cancel := context.WithCancel(ctx)
	cancel()
	for _, c := range []context.Context{ctx, ended} {
		s.Settle(c, []Delivery{{GitDir: "/r", URL: "u", Ref: "refs/x"}})
		var level int
		if err := s.db.QueryRowContext(ctx, "PRAGMA synchronous").Scan(&level); err != nil || level != 2 {
			t.Errorf("synchronous is %d, %v; want 2, FULL", level, err)
		}
	}
}

// A look that was made while the clock was years ahead counts for none.
func TestALookInTheFutureIsNone(t *testing.T) {
	ctx := t.Context()
	s := openTemp(t)
	target := MirrorTarget{GitDir: "/r.git", URL: "https://h/r", Name: "h", RetryFor: time.Hour}
	if err := s.Owe(ctx, target, []Delivery{{Ref: "refs/heads/main", Want: "a1", Seq: "1"}}, clock, false); err != nil {
		t.Fatal(err)
	}
	if err := s.Seen(ctx, target.GitDir, target.URL, clock.AddDate(5, 0, 0), "", masked.Text{}); err != nil {
		t.Fatal(err)
	}
	if list, err := s.UnseenTargets(ctx, clock.Add(-time.Hour), clock); err != nil || len(list) != 1 {
		t.Errorf("%+v, %v", list, err)
	}
}
