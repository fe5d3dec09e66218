package store

import (
	"context"
	"database/sql"
	"time"

	"quire/internal/secret/masked"
)

// MirrorTarget is a remote that a repository is mirrored to. It names its
// secret, so that a retry needs no pipeline; it never holds one.
type MirrorTarget struct {
	GitDir, URL, Name, Secret string
	Force, Delete             string
	RetryFor                  time.Duration
	Forge, API                string

	Asked bool   // by a pipeline, and not by the configuration alone
	Auth  string // how a header is made of the secret; holds none itself

	Added   time.Time // when it was first recorded
	Checked time.Time // the last audit that could be made
	Looked  time.Time // the last audit, made or not
	// Why the last audit could not be made, "" if it was: the class of the error, and
	// its text.
	LookClass string
	LookError masked.Text

	Expires time.Time // of the credential, where the forge tells
}

// putTarget records a target's present settings. That a pipeline asked for it
// once is not forgotten, and its header is the pipeline's to say.
func putTarget(ctx context.Context, tx *sql.Tx, t MirrorTarget, at time.Time) error {
	if t.Asked {
		if err := makeRoom(ctx, tx, t); err != nil {
			return err
		}
	}
	_, err := tx.ExecContext(ctx, `
		INSERT INTO targets (git_dir, url, name, secret, force, deletes, retry_for, forge, api, asked, auth, added)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
		ON CONFLICT DO UPDATE SET name = excluded.name, secret = excluded.secret, force = excluded.force,
			deletes = excluded.deletes, retry_for = excluded.retry_for, forge = excluded.forge, api = excluded.api,
			asked = max(asked, excluded.asked), auth = CASE WHEN excluded.asked THEN excluded.auth ELSE auth END`,
		t.GitDir, t.URL, t.Name, t.Secret, t.Force, t.Delete, int64(t.RetryFor), t.Forge, t.API, t.Asked, t.Auth, nanos(at))
	return err
}

// ForgetTarget forgets a target with all that is known of its refs: leases,
// what is owed, statuses. It reports whether there was one.
func (s *Store) ForgetTarget(ctx context.Context, gitDir, url string) (found bool, err error) {
	err = s.change(ctx, "forget a target", func(tx *sql.Tx) (err error) {
		found, err = dropTarget(ctx, tx, gitDir, url)
		return err
	})
	return found, err
}

func dropTarget(ctx context.Context, tx *sql.Tx, gitDir, url string) (found bool, err error) {
	for _, table := range []string{"statuses", "deliveries", "targets"} {
		res, err := tx.ExecContext(ctx, "DELETE FROM "+table+" WHERE git_dir = ? AND url = ?", gitDir, url)
		if err != nil {
			return false, err
		}
		n, err := res.RowsAffected()
		if err != nil {
			return false, err
		}
		found = found || table == "targets" && n > 0
	}
	return found, nil
}

// DueTarget is a target that is owed something on somebody's behalf.
type DueTarget struct {
	MirrorTarget
	Authority string
}

// DueTargets lists the targets that are owed something whose next attempt has
// come, the longest waiting first, once for each on whose behalf. next is when the next other one comes; the
// zero time if none does.
func (s *Store) DueTargets(ctx context.Context, now time.Time) (due []DueTarget, next time.Time, err error) {
	keys, next, err := s.due(ctx, `
		SELECT git_dir, url, authority, min(next_at) AS first FROM deliveries
		WHERE state IN ('waiting', 'pushing') GROUP BY git_dir, url, authority ORDER BY first`, now)
	if err != nil {
		return nil, next, err
	}
	for _, k := range keys {
		list, err := s.Targets(ctx, k[0], k[1])
		if err != nil {
			return nil, next, err
		}
		for _, t := range list {
			due = append(due, DueTarget{t, k[2]})
		}
	}
	return due, next, nil
}

// longestWait is beyond every wait that is recorded. A turn later than that was
// set while the clock was ahead: it has come.
const longestWait = 48 * time.Hour

// due runs a query for targets (repository, URL, on whose behalf) with the time of their next
// turn, the earliest first, and cuts the answer at now.
func (s *Store) due(ctx context.Context, query string, now time.Time) (due [][3]string, next time.Time, err error) {
	rows, err := s.db.QueryContext(ctx, query)
	if err != nil {
		return nil, next, explain(err)
	}
	defer rows.Close()
	for rows.Next() {
		var key [3]string
		var first int64
		if err := rows.Scan(&key[0], &key[1], &key[2], &first); err != nil {
			return nil, next, err
		}
		if first > nanos(now) && first <= nanos(now.Add(longestWait)) {
			if next.IsZero() {
				next = fromNanos(first)
			}
			continue
		}
		due = append(due, key)
	}
	return due, next, explain(rows.Err())
}

// Targets lists recorded targets, of one repository or with "" of all; with a
// URL only that one.
func (s *Store) Targets(ctx context.Context, gitDir, url string) ([]MirrorTarget, error) {
	return s.targets(ctx, "(?1 = '' OR git_dir = ?1) AND (?2 = '' OR url = ?2)", gitDir, url)
}

// UnseenTargets lists the targets that nobody has looked at since a time. A look
// in the future was made while the clock was ahead, and counts for none.
func (s *Store) UnseenTargets(ctx context.Context, since, now time.Time) ([]MirrorTarget, error) {
	return s.targets(ctx, "looked <= ? OR looked > ?", nanos(since), nanos(now))
}

func (s *Store) targets(ctx context.Context, where string, args ...any) ([]MirrorTarget, error) {
	rows, err := s.db.QueryContext(ctx, `
		SELECT git_dir, url, name, secret, force, deletes, retry_for, forge, api, asked, auth, added, checked, expires, looked, look_class, look_error
		FROM targets WHERE `+where+` ORDER BY git_dir, url`, args...)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var out []MirrorTarget
	for rows.Next() {
		var t MirrorTarget
		var retry, added, checked, expires, looked int64
		err := rows.Scan(&t.GitDir, &t.URL, &t.Name, &t.Secret, &t.Force, &t.Delete, &retry, &t.Forge, &t.API,
			&t.Asked, &t.Auth, &added, &checked, &expires, &looked, &t.LookClass, &t.LookError)
		if err != nil {
			return nil, err
		}
		t.RetryFor, t.Added, t.Checked, t.Expires = time.Duration(retry), fromNanos(added), fromNanos(checked), fromNanos(expires)
		t.Looked = fromNanos(looked)
		out = append(out, t)
	}
	return out, explain(rows.Err())
}

// Seen records that a target was looked at, or could not be: class and cause say
// why then, and the zero class that it could.
func (s *Store) Seen(ctx context.Context, gitDir, url string, at time.Time, class string, cause masked.Text) error {
	return s.change(ctx, "record a target", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE targets SET looked = ?3, look_class = ?4, look_error = ?5,
			checked = CASE WHEN ?4 = '' THEN ?3 ELSE checked END WHERE git_dir = ?1 AND url = ?2`,
			gitDir, url, nanos(at), class, cause.String())
		return err
	})
}

// Reached records that a target that could not be looked at takes pushes again.
func (s *Store) Reached(ctx context.Context, gitDir, url string) error {
	return s.changeSoon(ctx, "record a target", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE targets SET look_class = '', look_error = '' WHERE git_dir = ?1 AND url = ?2`, gitDir, url)
		return err
	})
}

// Ends records when a target's credential ends, the zero time if it does not or
// nobody tells.
func (s *Store) Ends(ctx context.Context, gitDir, url string, expires time.Time) error {
	return s.change(ctx, "record a target", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `UPDATE targets SET expires = ?3 WHERE git_dir = ?1 AND url = ?2`, gitDir, url, nanos(expires))
		return err
	})
}
