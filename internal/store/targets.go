package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// MirrorTarget is a remote that a repository is mirrored to. It names its
// secret, so that a retry needs no pipeline; it never holds one.
type MirrorTarget struct {
	GitDir, URL, Name, Secret string
	Force, Delete             string
	RetryFor                  time.Duration
	Forge, API                string
	Checked                   time.Time // the last audit
	Expires                   time.Time // of the credential, where the forge tells
}

// DueTargets lists the targets that are owed something whose next attempt has
// come, the longest waiting first. next is when the next other one comes; the
// zero time if none does.
func (s *Store) DueTargets(ctx context.Context, now time.Time) (due []MirrorTarget, next time.Time, err error) {
	rows, err := s.db.QueryContext(ctx, `
		SELECT git_dir, url, min(next_at) AS first FROM deliveries
		WHERE state IN ('waiting', 'pushing') GROUP BY git_dir, url ORDER BY first`)
	if err != nil {
		return nil, next, explain(err)
	}
	var keys [][2]string
	for rows.Next() {
		var gitDir, url string
		var first int64
		if err := rows.Scan(&gitDir, &url, &first); err != nil {
			rows.Close()
			return nil, next, err
		}
		if first > nanos(now) {
			next = fromNanos(first)
			break
		}
		keys = append(keys, [2]string{gitDir, url})
	}
	if err := errors.Join(rows.Close(), rows.Err()); err != nil {
		return nil, next, explain(err)
	}
	for _, k := range keys {
		t, err := s.Targets(ctx, k[0], k[1])
		if err != nil {
			return nil, next, err
		}
		due = append(due, t...)
	}
	return due, next, nil
}

// Targets lists recorded targets, of one repository or with "" of all; with a
// URL only that one.
func (s *Store) Targets(ctx context.Context, gitDir, url string) ([]MirrorTarget, error) {
	rows, err := s.db.QueryContext(ctx, `
		SELECT git_dir, url, name, secret, force, deletes, retry_for, forge, api, checked, expires FROM targets
		WHERE (?1 = '' OR git_dir = ?1) AND (?2 = '' OR url = ?2) ORDER BY git_dir, url`, gitDir, url)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var out []MirrorTarget
	for rows.Next() {
		var t MirrorTarget
		var retry, checked, expires int64
		if err := rows.Scan(&t.GitDir, &t.URL, &t.Name, &t.Secret, &t.Force, &t.Delete, &retry, &t.Forge, &t.API, &checked, &expires); err != nil {
			return nil, err
		}
		t.RetryFor, t.Checked, t.Expires = time.Duration(retry), fromNanos(checked), fromNanos(expires)
		out = append(out, t)
	}
	return out, explain(rows.Err())
}

// NoteTarget records when a target was last audited and when its credential
// ends. A zero time leaves what is there.
func (s *Store) NoteTarget(ctx context.Context, gitDir, url string, checked, expires time.Time) error {
	return s.change(ctx, "record a target", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE targets SET checked = CASE WHEN ?3 THEN ?3 ELSE checked END,
			expires = CASE WHEN ?4 THEN ?4 ELSE expires END WHERE git_dir = ?1 AND url = ?2`,
			gitDir, url, nanos(checked), nanos(expires))
		return err
	})
}
