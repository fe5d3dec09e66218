package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"quire/internal/event"
)

// Expired lists finished runs of a repository that are past keeping, oldest
// first: all but the newest keep (0: all are kept), and what ended before (zero time: whenever).
func (s *Store) Expired(ctx context.Context, gitDir string, keep int, before time.Time) ([]event.Run, error) {
	const finished = "git_dir = ? AND state NOT IN ('queued', 'running')"
	seen := map[string]bool{}
	var out []event.Run
	add := func(runs []event.Run, err error) error {
		for _, r := range runs {
			if !seen[r.ID] {
				seen[r.ID] = true
				out = append(out, r)
			}
		}
		return err
	}
	if keep > 0 {
		err := add(queryRuns(ctx, s.db, "WHERE "+finished+" AND number <= coalesce((SELECT number FROM runs WHERE "+finished+
			" ORDER BY number DESC LIMIT 1 OFFSET ?), 0) ORDER BY number", gitDir, gitDir, keep))
		if err != nil {
			return nil, fmt.Errorf("look for old runs: %w", explain(err))
		}
	}
	if !before.IsZero() {
		err := add(queryRuns(ctx, s.db, "WHERE "+finished+" AND finished_at < ? ORDER BY number", gitDir, nanos(before)))
		if err != nil {
			return nil, fmt.Errorf("look for old runs: %w", explain(err))
		}
	}
	return out, nil
}

// Remove forgets finished runs with their jobs and commands, and the pushes
// that have no run left. gone lists those pushes.
func (s *Store) Remove(ctx context.Context, runIDs []string) (gone []string, err error) {
	err = s.change(ctx, "remove runs", func(tx *sql.Tx) error {
		gone = nil
		pushes := map[string]bool{}
		for _, id := range runIDs {
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
	err = s.change(ctx, "remove pushes", func(tx *sql.Tx) error {
		gone = nil
		rows, err := tx.QueryContext(ctx, `DELETE FROM pushes WHERE git_dir = ? AND at < ?
			AND NOT EXISTS (SELECT 1 FROM runs WHERE push_id = pushes.id) RETURNING id`, gitDir, nanos(before))
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			gone = append(gone, id)
		}
		return rows.Err()
	})
	return gone, err
}
