package store

import (
	"context"
	"database/sql"
	"fmt"

	"quire/internal/event"
)

// Untold is a push whose pusher could not see how it ended.
type Untold struct {
	event.Push
	Runs []event.Run // all are over
}

// maxUntold is how many are told at once.
const maxUntold = 5

// Untold lists the pushes of one pusher to a repository, all of whose runs are over and
// of which the pusher was to be told, oldest first, a few at a time.
func (s *Store) Untold(ctx context.Context, gitDir, pusher string) ([]Untold, error) {
	ids, err := s.untold(ctx, gitDir, pusher)
	if err != nil {
		return nil, fmt.Errorf("look for pushes to tell of: %w", explain(err))
	}
	var out []Untold
	for _, id := range ids {
		p, _, err := s.Push(ctx, id)
		if err != nil {
			return nil, err
		}
		runs, err := queryRuns(ctx, s.db, "WHERE push_id = ? ORDER BY number", id)
		if err != nil {
			return nil, fmt.Errorf("look for pushes to tell of: %w", explain(err))
		}
		out = append(out, Untold{p, runs})
	}
	return out, nil
}

func (s *Store) untold(ctx context.Context, gitDir, pusher string) (ids []string, err error) {
	rows, err := s.db.QueryContext(ctx, `SELECT id FROM pushes WHERE untold AND git_dir = ? AND pusher = ? AND NOT EXISTS
		(SELECT 1 FROM runs WHERE push_id = pushes.id AND (state IN ('queued', 'running') OR interrupted = 1)) ORDER BY id LIMIT ?`,
		gitDir, pusher, maxUntold)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, err
		}
		ids = append(ids, id)
	}
	return ids, rows.Err()
}

// Told notes that the pusher of these pushes was told.
func (s *Store) Told(ctx context.Context, told []Untold) error {
	return s.change(ctx, "note who was told", func(tx *sql.Tx) error {
		for _, p := range told {
			if _, err := tx.ExecContext(ctx, "UPDATE pushes SET untold = 0 WHERE id = ?", p.ID); err != nil {
				return err
			}
		}
		return nil
	})
}
