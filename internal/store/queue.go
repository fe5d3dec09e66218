package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

// Next lists the queued runs that may start now, at most one for each
// repository, oldest first: of a ref on which a run is running none may, so
// that no two runs of a ref are ever at work at the same time. Those given as
// starting count as running, or are not to be named for another reason. Which
// repository's turn it is, the caller knows.
func (s *Store) Next(ctx context.Context, starting []string) ([]event.Run, error) {
	runs, err := queryRuns(ctx, s.db, `WHERE number IN (
		SELECT min(q.number) FROM runs q
		WHERE q.state = 'queued' AND q.id NOT IN (SELECT value FROM json_each(?1)) AND NOT EXISTS (
			SELECT 1 FROM runs r WHERE r.git_dir = q.git_dir AND r.ref = q.ref
			AND (r.state = 'running' OR r.state = 'queued' AND r.id IN (SELECT value FROM json_each(?1))))
		GROUP BY q.git_dir) ORDER BY number`, asJSON(append([]string{}, starting...))) // never null, of which NOT IN is never true
	if err != nil {
		return nil, fmt.Errorf("look for queued runs: %w", explain(err))
	}
	return runs, nil
}

// Queued is how many runs are queued.
func (s *Store) Queued(ctx context.Context) (n int, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT count(*) FROM runs WHERE state = 'queued'").Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count queued runs: %w", explain(err))
	}
	return n, nil
}

// Stop is what was asked of a running run.
type Stop struct {
	State  event.RunState // RunCanceled, RunReplaced; "" nothing
	Reason masked.Text
	By     string // the run that takes its place
}

// ErrNotQueued is wrapped by Start's error for a run that is running or over.
var ErrNotQueued = errors.New("it is not queued")

// Start makes a queued run a running one, held by h.
func (s *Store) Start(ctx context.Context, id string, h Holder, now time.Time) (event.Run, error) {
	var r event.Run
	err := s.change(ctx, "start run "+id, func(tx *sql.Tx) error {
		var err error
		if r, err = one(queryRuns(ctx, tx, "WHERE id = ?", id)); err != nil {
			return err
		}
		if r.State != event.RunQueued {
			return fmt.Errorf("%w but %s", ErrNotQueued, r.State)
		}
		r.State, r.StartedAt = event.RunRunning, now.UTC()
		_, err = tx.ExecContext(ctx,
			"UPDATE runs SET state = ?, started_at = ?, pid = ?, pid_start = ?, boot = ? WHERE number = ?",
			r.State, nanos(now), h.PID, int64(h.Start), h.Boot, r.Number)
		return err
	})
	return r, err
}

// Running is a run at work, with who holds it and what was asked of it.
type Running struct {
	event.Run
	Holder Holder
	Stop   Stop
}

// Running lists the runs that are running, oldest first.
func (s *Store) Running(ctx context.Context) ([]Running, error) {
	runs, err := queryRuns(ctx, s.db, "WHERE state = 'running' ORDER BY number")
	if err != nil {
		return nil, fmt.Errorf("look for running runs: %w", explain(err))
	}
	out := make([]Running, 0, len(runs))
	for _, r := range runs {
		h, stop, err := s.holding(ctx, s.db, r.ID)
		if err != nil {
			return nil, fmt.Errorf("look for running runs: %w", explain(err))
		}
		out = append(out, Running{r, h, stop})
	}
	return out, nil
}

type rower interface {
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

func (s *Store) holding(ctx context.Context, q rower, id string) (h Holder, stop Stop, err error) {
	var start int64
	err = q.QueryRowContext(ctx, "SELECT pid, pid_start, boot, stop, stop_reason, stop_by FROM runs WHERE id = ?", id).
		Scan(&h.PID, &start, &h.Boot, &stop.State, &stop.Reason, &stop.By)
	h.Start = uint64(start)
	return h, stop, err
}

// StopAsked reads what was asked of a run.
func (s *Store) StopAsked(ctx context.Context, id string) (Stop, error) {
	_, stop, err := s.holding(ctx, s.db, id)
	if err != nil {
		return stop, fmt.Errorf("read what was asked of run %s: %w", id, explain(err))
	}
	return stop, nil
}

// AskStop asks a run to end. A queued one is over at once and is returned in its final
// state; a running one stays running until its supervisor has ended it, and is
// returned with its holder, who is to be told; one that is over stays so.
func (s *Store) AskStop(ctx context.Context, id string, stop Stop, now time.Time) (Running, error) {
	var r Running
	err := s.change(ctx, "stop run "+id, func(tx *sql.Tx) error {
		var err error
		r = Running{}
		if r.Run, err = one(queryRuns(ctx, tx, "WHERE id = ?", id)); err != nil {
			return err
		}
		switch r.State {
		case event.RunQueued:
			r.State, r.Reason, r.ReplacedBy, r.FinishedAt = stop.State, stop.Reason, stop.By, now.UTC()
			_, err = tx.ExecContext(ctx, "UPDATE runs SET state = ?, reason = ?, replaced_by = ?, finished_at = ? WHERE number = ?",
				r.State, column(r.Reason), r.ReplacedBy, nanos(now), r.Number)
			return err
		case event.RunRunning:
			// A person's word goes before a newer push, whichever came first.
			_, err = tx.ExecContext(ctx,
				"UPDATE runs SET stop = ?, stop_reason = ?, stop_by = ? WHERE number = ? AND (stop = '' OR ? = 'canceled')",
				stop.State, column(stop.Reason), stop.By, r.Number, stop.State)
			if err != nil {
				return err
			}
			r.Holder, r.Stop, err = s.holding(ctx, tx, id)
			return err
		}
		return nil
	})
	return r, err
}

// Final is how a run ended.
type Final struct {
	State      event.RunState
	Reason     masked.Text
	FinishedAt time.Time
	Duration   time.Duration // monotonic
	ReplacedBy string
	Jobs       []event.Job // as they ended, in the order of the pipeline

	Interrupted bool // nobody asked for it
}

// Finish records the states of a run's jobs, and then its end. A run that is
// over already stays as it is: the first end counts. The result says whether
// this was the first.
func (s *Store) Finish(ctx context.Context, id string, f Final) (first bool, err error) {
	for jobs := f.Jobs; len(jobs) > 0; {
		some := jobs[:min(len(jobs), maxRows)]
		jobs = jobs[len(some):]
		over := false
		err := s.change(ctx, "finish run "+id, func(tx *sql.Tx) error {
			run, err := one(queryRuns(ctx, tx, "WHERE id = ?", id))
			if over = errors.Is(err, ErrNone) || run.State.Final(); over {
				return nil
			}
			if err != nil {
				return err
			}
			return record(ctx, tx, id, some, nil)
		})
		if err != nil || over {
			return false, err
		}
	}
	if err := s.cancelJobs(ctx, id); err != nil {
		return false, err
	}
	err = s.change(ctx, "finish run "+id, func(tx *sql.Tx) error {
		res, err := tx.ExecContext(ctx,
			"UPDATE runs SET state = ?, reason = ?, finished_at = ?, duration = ?, replaced_by = ?, interrupted = ?, pid = 0, stop = ''"+
				" WHERE id = ? AND state IN ('queued', 'running')",
			f.State, column(f.Reason), nanos(f.FinishedAt), int64(f.Duration), f.ReplacedBy, f.Interrupted, id)
		if err != nil {
			return err
		}
		n, err := res.RowsAffected()
		if err != nil || n == 0 {
			return err
		}
		first = true
		return nil
	})
	return first, err
}

// cancelJobs ends what a dead supervisor left unfinished of a run that is about to
// end, in transactions of no more than maxRows rows.
func (s *Store) cancelJobs(ctx context.Context, id string) error {
	for {
		var n int64
		err := s.change(ctx, "finish run "+id, func(tx *sql.Tx) error {
			const of = "(SELECT number FROM runs WHERE id = ?1 AND state IN ('queued', 'running'))"
			res, err := tx.ExecContext(ctx, "UPDATE jobs SET state = ?2 WHERE run = "+of+" AND id IN (SELECT id FROM jobs WHERE run = "+of+
				" AND state IN ('pending', 'running') LIMIT ?3)", id, event.JobCanceled, maxRows)
			if err == nil {
				n, err = res.RowsAffected()
			}
			return err
		})
		if err != nil || n < maxRows {
			return err
		}
	}
}

// Retry makes a new run of an old run's commit, with the same push.
func (s *Store) Retry(ctx context.Context, id, newID string, now time.Time) (event.Run, error) {
	var r event.Run
	err := s.change(ctx, "retry run "+id, func(tx *sql.Tx) error {
		old, err := one(queryRuns(ctx, tx, "WHERE id = ?", id))
		if err != nil {
			return err
		}
		if !old.State.Final() {
			return fmt.Errorf("it is still %s", old.State)
		}
		r = event.Run{
			ID: newID, PushID: old.PushID, GitDir: old.GitDir, Update: old.Update, Pusher: old.Pusher, Options: old.Options,
			State: event.RunQueued, PushedAt: old.PushedAt, QueuedAt: now.UTC(), RetryOf: old.ID,
		}
		return insertRun(ctx, tx, &r)
	})
	return r, err
}
