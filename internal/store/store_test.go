package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

var clock = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

func openTemp(t testing.TB) *Store {
	t.Helper()
	s, err := Open(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func oid(c string) string { return strings.Repeat(c, 40) }

func update(ref, new string) event.Update {
	return event.Update{Old: oid("0"), New: oid(new), Ref: ref}
}

func take(t testing.TB, s *Store, repo string, updates ...event.Update) Taken {
	t.Helper()
	p := event.Push{ID: event.NewID(clock), At: clock, GitDir: repo, Pusher: "ann", Updates: updates}
	got, err := s.TakePush(t.Context(), p, plan(updates), nil, clock)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

func plan(updates []event.Update) []Planned {
	var out []Planned
	for _, u := range updates {
		out = append(out, Planned{ID: event.NewID(clock), Update: u, Name: masked.Const("x")})
	}
	return out
}

func TestAPushIsTakenOnce(t *testing.T) {
	s := openTemp(t)
	p := event.Push{ID: event.NewID(clock), At: clock, GitDir: "/g/a.git", Pusher: "ann", Options: []string{"ci.var=A=ü"},
		Updates: []event.Update{update("refs/heads/main", "a"), update("refs/tags/v1", "a"), update("refs/heads/plain", "b")}}
	first, err := s.TakePush(t.Context(), p, plan(p.Updates[:2]), []string{"plain has no pipeline"}, clock)
	if err != nil {
		t.Fatal(err)
	}
	if len(first.Runs) != 2 || first.Again || first.Runs[0].Number != 1 || first.Runs[1].Number != 2 {
		t.Fatalf("first: %+v", first)
	}
	// Taken again, with another plan: the first taking holds.
	again, err := s.TakePush(t.Context(), p, plan(p.Updates), nil, clock.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if !again.Again || !reflect.DeepEqual(again.Runs, first.Runs) || !reflect.DeepEqual(again.Notes, first.Notes) {
		t.Errorf("again: %+v\nfirst: %+v", again, first)
	}
	got, notes, err := s.Push(t.Context(), p.ID)
	if err != nil || !reflect.DeepEqual(got, p) || len(notes) != 1 {
		t.Errorf("Push = %+v, %q, %v", got, notes, err)
	}
	if _, _, err := s.Push(t.Context(), event.NewID(clock)); !errors.Is(err, ErrNone) {
		t.Errorf("unknown push: %v", err)
	}
}

func TestATakingThatFailsLeavesNothing(t *testing.T) {
	s := openTemp(t)
	p := event.Push{ID: event.NewID(clock), GitDir: "/g/a.git", Updates: []event.Update{update("refs/heads/a", "a"), update("refs/heads/b", "b")}}
	twice := plan(p.Updates)
	twice[1].ID = twice[0].ID
	if _, err := s.TakePush(t.Context(), p, twice, nil, clock); err == nil {
		t.Fatal("two runs of one id were taken")
	}
	if runs, err := s.Runs(t.Context(), Filter{}); len(runs) != 0 || err != nil {
		t.Errorf("left: %v, %v", runs, err)
	}
	if known, _ := s.Knows(t.Context(), p.ID); known {
		t.Error("the push is known")
	}
}

func TestManyProcessesTakeOnePush(t *testing.T) {
	dir := t.TempDir()
	p := event.Push{ID: event.NewID(clock), GitDir: "/g/a.git", Updates: []event.Update{update("refs/heads/a", "a")}}
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() { // its own connection, as another process has
			s, err := Open(t.Context(), dir)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if _, err := s.TakePush(t.Context(), p, plan(p.Updates), nil, clock); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if runs, err := s.Runs(t.Context(), Filter{}); len(runs) != 1 || err != nil {
		t.Errorf("%d runs, %v", len(runs), err)
	}
	if st, err := os.Stat(Path(dir)); err != nil || st.Mode().Perm() != 0o600 {
		t.Errorf("database: %v, %v", st.Mode(), err)
	}
}

func TestANewerPushDisplacesTheOlderOfItsRef(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	old := take(t, s, "/g/a.git", update("refs/heads/x", "a"), update("refs/tags/x", "a"), update("refs/heads/y", "a")).Runs
	other := take(t, s, "/g/b.git", update("refs/heads/x", "a")).Runs
	if _, err := s.Start(ctx, old[2].ID, Holder{PID: 7, Start: 8, Boot: "b"}, clock); err != nil {
		t.Fatal(err)
	}
	got := take(t, s, "/g/a.git", update("refs/heads/x", "b"), update("refs/heads/y", "b"))
	if len(got.Displaced) != 2 {
		t.Fatalf("displaced: %+v", got.Displaced)
	}
	queued, running := got.Displaced[0], got.Displaced[1]
	if !queued.Over || queued.Run.ID != old[0].ID || queued.By.ID != got.Runs[0].ID {
		t.Errorf("queued: %+v", queued)
	}
	if running.Over || running.Run.ID != old[2].ID {
		t.Errorf("running: %+v", running)
	}
	r, err := s.Run(ctx, old[0].ID)
	if err != nil || r.State != event.RunReplaced || r.ReplacedBy != got.Runs[0].ID || r.Reason.String() != "run 5 is of a newer push to x" {
		t.Errorf("replaced: %+v, %v", r, err)
	}
	for _, untouched := range []event.Run{old[1], other[0]} {
		if r, err := s.Run(ctx, untouched.ID); err != nil || r.State != event.RunQueued {
			t.Errorf("%s of %s: %s, %v", r.Ref, r.GitDir, r.State, err)
		}
	}
	stop, err := s.StopAsked(ctx, old[2].ID)
	if err != nil || stop.State != event.RunReplaced || stop.By != got.Runs[1].ID {
		t.Errorf("asked: %+v, %v", stop, err)
	}
	// The newest successor counts, unless a person canceled.
	newest := take(t, s, "/g/a.git", update("refs/heads/y", "c")).Runs[0]
	if stop, _ := s.StopAsked(ctx, old[2].ID); stop.By != newest.ID {
		t.Errorf("asked: %+v, want by %s", stop, newest.ID)
	}
	if _, err := s.AskStop(ctx, old[2].ID, Stop{State: event.RunCanceled, Reason: masked.Const("bob")}, clock); err != nil {
		t.Fatal(err)
	}
	take(t, s, "/g/a.git", update("refs/heads/y", "d"))
	if stop, _ := s.StopAsked(ctx, old[2].ID); stop.State != event.RunCanceled {
		t.Errorf("asked: %+v", stop)
	}
}

func TestNextIsOneOfEachRepositoryAndNoneOfABusyRef(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	next := func(starting ...string) (numbers []int64) {
		t.Helper()
		runs, err := s.Next(ctx, starting)
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range runs {
			numbers = append(numbers, r.Number)
		}
		return numbers
	}
	if got := next(); got != nil {
		t.Fatalf("of nothing: %v", got)
	}
	a := take(t, s, "/g/a.git", update("refs/heads/x", "a"), update("refs/heads/y", "a")).Runs // 1, 2
	take(t, s, "/g/b.git", update("refs/heads/x", "a"))                                        // 3
	if got := next(); fmt.Sprint(got) != "[1 3]" {
		t.Errorf("next: %v", got)
	}
	// A supervisor was started for it, and has not yet said so.
	if got := next(a[0].ID); fmt.Sprint(got) != "[2 3]" {
		t.Errorf("next: %v", got)
	}
	if _, err := s.Start(ctx, a[0].ID, Holder{PID: 1}, clock); err != nil {
		t.Fatal(err)
	}
	if got := next(); fmt.Sprint(got) != "[2 3]" {
		t.Errorf("next: %v", got)
	}
	if _, err := s.AskStop(ctx, a[1].ID, Stop{State: event.RunCanceled}, clock); err != nil {
		t.Fatal(err)
	}
	four := take(t, s, "/g/a.git", update("refs/heads/x", "b")).Runs[0] // waits for 1
	if got := next(); fmt.Sprint(got) != "[3]" {
		t.Errorf("next: %v", got)
	}
	if _, err := s.Finish(ctx, a[0].ID, Final{State: event.RunReplaced}); err != nil {
		t.Fatal(err)
	}
	if got := next(); fmt.Sprint(got) != "[3 4]" {
		t.Errorf("next: %v", got)
	}
	if n, err := s.Queued(ctx); n != 2 || err != nil {
		t.Errorf("Queued = %d, %v", n, err)
	}
	five := take(t, s, "/g/c.git", update("refs/heads/x", "b")).Runs[0]
	if _, err := s.Retry(ctx, a[0].ID, event.NewID(clock), clock); err != nil { // 6, behind 4
		t.Fatal(err)
	}
	if got := next(four.ID, five.ID); fmt.Sprint(got) != "[3]" {
		t.Errorf("next: %v", got)
	}
}

func TestStartAndFinishHappenOnce(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	r := take(t, s, "/g/a.git", update("refs/heads/x", "a")).Runs[0]
	h := Holder{PID: 77, Start: 1<<63 + 5, Boot: "boot"}
	if got, err := s.Start(ctx, r.ID, h, clock); err != nil || got.State != event.RunRunning {
		t.Fatalf("Start = %+v, %v", got, err)
	}
	if _, err := s.Start(ctx, r.ID, h, clock); !errors.Is(err, ErrNotQueued) {
		t.Errorf("starting again: %v", err)
	}
	running, err := s.Running(ctx)
	if err != nil || len(running) != 1 || running[0].Holder != h || running[0].ID != r.ID {
		t.Errorf("Running = %+v, %v", running, err)
	}
	jobs := []event.Job{{ID: "z", State: event.JobSucceeded, Attempt: 1}, {ID: "a", State: event.JobRunning, Attempt: 2, Reason: masked.Const("r")}}
	if err := s.Record(ctx, r.ID, jobs, []event.Command{{Job: "z", N: 1, Line: masked.Const("make"), StartedAt: clock}}); err != nil {
		t.Fatal(err)
	}
	done := Final{State: event.RunFailed, Reason: masked.Const("why"), FinishedAt: clock.Add(time.Minute), Duration: time.Second, Jobs: jobs[:1]}
	if first, err := s.Finish(ctx, r.ID, done); !first || err != nil {
		t.Errorf("Finish = %v, %v", first, err)
	}
	if first, err := s.Finish(ctx, r.ID, Final{State: event.RunOrphaned}); first || err != nil {
		t.Errorf("finishing again = %v, %v", first, err)
	}
	got, err := s.Run(ctx, r.ID)
	if err != nil || got.State != event.RunFailed || got.Reason.String() != "why" || got.Duration != time.Second || !got.FinishedAt.Equal(done.FinishedAt) {
		t.Errorf("Run = %+v, %v", got, err)
	}
	recorded, err := s.Jobs(ctx, r.ID)
	if err != nil || len(recorded) != 2 || recorded[0].ID != "z" || recorded[1].State != event.JobCanceled {
		t.Errorf("Jobs = %+v, %v", recorded, err)
	}
	cmds, err := s.Commands(ctx, r.ID, "")
	if err != nil || len(cmds) != 1 || cmds[0].Line.String() != "make" || !cmds[0].FinishedAt.IsZero() {
		t.Errorf("Commands = %+v, %v", cmds, err)
	}
	if got, err := s.AskStop(ctx, r.ID, Stop{State: event.RunCanceled}, clock); err != nil || got.State != event.RunFailed {
		t.Errorf("stopping what is over: %+v, %v", got, err)
	}
}

func TestRetryIsLinkedAndRepeatable(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	r := take(t, s, "/g/a.git", update("refs/heads/x", "a")).Runs[0]
	if _, err := s.Retry(ctx, r.ID, event.NewID(clock), clock); err == nil || !strings.Contains(err.Error(), "still queued") {
		t.Errorf("retry of a queued run: %v", err)
	}
	if _, err := s.Finish(ctx, r.ID, Final{State: event.RunFailed}); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		again, err := s.Retry(ctx, r.ID, event.NewID(clock), clock)
		if err != nil || again.RetryOf != r.ID || again.New != r.New || again.PushID != r.PushID || again.Number <= r.Number {
			t.Errorf("Retry = %+v, %v", again, err)
		}
	}
	if _, err := s.Retry(ctx, event.NewID(clock), event.NewID(clock), clock); !errors.Is(err, ErrNone) {
		t.Errorf("retry of nothing: %v", err)
	}
}

func TestResolve(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	if _, err := s.Resolve(ctx, "last"); !errors.Is(err, ErrNone) {
		t.Errorf("last of none: %v", err)
	}
	ids := []string{"00aaaaaaaaaaaaaaaaaaaaaaaa", "00aaaabbbbbbbbbbbbbbbbbbbb", "12345678901234567890123456"}
	for i, id := range ids {
		p := event.Push{ID: event.NewID(clock), GitDir: "/g/a.git"}
		u := update(fmt.Sprintf("refs/heads/%d", i), "a")
		if _, err := s.TakePush(ctx, p, []Planned{{ID: id, Update: u}}, nil, clock); err != nil {
			t.Fatal(err)
		}
	}
	for name, want := range map[string]int64{
		"1": 1, "3": 3, "last": 3, ids[0]: 1, "00aaaab": 2, "00AAAAA": 1, ids[2]: 3,
		"4": 0, "00a": 0, "%": 0, "00aaaa_": 0, "": 0, "-1": 0, "99999999999999999999": 0,
	} {
		got, err := s.Resolve(ctx, name)
		if want == 0 {
			if !errors.Is(err, ErrNone) {
				t.Errorf("Resolve(%q) = run %d, %v", name, got.Number, err)
			}
		} else if err != nil || got.Number != want {
			t.Errorf("Resolve(%q) = run %d, %v; want %d", name, got.Number, err, want)
		}
	}
	if _, err := s.Resolve(ctx, "00aaaa"); err == nil || !strings.Contains(err.Error(), "1 and 2") {
		t.Errorf("two runs begin so: %v", err)
	}
}

func TestRunsByPages(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	for i := range 25 {
		take(t, s, fmt.Sprintf("/g/%d.git", i%2), update(fmt.Sprintf("refs/heads/%d", i), "a"))
	}
	var numbers []int64
	f := Filter{GitDir: "/g/0.git", State: event.RunQueued, Limit: 5}
	for {
		page, err := s.Runs(ctx, f)
		if err != nil {
			t.Fatal(err)
		}
		if len(page) == 0 {
			break
		}
		for _, r := range page {
			numbers = append(numbers, r.Number)
		}
		f.Before = numbers[len(numbers)-1]
	}
	if fmt.Sprint(numbers) != "[25 23 21 19 17 15 13 11 9 7 5 3 1]" {
		t.Errorf("pages: %v", numbers)
	}
	repos, err := s.Repositories(ctx)
	if err != nil || fmt.Sprint(repos) != "[/g/0.git /g/1.git]" {
		t.Errorf("Repositories = %v, %v", repos, err)
	}
}

func TestTips(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	take(t, s, "/g/a.git", update("refs/heads/x", "a"), update("refs/heads/y", "b"))
	tips, known, err := s.Tips(ctx, "/g/a.git")
	if err != nil || known || len(tips) != 2 {
		t.Errorf("Tips = %v, %v, %v", tips, known, err)
	}
	if err := s.Survey(ctx, "/g/a.git", map[string]string{"refs/heads/z": oid("c"), "refs/heads/y": ""}); err != nil {
		t.Fatal(err)
	}
	tips, known, err = s.Tips(ctx, "/g/a.git")
	want := map[string]string{"refs/heads/x": oid("a"), "refs/heads/z": oid("c")}
	if err != nil || !known || !reflect.DeepEqual(tips, want) {
		t.Errorf("Tips = %v, %v, %v", tips, known, err)
	}
}

func TestRetention(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	var runs []event.Run
	for i := range 6 {
		r := take(t, s, "/g/a.git", update(fmt.Sprintf("refs/heads/%d", i), "a")).Runs[0]
		runs = append(runs, r)
		if i < 5 {
			_, err := s.Finish(ctx, r.ID, Final{State: event.RunFailed, FinishedAt: clock.Add(time.Duration(i) * time.Hour),
				Jobs: []event.Job{{ID: "j", State: event.JobFailed}}})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	numbers := func(keep int, before time.Time) string {
		t.Helper()
		got, err := s.Expired(ctx, "/g/a.git", keep, before, 0)
		if err != nil {
			t.Fatal(err)
		}
		out := []int64{}
		for _, r := range got {
			out = append(out, r.Number)
		}
		return fmt.Sprint(out)
	}
	for _, c := range []struct {
		keep   int
		before time.Time
		want   string
	}{
		{0, time.Time{}, "[]"}, {5, time.Time{}, "[]"}, {6, time.Time{}, "[]"}, {2, time.Time{}, "[1 2 3]"},
		{0, clock.Add(90 * time.Minute), "[1 2]"}, {4, clock.Add(90 * time.Minute), "[1 2]"}, {2, clock, "[1 2 3]"},
	} {
		if got := numbers(c.keep, c.before); got != c.want {
			t.Errorf("keep %d, before %v: %s, want %s", c.keep, c.before, got, c.want)
		}
	}
	gone, err := s.Remove(ctx, []string{runs[0].ID, runs[5].ID})
	if err != nil || len(gone) != 1 || gone[0] != runs[0].PushID {
		t.Errorf("Remove = %v, %v", gone, err)
	}
	if jobs, _ := s.Jobs(ctx, runs[0].ID); len(jobs) != 0 {
		t.Errorf("jobs of a removed run: %v", jobs)
	}
	var n int
	if err := s.db.QueryRow("SELECT count(*) FROM jobs").Scan(&n); err != nil || n != 4 {
		t.Errorf("%d jobs left, %v", n, err)
	}
	if _, err := s.Run(ctx, runs[5].ID); err != nil {
		t.Errorf("a queued run was removed: %v", err)
	}
	// Numbers are never used again, even of the newest run.
	if _, err := s.Finish(ctx, runs[5].ID, Final{State: event.RunFailed}); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Remove(ctx, []string{runs[5].ID}); err != nil {
		t.Fatal(err)
	}
	if r := take(t, s, "/g/a.git", update("refs/heads/n", "a")).Runs[0]; r.Number != 7 {
		t.Errorf("number %d after 6 was removed", r.Number)
	}
	idle := take(t, s, "/g/a.git")
	_ = idle
	if gone, err := s.RemoveIdlePushes(ctx, "/g/a.git", clock.Add(time.Second)); err != nil || len(gone) != 1 {
		t.Errorf("RemoveIdlePushes = %v, %v", gone, err)
	}
}

func TestANewerDatabaseIsRefused(t *testing.T) {
	dir := t.TempDir()
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.db.Exec("PRAGMA user_version = 9999"); err != nil {
		t.Fatal(err)
	}
	s.Close()
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), "a newer quire made them") {
		t.Errorf("Open: %v", err)
	}
}

func TestADirectoryWithOddSignsInItsName(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a b?c#d%41&e=ü")
	s, err := Open(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if st, err := os.Stat(Path(dir)); err != nil || st.Size() == 0 {
		t.Errorf("%v, %v", st, err)
	}
}

func TestWhatIsNoDatabaseIsAnError(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(Path(dir), []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), dir); err == nil || !strings.Contains(err.Error(), Path(dir)) {
		t.Errorf("Open: %v", err)
	}
}

// A full database tells so, stays sound, and goes on when there is room.
func TestFull(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	kept := take(t, s, "/g/a.git", update("refs/heads/x", "a")).Runs[0]
	limit := func(pages int) {
		t.Helper()
		var n int
		if err := s.db.QueryRow(fmt.Sprintf("PRAGMA max_page_count = %d", pages)).Scan(&n); err != nil {
			t.Fatal(err)
		}
	}
	limit(1) // SQLite makes it as many as there are
	p := event.Push{ID: event.NewID(clock), GitDir: "/g/a.git", Pusher: strings.Repeat("p", 1<<20)}
	if _, err := s.TakePush(ctx, p, nil, nil, clock); !errors.Is(err, ErrFull) {
		t.Fatalf("TakePush: %v, want ErrFull", err)
	}
	if r, err := s.Run(ctx, kept.ID); err != nil || r.State != event.RunQueued {
		t.Errorf("Run = %+v, %v", r, err)
	}
	var sound string
	if err := s.db.QueryRow("PRAGMA integrity_check").Scan(&sound); err != nil || sound != "ok" {
		t.Errorf("integrity: %s, %v", sound, err)
	}
	limit(1 << 20)
	if _, err := s.TakePush(ctx, p, nil, nil, clock); err != nil {
		t.Errorf("with room again: %v", err)
	}
}

func TestQueriesUseIndices(t *testing.T) {
	s := openTemp(t)
	for _, q := range []string{
		runColumns + "ORDER BY number DESC LIMIT 20",
		runColumns + "WHERE git_dir = 'x' AND number < 5 ORDER BY number DESC LIMIT 20",
		runColumns + "WHERE git_dir = 'x' AND ref = 'y' ORDER BY number DESC LIMIT 20",
		runColumns + "WHERE state = 'failed' ORDER BY number DESC LIMIT 20",
		runColumns + "WHERE push_id = 'x' ORDER BY number DESC",
		runColumns + "WHERE id = 'x'",
		runColumns + "WHERE id >= 'x' AND id < 'x~' ORDER BY id LIMIT 3",
		"SELECT min(git_dir) FROM pushes WHERE git_dir > 'x'",
	} {
		rows, err := s.db.Query("EXPLAIN QUERY PLAN " + q)
		if err != nil {
			t.Fatal(err)
		}
		for rows.Next() {
			var a, b, c any
			var detail string
			if err := rows.Scan(&a, &b, &c, &detail); err != nil {
				t.Fatal(err)
			}
			if strings.Contains(detail, "TEMP B-TREE") || detail == "SCAN runs" && !strings.Contains(q, "runs ORDER BY number DESC") {
				t.Errorf("%s\n%s", q, detail)
			}
		}
		if err := rows.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func fill(b *testing.B, n int) *Store {
	s := openTemp(b)
	err := s.change(context.Background(), "fill", func(tx *sql.Tx) error {
		stmt, err := tx.Prepare("INSERT INTO runs (id, push_id, git_dir, ref, old, new, pusher, options, state, pushed_at, queued_at) VALUES (?, 'p', ?, ?, ?, ?, 'ann', 'null', ?, 1, 1)")
		if err != nil {
			return err
		}
		if err := insertPush(b.Context(), tx, event.Push{ID: "p", GitDir: "/g/0.git"}, nil); err != nil {
			return err
		}
		for i := range n {
			state := []event.RunState{event.RunSucceeded, event.RunFailed}[i%2]
			_, err := stmt.Exec(event.NewID(time.UnixMilli(int64(i))), fmt.Sprintf("/g/%d.git", i%10), fmt.Sprintf("refs/heads/%d", i), oid("0"), oid("a"), state)
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func BenchmarkList(b *testing.B) {
	for _, n := range []int{10_000, 100_000} {
		s := fill(b, n)
		for name, f := range map[string]Filter{"newest": {Limit: 20}, "repo": {GitDir: "/g/3.git", Limit: 20},
			"repo+state": {GitDir: "/g/3.git", State: event.RunFailed, Limit: 20}, "deep": {Before: int64(n / 2), Limit: 20}} {
			b.Run(fmt.Sprintf("%s-%d", name, n), func(b *testing.B) {
				for b.Loop() {
					if runs, err := s.Runs(b.Context(), f); err != nil || len(runs) != 20 {
						b.Fatal(len(runs), err)
					}
				}
			})
		}
		b.Run(fmt.Sprintf("next-%d", n), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Next(b.Context(), nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	s, err := Open(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	s.Close()
	b.Run("again", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(b.Context(), dir)
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
	})
	b.Run("first", func(b *testing.B) {
		for b.Loop() {
			s, err := Open(b.Context(), b.TempDir())
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
	})
	s, err = Open(b.Context(), dir)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	b.Run("take", func(b *testing.B) {
		i := 0
		for b.Loop() {
			i++
			take(b, s, "/g/a.git", update(fmt.Sprintf("refs/heads/%d", i), "a"))
		}
	})
}

// A job costs the same however many there are: a run may have thousands, and while
// they are written nobody else writes.
func TestRecordingAJobDoesNotDependOnTheOthers(t *testing.T) {
	s := openTemp(t)
	took := func(n int) time.Duration {
		best := time.Hour
		for range 3 {
			id := take(t, s, "/g/a.git", update("refs/heads/"+event.NewID(time.Now()), "a")).Runs[0].ID
			jobs := make([]event.Job, n)
			for i := range jobs {
				jobs[i] = event.Job{ID: fmt.Sprintf("job-%05d", i), State: event.JobPending}
			}
			began := time.Now()
			if err := s.Record(t.Context(), id, jobs, nil); err != nil {
				t.Fatal(err)
			}
			best = min(best, time.Since(began))
			got, err := s.Jobs(t.Context(), id)
			if err != nil || len(got) != n || !slices.IsSortedFunc(got, func(a, b event.Job) int { return strings.Compare(a.ID, b.ID) }) {
				t.Fatalf("%d jobs of %d, or not in their order: %v", len(got), n, err)
			}
		}
		return best
	}
	few, many := took(1000), took(8000)
	t.Logf("1000 jobs in %s, 8000 in %s", few, many)
	if many > 24*few { // 8 times, and 64 where each looks at all
		t.Errorf("8000 jobs took %.0f times as long as 1000", many.Seconds()/few.Seconds())
	}
}

func TestAPushTakenLateDisplacesNoLaterOne(t *testing.T) {
	s := openTemp(t)
	ctx := t.Context()
	oid := func(c string) string { return strings.Repeat(c, 40) }
	move := func(at time.Time, from, to string) Taken {
		t.Helper()
		p := event.Push{ID: event.NewID(at), At: at, GitDir: "/g/a.git",
			Updates: []event.Update{{Ref: "refs/heads/x", Old: oid(from), New: oid(to)}}}
		got, err := s.TakePush(ctx, p, plan(p.Updates), nil, clock)
		if err != nil {
			t.Fatal(err)
		}
		return got
	}
	move(clock, "0", "a")
	move(clock.Add(2*time.Second), "b", "c")
	if late := move(clock.Add(time.Second), "a", "b"); len(late.Displaced) != 0 {
		t.Errorf("a push taken late displaced %+v", late.Displaced)
	}
	if tips, _, err := s.Tips(ctx, "/g/a.git"); err != nil || tips["refs/heads/x"] != oid("c") {
		t.Errorf("x is taken to be at %s, %v", tips["refs/heads/x"], err)
	}
	// The clock was set back: it moved the ref from where it stands, so it is later.
	if back := move(clock.Add(time.Second), "c", "d"); len(back.Displaced) == 0 {
		t.Error("a push after the clock was set back displaced nothing")
	}
}
