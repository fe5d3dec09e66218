package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
)

// MaxAsked is how many targets of a repository its pipelines may have recorded.
// Whoever may push a branch names them, and each is looked at once a day for ever.
const MaxAsked = 100

// ErrTooManyTargets is why a pipeline's target is not recorded.
var ErrTooManyTargets = fmt.Errorf("pipelines of this repository have %d mirrors already, and may have no more", MaxAsked)

// makeRoom lets a pipeline record one more target of its repository. Where there are
// as many as there may be, the one goes that was used least lately, of those that
// hold nothing that could be lost: nothing was ever put there, nothing is in
// flight or owed, and the operator ordered nothing.
func makeRoom(ctx context.Context, tx *sql.Tx, t MirrorTarget) error {
	var n int
	err := tx.QueryRowContext(ctx, `SELECT count(*) FROM targets WHERE git_dir = ?1 AND asked
		AND NOT EXISTS (SELECT 1 FROM targets WHERE git_dir = ?1 AND url = ?2)`, t.GitDir, t.URL).Scan(&n)
	if err != nil || n < MaxAsked {
		return err
	}
	var url string
	err = tx.QueryRowContext(ctx, `
		SELECT t.url FROM targets t LEFT JOIN deliveries d ON d.git_dir = t.git_dir AND d.url = t.url
		WHERE t.git_dir = ? AND t.asked GROUP BY t.url
		HAVING NOT max(d.ref IS NOT NULL AND (d.put <> '' OR d.sent <> '' OR d.authority = '' OR d.state IN ('waiting', 'pushing')))
		ORDER BY coalesce(max(d.at), t.added) LIMIT 1`, t.GitDir).Scan(&url)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return ErrTooManyTargets
	case err != nil:
		return err
	}
	_, err = dropTarget(ctx, tx, t.GitDir, url)
	return err
}
