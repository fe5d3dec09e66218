package store

import (
	"context"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"quire/internal/secret/masked"
)

// DeliveryState is where a ref stands at a target.
type DeliveryState string

// Waiting and pushing are open; the others rest until a newer push, or a person
// (`quire mirror sync`), wants something of the ref again. A pushing delivery
// whose pusher is gone (nobody holds the target's lock) counts as waiting.
const (
	DeliveryWaiting  DeliveryState = "waiting"
	DeliveryPushing  DeliveryState = "pushing"
	DeliveryLanded   DeliveryState = "landed"
	DeliveryDiverged DeliveryState = "diverged" // somebody else moved it there; left alone
	DeliveryRefused  DeliveryState = "refused"  // will not be tried again by itself
	DeliveryGone     DeliveryState = "gone"     // wanted deleted, and is
)

// Open reports whether the delivery is still owed.
func (s DeliveryState) Open() bool { return s == DeliveryWaiting || s == DeliveryPushing }

// Delivery is one ref of one repository at one target.
type Delivery struct {
	GitDir, URL, Ref string

	Want string // object id; all zeros: the ref is to go
	Seq  string // the push that wants it; ids of later pushes are greater

	Authority string // on whose behalf; "": the operator's own order

	Put  string // what was last known to have landed: the next push's lease; "" if never
	Sent string // in flight when somebody last looked; "" if nothing is
	Ours bool   // the ref was created there by quire, so quire may delete it

	State    DeliveryState
	There    string // diverged: what the remote has, "" for nothing
	Attempts int    // for this want
	Since    time.Time
	NextAt   time.Time
	At       time.Time   // of the last change of state
	Class    string      // of the last error; "" if none
	Error    masked.Text // one line
}

// Owe records, in one transaction, the target and what it is owed: want of each
// delivery, under its Seq and Authority. What a later push already wanted stays;
// and what is owed already on another's behalf, or has landed on the operator's,
// stays theirs unless the operator orders it. With sending,
// they are marked as in flight at the same time; only who holds the target's
// lock may say so.
func (s *Store) Owe(ctx context.Context, t MirrorTarget, owed []Delivery, at time.Time, sending bool) error {
	return s.change(ctx, "record deliveries", func(tx *sql.Tx) error {
		err := putTarget(ctx, tx, t, at)
		if err != nil || len(owed) == 0 {
			return err
		}
		st, err := tx.PrepareContext(ctx, `
			INSERT INTO deliveries (git_dir, url, ref, want, seq, state, sent, attempts, since, next_at, at, authority)
			VALUES (?1, ?2, ?3, ?4, ?5, ?6, CASE WHEN ?7 THEN ?4 ELSE '' END, ?7, ?8, ?8, ?8, ?9)
			ON CONFLICT DO UPDATE SET want = excluded.want, seq = excluded.seq, state = excluded.state, authority = excluded.authority,
				sent = CASE WHEN ?7 THEN excluded.sent ELSE sent END,
				attempts = excluded.attempts, since = excluded.since, next_at = excluded.next_at, at = excluded.at,
				class = '', error = ''
			WHERE excluded.seq >= seq AND NOT (want = excluded.want AND excluded.authority NOT IN ('', authority)
				AND (state IN ('waiting', 'pushing') OR authority = '' AND state = 'landed'))`)
		if err != nil {
			return err
		}
		defer st.Close()
		state, n := DeliveryWaiting, 0
		if sending {
			state, n = DeliveryPushing, 1
		}
		for _, d := range owed {
			if _, err := st.ExecContext(ctx, t.GitDir, t.URL, d.Ref, d.Want, d.Seq, state, n, nanos(at), d.Authority); err != nil {
				return err
			}
		}
		return nil
	})
}

// Send marks deliveries as in flight: Sent, and one attempt more. Only who
// holds the target's lock may say so.
func (s *Store) Send(ctx context.Context, sending []Delivery, at time.Time) error {
	return s.change(ctx, "record deliveries", func(tx *sql.Tx) error {
		st, err := tx.PrepareContext(ctx, `UPDATE deliveries SET state = 'pushing', sent = ?, attempts = attempts + 1, at = ?
			WHERE git_dir = ? AND url = ? AND ref = ?`)
		if err != nil {
			return err
		}
		defer st.Close()
		for _, d := range sending {
			if _, err := st.ExecContext(ctx, d.Sent, nanos(at), d.GitDir, d.URL, d.Ref); err != nil {
				return err
			}
		}
		return nil
	})
}

// Settle records what became of deliveries: Put, Sent, Ours always; state,
// error, attempts and next attempt only while nobody wants something newer of
// the ref, which is then left waiting.
//
// It survives this process, and not always a power cut: then the delivery is in
// flight again, as it was, and the next attempt finds out what is true.
func (s *Store) Settle(ctx context.Context, settled []Delivery) error {
	return s.changeSoon(ctx, "record deliveries", func(tx *sql.Tx) error {
		st, err := tx.PrepareContext(ctx, `
			UPDATE deliveries SET put = ?4, sent = ?5, ours = ?6,
				state   = CASE WHEN want = ?7 THEN ?8 ELSE 'waiting' END,
				there   = CASE WHEN want = ?7 THEN ?9 ELSE there END,
				next_at = CASE WHEN want = ?7 THEN ?10 ELSE next_at END,
				class   = CASE WHEN want = ?7 THEN ?11 ELSE '' END,
				error   = CASE WHEN want = ?7 THEN ?12 ELSE '' END,
				at = ?13,
				attempts = CASE WHEN want = ?7 THEN ?14 ELSE attempts END
			WHERE git_dir = ?1 AND url = ?2 AND ref = ?3`)
		if err != nil {
			return err
		}
		defer st.Close()
		for _, d := range settled {
			_, err := st.ExecContext(ctx, d.GitDir, d.URL, d.Ref, d.Put, d.Sent, d.Ours, d.Want, d.State, d.There,
				nanos(d.NextAt), d.Class, d.Error.String(), nanos(d.At), d.Attempts)
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// changeSoon is change without waiting for the disk, which is most of what a
// change costs. It is for what can be found out again.
func (s *Store) changeSoon(ctx context.Context, what string, f func(*sql.Tx) error) (err error) {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	defer conn.Close()
	if _, err := conn.ExecContext(ctx, "PRAGMA synchronous = NORMAL"); err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	defer func() {
		// The connection is everybody's, and others rely on the disk.
		_, back := conn.ExecContext(context.WithoutCancel(ctx), "PRAGMA synchronous = FULL")
		err = errors.Join(err, explain(back))
	}()
	tx, err := conn.BeginTx(ctx, nil)
	if err == nil {
		if err = f(tx); err == nil {
			err = tx.Commit()
		} else {
			tx.Rollback() // its error would hide the cause
		}
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, explain(err))
	}
	return nil
}

const deliveryColumns = `git_dir, url, ref, want, seq, put, sent, ours, state, there, attempts, since, next_at, at, class, error, authority`

// Deliveries is what is known of some refs at a target, and of all that are
// still owed there, by ref.
func (s *Store) Deliveries(ctx context.Context, gitDir, url string, refs []string) (map[string]Delivery, error) {
	// In hexadecimal digits: names are bytes, and JSON is text.
	digits := make([]string, len(refs))
	for i, ref := range refs {
		digits[i] = hex.EncodeToString([]byte(ref))
	}
	list, err := s.deliveries(ctx, `WHERE git_dir = ? AND url = ? AND (state IN ('waiting', 'pushing') OR ref IN (SELECT CAST(unhex(value) AS TEXT) FROM json_each(?)))`,
		gitDir, url, asJSON(digits))
	if err != nil {
		return nil, err
	}
	out := make(map[string]Delivery, len(list))
	for _, d := range list {
		out[d.Ref] = d
	}
	return out, nil
}

// Takeable is all that is still owed at a target, and what was refused there
// for one of the classes, by ref.
func (s *Store) Takeable(ctx context.Context, gitDir, url string, classes []string) ([]Delivery, error) {
	names, err := json.Marshal(classes)
	if err != nil {
		return nil, err
	}
	return s.deliveries(ctx, `WHERE git_dir = ?1 AND url = ?2 AND (state IN ('waiting', 'pushing')
		OR state = 'refused' AND class IN (SELECT value FROM json_each(?3))) ORDER BY ref`, gitDir, url, string(names))
}

// RefusedFor lists the deliveries that were refused for a cause, in its class.
func (s *Store) RefusedFor(ctx context.Context, class, cause string) ([]Delivery, error) {
	return s.deliveries(ctx, `WHERE state = 'refused' AND class = ? AND error = ?`, class, cause)
}

// DeliveriesOf lists everything known of a repository's mirrors ("" for all
// repositories), by repository, URL and ref.
func (s *Store) DeliveriesOf(ctx context.Context, gitDir string) ([]Delivery, error) {
	if gitDir == "" {
		return s.deliveries(ctx, `ORDER BY git_dir, url, ref`)
	}
	return s.deliveries(ctx, `WHERE git_dir = ? ORDER BY url, ref`, gitDir)
}

// CountPut is how many refs a target is known to have from here.
func (s *Store) CountPut(ctx context.Context, gitDir, url string) (n int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT count(*) FROM deliveries WHERE git_dir = ? AND url = ? AND put <> ''`, gitDir, url).Scan(&n)
	return n, explain(err)
}

func (s *Store) deliveries(ctx context.Context, where string, args ...any) ([]Delivery, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT `+deliveryColumns+` FROM deliveries `+where, args...)
	if err != nil {
		return nil, explain(err)
	}
	defer rows.Close()
	var out []Delivery
	for rows.Next() {
		var d Delivery
		var since, next, at int64
		err := rows.Scan(&d.GitDir, &d.URL, &d.Ref, &d.Want, &d.Seq, &d.Put, &d.Sent, &d.Ours, &d.State, &d.There,
			&d.Attempts, &since, &next, &at, &d.Class, &d.Error, &d.Authority)
		if err != nil {
			return nil, err
		}
		d.Since, d.NextAt, d.At = fromNanos(since), fromNanos(next), fromNanos(at)
		out = append(out, d)
	}
	return out, explain(rows.Err())
}
