package store

import (
	"context"
	"database/sql"
	"fmt"
	"time"

	"quire/internal/event"
)

// Tips is where the refs of a repository stood when quire last knew, by full
// name. known is false for a repository of which not all refs were looked at
// before: then nothing can be said to have moved.
func (s *Store) Tips(ctx context.Context, gitDir string) (tips map[string]string, known bool, err error) {
	rows, err := s.db.QueryContext(ctx, "SELECT ref, oid FROM tips WHERE git_dir = ?", gitDir)
	if err != nil {
		return nil, false, fmt.Errorf("read known refs: %w", explain(err))
	}
	defer rows.Close()
	tips = map[string]string{}
	for rows.Next() {
		var ref, oid string
		if err := rows.Scan(&ref, &oid); err != nil {
			return nil, false, fmt.Errorf("read known refs: %w", err)
		}
		if ref == "" {
			known = oid == surveyed
			continue
		}
		tips[ref] = oid
	}
	if err := rows.Err(); err != nil {
		return nil, false, fmt.Errorf("read known refs: %w", explain(err))
	}
	return tips, known, nil
}

// surveyed is what the row without a name holds once all refs were looked at; an
// older quire looked at branches and tags, and wrote "known".
const surveyed = "all"

// Survey records where refs stand after somebody looked at all of them: the
// repository is known from then on. An oid of "" or zeros forgets a ref.
func (s *Store) Survey(ctx context.Context, gitDir string, moved map[string]string) error {
	updates := make([]event.Update, 0, len(moved))
	for ref, oid := range moved {
		updates = append(updates, event.Update{Ref: ref, New: oid})
	}
	if err := s.setManyTips(ctx, gitDir, updates); err != nil {
		return err
	}
	return s.change(ctx, "record refs", func(tx *sql.Tx) error {
		// The ref without a name marks the repository as known: when all are.
		return setTip(ctx, tx, gitDir, "", surveyed)
	})
}

// setManyTips records where refs stand, in transactions of no more than maxRows
// rows.
func (s *Store) setManyTips(ctx context.Context, gitDir string, updates []event.Update) error {
	for len(updates) > 0 {
		some := updates[:min(len(updates), maxRows)]
		updates = updates[len(some):]
		err := s.change(ctx, "record refs", func(tx *sql.Tx) error {
			return setTips(ctx, tx, gitDir, some)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// NoteTip records where a ref will stand that quire itself is about to set (a
// tag), so that it is not taken for somebody's push.
func (s *Store) NoteTip(ctx context.Context, gitDir, ref, oid string) error {
	return s.change(ctx, "record ref", func(tx *sql.Tx) error { return setTip(ctx, tx, gitDir, ref, oid) })
}

// Recovered lists the runs of recovered pushes to a repository that were taken
// for moves seen since a time: what a hook reports late may have been run by
// then.
func (s *Store) Recovered(ctx context.Context, gitDir string, since time.Time) ([]event.Run, error) {
	runs, err := queryRuns(ctx, s.db,
		"WHERE retry_of = '' AND push_id IN (SELECT id FROM pushes WHERE git_dir = ? AND recovered AND at >= ?) ORDER BY number",
		gitDir, nanos(since))
	if err != nil {
		return nil, fmt.Errorf("look for recovered runs: %w", explain(err))
	}
	return runs, nil
}

// OwnRuns is how many runs quire made by itself in a repository since a time:
// of refs that it found moved and nobody had reported.
func (s *Store) OwnRuns(ctx context.Context, gitDir string, since time.Time) (n int, err error) {
	err = s.db.QueryRowContext(ctx,
		"SELECT count(*) FROM runs WHERE git_dir = ? AND queued_at >= ? AND push_id IN (SELECT id FROM pushes WHERE git_dir = ? AND made_by = ?)",
		gitDir, nanos(since), gitDir, event.MadeByNobody).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("count runs of unreported pushes: %w", explain(err))
	}
	return n, nil
}

// setTips records what a push did to its refs.
func setTips(ctx context.Context, tx *sql.Tx, gitDir string, updates []event.Update) error {
	for _, u := range updates {
		if err := setTip(ctx, tx, gitDir, u.Ref, u.New); err != nil {
			return err
		}
	}
	return nil
}

func setTip(ctx context.Context, tx *sql.Tx, gitDir, ref, oid string) error {
	if event.IsZero(oid) {
		_, err := tx.ExecContext(ctx, "DELETE FROM tips WHERE git_dir = ? AND ref = ?", gitDir, ref)
		return err
	}
	_, err := tx.ExecContext(ctx,
		"INSERT INTO tips (git_dir, ref, oid) VALUES (?, ?, ?) ON CONFLICT (git_dir, ref) DO UPDATE SET oid = excluded.oid",
		gitDir, ref, oid)
	return err
}
