package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"quire/internal/event"
)

// maxRows bounds the rows that one transaction writes. It holds the write lock, for
// which the worker, other runs and the hooks' pushes wait.
const maxRows = 500

// Record writes where jobs and commands of a run stand, in as few transactions as
// maxRows allows. A job keeps the position at which it was first recorded.
func (s *Store) Record(ctx context.Context, runID string, jobs []event.Job, commands []event.Command) error {
	for len(jobs) > 0 || len(commands) > 0 {
		j := jobs[:min(len(jobs), maxRows)]
		c := commands[:min(len(commands), maxRows-len(j))]
		jobs, commands = jobs[len(j):], commands[len(c):]
		err := s.change(ctx, "record jobs of run "+runID, func(tx *sql.Tx) error {
			return record(ctx, tx, runID, j, c)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func record(ctx context.Context, tx *sql.Tx, runID string, jobs []event.Job, commands []event.Command) error {
	if len(jobs) == 0 && len(commands) == 0 {
		return nil
	}
	var run int64
	if err := tx.QueryRowContext(ctx, "SELECT number FROM runs WHERE id = ?", runID).Scan(&run); err != nil {
		return err
	}
	if len(jobs) > 0 {
		stmt, err := tx.PrepareContext(ctx, `INSERT INTO jobs (run, id, position, state, attempt, reason, started_at, finished_at, duration)
			VALUES (?, ?, coalesce((SELECT position FROM jobs WHERE run = ? ORDER BY position DESC LIMIT 1), 0) + 1, ?, ?, ?, ?, ?, ?)
			ON CONFLICT (run, id) DO UPDATE SET state = excluded.state, attempt = excluded.attempt, reason = excluded.reason,
				started_at = excluded.started_at, finished_at = excluded.finished_at, duration = excluded.duration`)
		if err != nil {
			return err
		}
		defer stmt.Close()
		for _, j := range jobs {
			if _, err := stmt.ExecContext(ctx, run, j.ID, run, j.State, j.Attempt, column(j.Reason),
				nanos(j.StartedAt), nanos(j.FinishedAt), int64(j.Duration)); err != nil {
				return err
			}
		}
	}
	if len(commands) == 0 {
		return nil
	}
	stmt, err := tx.PrepareContext(ctx, `INSERT INTO commands (run, job, n, line, exit, signal, started_at, finished_at, duration)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT (run, job, n) DO UPDATE SET exit = excluded.exit, signal = excluded.signal,
			finished_at = excluded.finished_at, duration = excluded.duration`)
	if err != nil {
		return err
	}
	defer stmt.Close()
	for _, c := range commands {
		if _, err := stmt.ExecContext(ctx, run, c.Job, c.N, column(c.Line), c.Exit, c.Signal,
			nanos(c.StartedAt), nanos(c.FinishedAt), int64(c.Duration)); err != nil {
			return err
		}
	}
	return nil
}

// Jobs lists a run's jobs in the order of its pipeline.
func (s *Store) Jobs(ctx context.Context, runID string) ([]event.Job, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id, state, attempt, reason, started_at, finished_at, duration FROM jobs
		WHERE run = (SELECT number FROM runs WHERE id = ?) ORDER BY position`, runID)
	if err != nil {
		return nil, fmt.Errorf("list jobs of run %s: %w", runID, explain(err))
	}
	defer rows.Close()
	var out []event.Job
	for rows.Next() {
		j := event.Job{RunID: runID}
		var started, finished, duration int64
		if err := rows.Scan(&j.ID, &j.State, &j.Attempt, &j.Reason, &started, &finished, &duration); err != nil {
			return nil, fmt.Errorf("list jobs of run %s: %w", runID, err)
		}
		j.StartedAt, j.FinishedAt, j.Duration = fromNanos(started), fromNanos(finished), time.Duration(duration)
		out = append(out, j)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list jobs of run %s: %w", runID, explain(err))
	}
	return out, nil
}

// Commands lists the sh calls of a run's job, or of all its jobs if job is "".
// One that has no FinishedAt is still at work, or was when its supervisor died.
func (s *Store) Commands(ctx context.Context, runID, job string) ([]event.Command, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT job, n, line, exit, signal, started_at, finished_at, duration FROM commands
		WHERE run = (SELECT number FROM runs WHERE id = ?1) AND (?2 = '' OR job = ?2) ORDER BY job, n`, runID, job)
	if err != nil {
		return nil, fmt.Errorf("list commands of run %s: %w", runID, explain(err))
	}
	defer rows.Close()
	var out []event.Command
	for rows.Next() {
		c := event.Command{RunID: runID}
		var started, finished, duration int64
		if err := rows.Scan(&c.Job, &c.N, &c.Line, &c.Exit, &c.Signal, &started, &finished, &duration); err != nil {
			return nil, fmt.Errorf("list commands of run %s: %w", runID, err)
		}
		c.StartedAt, c.FinishedAt, c.Duration = fromNanos(started), fromNanos(finished), time.Duration(duration)
		out = append(out, c)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list commands of run %s: %w", runID, explain(err))
	}
	return out, nil
}
