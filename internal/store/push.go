package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

// Planned is a run that a push is to have.
type Planned struct {
	ID string // event.NewID
	event.Update
	Name masked.Text // of the ref, as a person writes it
}

// Taken is what became of a push.
type Taken struct {
	Runs      []event.Run
	Notes     []string
	Displaced []Displaced
	Again     bool // the push had been taken before; nothing was changed
}

// Displaced is a run that a newer push to its ref displaced.
type Displaced struct {
	Run event.Run
	By  event.Run
	// Over says that it had not begun, and is replaced already. Otherwise its
	// supervisor was asked to stop.
	Over bool
}

// TakePush records a push with its runs, all or nothing, and displaces the
// older runs of the same refs: waiting ones are replaced, a running one is
// asked to stop. A push that is there already stays as it is, and is returned
// as it was taken. One that is taken after a later push displaces nothing where
// the later one moved the ref.
func (s *Store) TakePush(ctx context.Context, p event.Push, plan []Planned, notes []string, now time.Time) (Taken, error) {
	var t Taken
	many := len(p.Updates) > maxRows
	var newest []event.Update
	err := s.change(ctx, "record push "+p.ID, func(tx *sql.Tx) error {
		t = Taken{}
		late, err := lateRefs(ctx, tx, p)
		if err != nil {
			return err
		}
		newest = slices.DeleteFunc(slices.Clone(p.Updates), func(u event.Update) bool { return late[u.Ref] })
		known, err := takenBefore(ctx, tx, p.ID, &t)
		if err != nil || known {
			return err
		}
		if err := insertPush(ctx, tx, p, notes); err != nil {
			return err
		}
		t.Notes = notes
		for _, r := range plan {
			run := event.Run{
				ID: r.ID, PushID: p.ID, GitDir: p.GitDir, Update: r.Update, Pusher: p.Pusher, Options: p.Options,
				State: event.RunQueued, PushedAt: p.At, QueuedAt: now,
			}
			if err := insertRun(ctx, tx, &run); err != nil {
				return err
			}
			t.Runs = append(t.Runs, run)
			if late[run.Ref] {
				continue
			}
			displaced, err := displace(ctx, tx, run, r.Name, now)
			if err != nil {
				return err
			}
			t.Displaced = append(t.Displaced, displaced...)
		}
		if many {
			return nil
		}
		return setTips(ctx, tx, p.GitDir, newest)
	})
	if err == nil && many {
		// Also if it was recorded before: a kill may have come in between, and what
		// stands elsewhere than is known would be taken for another push.
		err = s.setManyTips(ctx, p.GitDir, newest)
	}
	return t, err
}

// lateRefs are the refs of a push that a later one has moved, which was taken
// already: they do not stand where this push found them. It takes both, a later
// id and another place, since a clock may have been set back in between.
func lateRefs(ctx context.Context, tx *sql.Tx, p event.Push) (map[string]bool, error) {
	var later int
	err := tx.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM pushes WHERE git_dir = ? AND id > ?)",
		p.GitDir, event.LastOfStamp(p.ID)).Scan(&later)
	if err != nil || later == 0 {
		return nil, err
	}
	late := map[string]bool{}
	for _, u := range p.Updates {
		var tip string
		err := tx.QueryRowContext(ctx, "SELECT oid FROM tips WHERE git_dir = ? AND ref = ?", p.GitDir, u.Ref).Scan(&tip)
		switch {
		case errors.Is(err, sql.ErrNoRows): // deleted, or not known
		case err != nil:
			return nil, err
		case tip != u.Old:
			late[u.Ref] = true
		}
	}
	return late, nil
}

func takenBefore(ctx context.Context, tx *sql.Tx, id string, t *Taken) (bool, error) {
	var notes string
	err := tx.QueryRowContext(ctx, "SELECT notes FROM pushes WHERE id = ?", id).Scan(&notes)
	if errors.Is(err, sql.ErrNoRows) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	t.Again = true
	if err := json.Unmarshal([]byte(notes), &t.Notes); err != nil {
		return true, err
	}
	t.Runs, err = queryRuns(ctx, tx, "WHERE push_id = ? AND retry_of = '' ORDER BY number", id)
	return true, err
}

func insertPush(ctx context.Context, tx *sql.Tx, p event.Push, notes []string) error {
	_, err := tx.ExecContext(ctx,
		"INSERT INTO pushes (id, at, git_dir, pusher, options, updates, recovered, notes, made_by, untold) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		p.ID, nanos(p.At), p.GitDir, p.Pusher, asJSON(p.Options), asJSON(event.EscapeRefs(p.Updates)), p.Recovered, asJSON(notes), p.MadeBy, p.Dropped)
	return err
}

func insertRun(ctx context.Context, tx *sql.Tx, r *event.Run) error {
	res, err := tx.ExecContext(ctx,
		"INSERT INTO runs (id, push_id, git_dir, ref, old, new, pusher, options, state, pushed_at, queued_at, retry_of, rerun)"+
			" VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
		r.ID, r.PushID, r.GitDir, r.Ref, r.Old, r.New, r.Pusher, asJSON(r.Options), r.State,
		nanos(r.PushedAt), nanos(r.QueuedAt), r.RetryOf, r.Rerun)
	if err == nil {
		r.Number, err = res.LastInsertId()
	}
	return err
}

// displace makes way for a run: see TakePush. Refs are compared by their full
// names, so a tag never displaces a branch that is called the same.
func displace(ctx context.Context, tx *sql.Tx, by event.Run, name masked.Text, now time.Time) ([]Displaced, error) {
	older, err := queryRuns(ctx, tx,
		"WHERE state IN ('queued', 'running') AND git_dir = ? AND ref = ? AND number < ? ORDER BY number",
		by.GitDir, by.Ref, by.Number)
	if err != nil {
		return nil, err
	}
	reason := masked.Format("run %d is of a newer push to %s", masked.Int(by.Number), name)
	var out []Displaced
	for _, r := range older {
		d := Displaced{Run: r, By: by}
		if r.State == event.RunQueued {
			d.Over = true
			d.Run.State, d.Run.Reason, d.Run.ReplacedBy, d.Run.FinishedAt = event.RunReplaced, reason, by.ID, now
			_, err = tx.ExecContext(ctx,
				"UPDATE runs SET state = ?, reason = ?, replaced_by = ?, finished_at = ? WHERE number = ?",
				d.Run.State, column(reason), by.ID, nanos(now), r.Number)
		} else {
			// A person's cancel stands; among successors the newest counts.
			_, err = tx.ExecContext(ctx,
				"UPDATE runs SET stop = ?, stop_reason = ?, stop_by = ? WHERE number = ? AND stop IN ('', ?)",
				event.RunReplaced, column(reason), by.ID, r.Number, event.RunReplaced)
		}
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, nil
}

// Push reads a push as it was taken, with what was noted then. ErrNone if there
// is none.
func (s *Store) Push(ctx context.Context, id string) (event.Push, []string, error) {
	p := event.Push{ID: id}
	var at int64
	var options, updates, notes string
	err := s.db.QueryRowContext(ctx, "SELECT at, git_dir, pusher, options, updates, recovered, notes FROM pushes WHERE id = ?", id).
		Scan(&at, &p.GitDir, &p.Pusher, &options, &updates, &p.Recovered, &notes)
	if errors.Is(err, sql.ErrNoRows) {
		return p, nil, fmt.Errorf("push %s: %w", id, ErrNone)
	}
	var noted []string
	if err == nil {
		p.At = fromNanos(at)
		err = errors.Join(json.Unmarshal([]byte(options), &p.Options),
			json.Unmarshal([]byte(updates), &p.Updates), json.Unmarshal([]byte(notes), &noted))
	}
	if err != nil {
		return p, nil, fmt.Errorf("read push %s: %w", id, explain(err))
	}
	p.Updates = event.UnescapeRefs(p.Updates)
	return p, noted, nil
}

// Knows reports whether a push was taken.
func (s *Store) Knows(ctx context.Context, pushID string) (bool, error) {
	var n int
	err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM pushes WHERE id = ?", pushID).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for push %s: %w", pushID, explain(err))
	}
	return n > 0, nil
}

// asJSON writes a list of strings or updates, which cannot fail.
func asJSON(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(data)
}
