package store

import (
	"context"
	"database/sql"
	"fmt"
	"strconv"
	"strings"
	"time"

	"quire/internal/event"
)

// Expired lists finished runs of a repository that are past keeping, oldest
// first: all but the newest keep (0: all are kept), and what ended before (zero time: whenever).
// It is one page of them, of runs whose numbers are greater than after.
func (s *Store) Expired(ctx context.Context, gitDir string, keep int, before time.Time, after int64) ([]event.Run, error) {
	const finished = "git_dir = ?1 AND state NOT IN ('queued', 'running')"
	var bounds []string
	if keep > 0 {
		bounds = append(bounds, "number <= coalesce((SELECT number FROM runs WHERE "+finished+" ORDER BY number DESC LIMIT 1 OFFSET ?2), 0)")
	}
	if !before.IsZero() {
		bounds = append(bounds, "finished_at < ?3")
	}
	if len(bounds) == 0 {
		return nil, nil
	}
	runs, err := queryRuns(ctx, s.db, "WHERE "+finished+" AND number > ?4 AND ("+strings.Join(bounds, " OR ")+") ORDER BY number LIMIT "+strconv.Itoa(maxRows),
		gitDir, keep, nanos(before), after)
	if err != nil {
		return nil, fmt.Errorf("look for old runs: %w", explain(err))
	}
	return runs, nil
}

// Remove forgets finished runs with their jobs and commands, and the pushes
// that have no run left. gone lists those pushes. Each transaction is of no more
// than maxRows rows: a run that is half forgotten when a kill comes is forgotten
// wholly the next time.
func (s *Store) Remove(ctx context.Context, runIDs []string) (gone []string, err error) {
	var batch []string
	rows := 0
	flush := func() error {
		some, err := s.removeRuns(ctx, batch)
		gone = append(gone, some...)
		batch, rows = nil, 0
		return err
	}
	for _, id := range runIDs {
		n, err := s.shed(ctx, id)
		if err != nil {
			return gone, err
		}
		if rows+n > maxRows {
			if err := flush(); err != nil {
				return gone, err
			}
		}
		batch, rows = append(batch, id), rows+n
	}
	if len(batch) > 0 {
		err = flush()
	}
	return gone, err
}

// shed removes rows of a finished run until those that are left can go in one
// transaction, and is how many that are.
func (s *Store) shed(ctx context.Context, id string) (left int, err error) {
	for {
		left = 1
		for _, table := range []string{"commands", "jobs"} {
			var n int
			err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM (SELECT 1 FROM "+table+
				" WHERE run = (SELECT number FROM runs WHERE id = ?) LIMIT "+strconv.Itoa(maxRows)+")", id).Scan(&n)
			if err != nil {
				return 0, fmt.Errorf("remove run %s: %w", id, explain(err))
			}
			left += n
		}
		if left <= maxRows {
			return left, nil
		}
		err := s.change(ctx, "remove run "+id, func(tx *sql.Tx) error {
			const of = "(SELECT number FROM runs WHERE id = ?1 AND state NOT IN ('queued', 'running'))"
			limit := strconv.Itoa(maxRows / 2)
			_, err := tx.ExecContext(ctx, "DELETE FROM commands WHERE run = "+of+" AND (job, n) IN (SELECT job, n FROM commands WHERE run = "+of+" LIMIT "+limit+")", id)
			if err == nil {
				_, err = tx.ExecContext(ctx, "DELETE FROM jobs WHERE run = "+of+" AND id IN (SELECT id FROM jobs WHERE run = "+of+" LIMIT "+limit+")", id)
			}
			return err
		})
		if err != nil {
			return 0, err
		}
		if over, err := s.over(ctx, id); err != nil || !over {
			return left, err // it is not to be removed, and removeRuns will not
		}
	}
}

func (s *Store) over(ctx context.Context, id string) (bool, error) {
	r, err := s.Run(ctx, id)
	return err == nil && r.State.Final(), err
}

func (s *Store) removeRuns(ctx context.Context, ids []string) (gone []string, err error) {
	err = s.change(ctx, "remove runs", func(tx *sql.Tx) error {
		gone = nil
		pushes := map[string]bool{}
		for _, id := range ids {
			var push string
			err := tx.QueryRowContext(ctx,
				"DELETE FROM runs WHERE id = ? AND state NOT IN ('queued', 'running') RETURNING push_id", id).Scan(&push)
			if err == sql.ErrNoRows {
				continue
			}
			if err != nil {
				return err
			}
			pushes[push] = true
		}
		for push := range pushes {
			res, err := tx.ExecContext(ctx,
				"DELETE FROM pushes WHERE id = ?1 AND NOT EXISTS (SELECT 1 FROM runs WHERE push_id = ?1)", push)
			if err != nil {
				return err
			}
			if n, err := res.RowsAffected(); err != nil {
				return err
			} else if n > 0 {
				gone = append(gone, push)
			}
		}
		return nil
	})
	return gone, err
}

// RemoveIdlePushes forgets pushes of a repository that made no run and are
// older than before, and lists them.
func (s *Store) RemoveIdlePushes(ctx context.Context, gitDir string, before time.Time) (gone []string, err error) {
	last := ""
	for {
		// Read without the write lock, and looked at again with it.
		ids, err := s.idlePushes(ctx, gitDir, before, last)
		if err != nil || len(ids) == 0 {
			return gone, err
		}
		last = ids[len(ids)-1]
		err = s.change(ctx, "remove pushes", func(tx *sql.Tx) error {
			_, err := tx.ExecContext(ctx, `DELETE FROM pushes WHERE id IN (SELECT value FROM json_each(?))
				AND NOT EXISTS (SELECT 1 FROM runs WHERE push_id = pushes.id)`, asJSON(ids))
			return err
		})
		if err != nil {
			return gone, err
		}
		gone = append(gone, ids...)
	}
}

func (s *Store) idlePushes(ctx context.Context, gitDir string, before time.Time, after string) (ids []string, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id FROM pushes WHERE git_dir = ? AND id > ? AND at < ?
		AND NOT EXISTS (SELECT 1 FROM runs WHERE push_id = pushes.id) ORDER BY id LIMIT ?`, gitDir, after, nanos(before), maxRows)
	if err != nil {
		return nil, fmt.Errorf("look for old pushes: %w", explain(err))
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, fmt.Errorf("look for old pushes: %w", err)
		}
		ids = append(ids, id)
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("look for old pushes: %w", explain(err))
	}
	return ids, nil
}
