package store

import (
	"database/sql"
	"fmt"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

// watchRows fails the test if a transaction changes more rows than it may: it
// holds the write lock as long.
func watchRows(t *testing.T, s *Store) {
	t.Helper()
	var before int
	if err := s.db.QueryRow("SELECT total_changes()").Scan(&before); err != nil {
		t.Fatal(err)
	}
	s.changed = func(what string, all int) {
		// A run, its push and the refs of a push come beside the rows that are many.
		if n := all - before; n > 2*maxRows {
			t.Errorf("%s: one transaction changes %d rows", what, n)
		}
		before = all
	}
}

// insert puts rows into the store at once, which nothing but a test does.
func insert(t *testing.T, s *Store, f func(tx *sql.Tx) error) {
	t.Helper()
	if err := s.change(t.Context(), "insert", f); err != nil {
		t.Fatal(err)
	}
}

const many = 100_000

func TestARunOfManyRowsIsRemovedInPieces(t *testing.T) {
	s := openTemp(t)
	run := take(t, s, "/g/a.git", update("refs/heads/main", "1")).Runs[0]
	insert(t, s, func(tx *sql.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO commands SELECT ?, 'job' || (i % 100), i, 'true', 0, '', 0, 0, 0 FROM n`, many, run.Number)
		if err == nil {
			_, err = tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
			INSERT INTO jobs SELECT ?, 'job' || i, i, 'running', 1, '', 0, 0, 0 FROM n`, 9_999, run.Number)
		}
		return err
	})
	watchRows(t, s)
	if gone, err := s.Remove(t.Context(), []string{run.ID}); err != nil || len(gone) > 0 {
		t.Fatalf("a queued run was removed: %v, %v", gone, err)
	}
	if _, err := s.Finish(t.Context(), run.ID, Final{State: event.RunOrphaned, Reason: masked.Const("x"), FinishedAt: clock}); err != nil {
		t.Fatal(err)
	}
	count := func(where string) (n int) {
		t.Helper()
		if err := s.db.QueryRow("SELECT count(*) FROM " + where).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	if n, rows := count("jobs WHERE state = 'canceled'"), count("commands"); n != 9_999 || rows != many {
		t.Errorf("after its end %d jobs are canceled and there are %d commands", n, rows)
	}
	gone, err := s.Remove(t.Context(), []string{run.ID})
	if err != nil || len(gone) != 1 || gone[0] != run.PushID {
		t.Fatalf("%v, %v", gone, err)
	}
	for _, table := range []string{"runs", "pushes", "jobs", "commands"} {
		if n := count(table); n > 0 {
			t.Errorf("%d rows are left in %s", n, table)
		}
	}
}

func TestManyPushesAndRefsAreWrittenInPieces(t *testing.T) {
	s := openTemp(t)
	insert(t, s, func(tx *sql.Tx) error {
		for i := range many / 10 {
			id := event.NewID(clock.Add(time.Duration(i) * time.Millisecond))
			if _, err := tx.Exec("INSERT INTO pushes (id, at, git_dir, pusher, options, updates, recovered, notes) VALUES (?, ?, '/g/a.git', 'ann', 'null', '[]', 0, 'null')", id, nanos(clock)); err != nil {
				return err
			}
		}
		return nil
	})
	watchRows(t, s)
	kept := take(t, s, "/g/a.git", update("refs/heads/main", "1")).Runs[0].PushID
	gone, err := s.RemoveIdlePushes(t.Context(), "/g/a.git", clock.Add(time.Hour))
	if err != nil || len(gone) != many/10 {
		t.Errorf("%d pushes are gone, %v", len(gone), err)
	}
	if known, err := s.Knows(t.Context(), kept); !known || err != nil {
		t.Errorf("the push of a run: %v, %v", known, err)
	}

	var updates []event.Update
	there := map[string]string{}
	for i := range many / 10 {
		u := update(fmt.Sprintf("refs/heads/b%d", i), "2")
		updates = append(updates, u)
		there[u.Ref] = u.New
	}
	p := event.Push{ID: event.NewID(clock), At: clock, GitDir: "/g/a.git", Pusher: "ann", Updates: updates}
	for range 2 { // again, as after a kill in between
		if _, err := s.TakePush(t.Context(), p, nil, nil, clock); err != nil {
			t.Fatal(err)
		}
		tips, _, err := s.Tips(t.Context(), "/g/a.git")
		if err != nil || len(tips) != len(updates)+1 {
			t.Errorf("%d refs are known, %v", len(tips), err)
		}
		s.changed = nil
		if _, err := s.db.Exec("DELETE FROM tips WHERE ref LIKE 'refs/heads/b1%'"); err != nil {
			t.Fatal(err)
		}
		watchRows(t, s)
	}
	if err := s.Survey(t.Context(), "/g/b.git", there); err != nil {
		t.Fatal(err)
	}
	if tips, known, err := s.Tips(t.Context(), "/g/b.git"); len(tips) != len(updates) || !known || err != nil {
		t.Errorf("%d refs are known: %v, %v", len(tips), known, err)
	}
}

// Runs past keeping come in pages.
func TestExpiredRunsComeInPages(t *testing.T) {
	s := openTemp(t)
	push := take(t, s, "/g/a.git", update("refs/heads/main", "1")).Runs[0].PushID
	insert(t, s, func(tx *sql.Tx) error {
		_, err := tx.Exec(`WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)
			INSERT INTO runs (id, push_id, git_dir, ref, old, new, pusher, options, state, pushed_at, queued_at, retry_of)
			SELECT 'r' || i, ?, '/g/a.git', 'refs/heads/main', '', '', '', 'null', 'failed', 0, 0, 'x' FROM n`, push)
		return err
	})
	var all []event.Run
	at := int64(0)
	for {
		page, err := s.Expired(t.Context(), "/g/a.git", 100, time.Time{}, at)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		if len(page) > maxRows {
			t.Errorf("a page of %d", len(page))
		}
		all = append(all, page...)
		at = page[len(page)-1].Number
	}
	if len(all) != 1100 || all[0].ID != "r1" || all[len(all)-1].ID != "r1100" {
		t.Errorf("%d runs", len(all))
	}
}
