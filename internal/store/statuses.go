package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"quire/internal/secret/masked"
)

// Status is a commit status that a mirror's forge is still to be told of. A row
// is gone when the forge has it.
type Status struct {
	GitDir, URL, OID, Context string

	State, Description, Link string
	At                       time.Time // of this state; tells it from a later one

	Attempts int
	NextAt   time.Time   // zero: not before something lands at the target
	Error    masked.Text // of the last attempt, one line
}

// maxStatuses bounds what waits for one target; the oldest go.
const maxStatuses = 1000

// OweStatuses records what a forge is to be told, all of it due at once. What
// was still to be told of the same commit and context is replaced: only how a
// job fares now matters.
func (s *Store) OweStatuses(ctx context.Context, list []Status) error {
	if len(list) == 0 {
		return nil
	}
	return s.change(ctx, "record commit statuses", func(tx *sql.Tx) error {
		targets := map[[2]string]bool{}
		for _, x := range list {
			_, err := tx.ExecContext(ctx, `
				INSERT INTO statuses (git_dir, url, oid, context, state, description, link, at, next_at)
				VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?8)
				ON CONFLICT DO UPDATE SET state = excluded.state, description = excluded.description, link = excluded.link,
					at = excluded.at, attempts = 0, next_at = excluded.next_at, error = ''
				WHERE excluded.at >= at`,
				x.GitDir, x.URL, x.OID, x.Context, x.State, x.Description, x.Link, nanos(x.At))
			if err != nil {
				return err
			}
			targets[[2]string{x.GitDir, x.URL}] = true
		}
		for t := range targets {
			_, err := tx.ExecContext(ctx, `
				DELETE FROM statuses WHERE git_dir = ?1 AND url = ?2 AND (oid, context) IN
					(SELECT oid, context FROM statuses WHERE git_dir = ?1 AND url = ?2 ORDER BY at DESC LIMIT -1 OFFSET ?3)`,
				t[0], t[1], maxStatuses)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// Statuses lists what a target's forge is still to be told, oldest first.
func (s *Store) Statuses(ctx context.Context, gitDir, url string) ([]Status, error) {
	rows, err := s.db.QueryContext(ctx, `
		SELECT git_dir, url, oid, context, state, description, link, at, attempts, next_at, error FROM statuses
		WHERE git_dir = ? AND url = ? ORDER BY at, context`, gitDir, url)
	if err != nil {
		return nil, fmt.Errorf("read commit statuses: %w", explain(err))
	}
	defer rows.Close()
	var out []Status
	for rows.Next() {
		var x Status
		var at, next int64
		if err := rows.Scan(&x.GitDir, &x.URL, &x.OID, &x.Context, &x.State, &x.Description, &x.Link, &at, &x.Attempts, &next, &x.Error); err != nil {
			return nil, fmt.Errorf("read commit statuses: %w", err)
		}
		x.At, x.NextAt = fromNanos(at), fromNanos(next)
		out = append(out, x)
	}
	return out, explain(rows.Err())
}

// Waiting counts the statuses that a forge has not been told, with the last
// attempt's error.
type Waiting struct {
	N     int
	Error masked.Text
}

// WaitingStatuses counts by repository and URL, for one repository or with "" for
// all.
func (s *Store) WaitingStatuses(ctx context.Context, gitDir string) (map[[2]string]Waiting, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT git_dir, url, count(*), max(error) FROM statuses
		WHERE ?1 = '' OR git_dir = ?1 GROUP BY git_dir, url`, gitDir)
	if err != nil {
		return nil, fmt.Errorf("count commit statuses: %w", explain(err))
	}
	defer rows.Close()
	out := map[[2]string]Waiting{}
	for rows.Next() {
		var key [2]string
		var w Waiting
		if err := rows.Scan(&key[0], &key[1], &w.N, &w.Error); err != nil {
			return nil, fmt.Errorf("count commit statuses: %w", err)
		}
		out[key] = w
	}
	return out, explain(rows.Err())
}

// DueStatuses lists the targets whose forges are to be told something now, as
// pairs of repository and URL. next is when the next other one is; the zero
// time if none is.
func (s *Store) DueStatuses(ctx context.Context, now time.Time) (due [][2]string, next time.Time, err error) {
	keys, next, err := s.due(ctx, `SELECT git_dir, url, '', min(next_at) AS first FROM statuses
		WHERE next_at > 0 GROUP BY git_dir, url ORDER BY first`, now)
	for _, k := range keys {
		due = append(due, [2]string{k[0], k[1]})
	}
	return due, next, err
}

// SettleStatuses forgets those that were told or given up, and records the
// attempt at the others: Attempts, NextAt, Error. One that was replaced by a
// later state meanwhile is left as it is.
func (s *Store) SettleStatuses(ctx context.Context, over, later []Status) error {
	if len(over)+len(later) == 0 {
		return nil
	}
	return s.changeSoon(ctx, "record commit statuses", func(tx *sql.Tx) error {
		const this = " WHERE git_dir = ?1 AND url = ?2 AND oid = ?3 AND context = ?4 AND at = ?5"
		for _, x := range over {
			if _, err := tx.ExecContext(ctx, "DELETE FROM statuses"+this, x.GitDir, x.URL, x.OID, x.Context, nanos(x.At)); err != nil {
				return err
			}
		}
		for _, x := range later {
			_, err := tx.ExecContext(ctx, "UPDATE statuses SET attempts = ?6, next_at = ?7, error = ?8"+this,
				x.GitDir, x.URL, x.OID, x.Context, nanos(x.At), x.Attempts, nanos(x.NextAt), x.Error.String())
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// WakeStatuses makes those due that wait for something to land at the target.
func (s *Store) WakeStatuses(ctx context.Context, gitDir, url string, now time.Time) error {
	return s.changeSoon(ctx, "record commit statuses", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE statuses SET next_at = ?3 WHERE git_dir = ?1 AND url = ?2 AND next_at = 0", gitDir, url, nanos(now))
		return err
	})
}
