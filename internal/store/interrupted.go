package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"quire/internal/event"
)

// Interrupted lists the runs that were cut off and that nobody has seen to,
// oldest first.
func (s *Store) Interrupted(ctx context.Context) ([]event.Run, error) {
	runs, err := queryRuns(ctx, s.db, "WHERE interrupted = 1 ORDER BY number")
	if err != nil {
		return nil, fmt.Errorf("look for interrupted runs: %w", explain(err))
	}
	return runs, nil
}

// Rerun sees to an interrupted run: with newID, its commit is queued as a run of
// that id, unless a later run of its ref is there, whose number is returned then.
// Either way the run's pusher is to be told. Doing it again changes nothing.
func (s *Store) Rerun(ctx context.Context, id, newID string, now time.Time) (again event.Run, later int64, err error) {
	err = s.change(ctx, "see to interrupted run "+id, func(tx *sql.Tx) error {
		again, later = event.Run{}, 0
		var todo int
		old, err := one(queryRuns(ctx, tx, "WHERE id = ?", id))
		if err == nil {
			err = tx.QueryRowContext(ctx, "SELECT interrupted FROM runs WHERE id = ?", id).Scan(&todo)
		}
		if err != nil || todo != 1 {
			return err
		}
		if newID != "" {
			err = tx.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) FROM runs WHERE git_dir = ? AND ref = ? AND number > ?",
				old.GitDir, old.Ref, old.Number).Scan(&later)
			if err == nil && later == 0 {
				again = event.Run{
					ID: newID, PushID: old.PushID, GitDir: old.GitDir, Update: old.Update, Pusher: old.Pusher, Options: old.Options,
					State: event.RunQueued, PushedAt: old.PushedAt, QueuedAt: now.UTC(), RetryOf: old.ID, Rerun: true,
				}
				err = insertRun(ctx, tx, &again)
			}
			if err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "UPDATE runs SET interrupted = 2 WHERE id = ?", id); err != nil {
			return err
		}
		_, err = tx.ExecContext(ctx, "UPDATE pushes SET untold = 1 WHERE id = ?", old.PushID)
		return err
	})
	return again, later, err
}

// RerunOf is the run that was made because a run was interrupted. ErrNone if there
// is none.
func (s *Store) RerunOf(ctx context.Context, id string) (event.Run, error) {
	r, err := one(queryRuns(ctx, s.db, "WHERE retry_of = ? AND rerun ORDER BY number LIMIT 1", id))
	if err != nil && !errors.Is(err, ErrNone) {
		err = fmt.Errorf("look for the run after %s: %w", id, explain(err))
	}
	return r, err
}

// Later is the number of the last run of the same ref after a run; 0 if there is none.
func (s *Store) Later(ctx context.Context, r event.Run) (number int64, err error) {
	err = s.db.QueryRowContext(ctx, "SELECT coalesce(max(number), 0) FROM runs WHERE git_dir = ? AND ref = ? AND number > ? AND push_id <> ?",
		r.GitDir, r.Ref, r.Number, r.PushID).Scan(&number)
	if err != nil {
		return 0, fmt.Errorf("look for later runs: %w", explain(err))
	}
	return number, nil
}
