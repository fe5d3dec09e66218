package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"quire/internal/event"
)

// ErrNone is wrapped by the error for a run or push that is not there.
var ErrNone = errors.New("there is none")

const runColumns = "SELECT number, id, push_id, git_dir, ref, old, new, pusher, options, state, reason," +
	" pushed_at, queued_at, started_at, finished_at, duration, retry_of, replaced_by, interrupted <> 0, rerun FROM runs "

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func queryRuns(ctx context.Context, q querier, where string, args ...any) ([]event.Run, error) {
	rows, err := q.QueryContext(ctx, runColumns+where, args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var out []event.Run
	for rows.Next() {
		var r event.Run
		var options string
		var pushed, queued, started, finished, duration int64
		err := rows.Scan(&r.Number, &r.ID, &r.PushID, &r.GitDir, &r.Ref, &r.Old, &r.New, &r.Pusher, &options, &r.State, &r.Reason,
			&pushed, &queued, &started, &finished, &duration, &r.RetryOf, &r.ReplacedBy, &r.Interrupted, &r.Rerun)
		if err == nil && options != "null" {
			err = json.Unmarshal([]byte(options), &r.Options)
		}
		if err != nil {
			return nil, err
		}
		r.PushedAt, r.QueuedAt = fromNanos(pushed), fromNanos(queued)
		r.StartedAt, r.FinishedAt = fromNanos(started), fromNanos(finished)
		r.Duration = time.Duration(duration)
		out = append(out, r)
	}
	return out, rows.Err()
}

func one(runs []event.Run, err error) (event.Run, error) {
	if err != nil {
		return event.Run{}, err
	}
	if len(runs) == 0 {
		return event.Run{}, ErrNone
	}
	return runs[0], nil
}

// Run reads a run by its id. ErrNone if there is none.
func (s *Store) Run(ctx context.Context, id string) (event.Run, error) {
	r, err := one(queryRuns(ctx, s.db, "WHERE id = ?", id))
	if err != nil {
		return r, fmt.Errorf("run %s: %w", id, explain(err))
	}
	return r, nil
}

// Resolve finds the run that a person means: its number, its id or a beginning
// of it that no other has, or "last".
func (s *Store) Resolve(ctx context.Context, name string) (event.Run, error) {
	var r event.Run
	var err error
	if name == "last" {
		r, err = one(queryRuns(ctx, s.db, "ORDER BY number DESC LIMIT 1"))
		if errors.Is(err, ErrNone) {
			return r, fmt.Errorf("run last: %w yet", ErrNone)
		}
	} else if n, perr := strconv.ParseInt(name, 10, 64); perr == nil && len(name) < event.IDLen {
		r, err = one(queryRuns(ctx, s.db, "WHERE number = ?", n))
	} else {
		r, err = s.resolveID(ctx, strings.ToLower(name))
	}
	if errors.Is(err, ErrNone) {
		return r, fmt.Errorf("run %s: %w; `quire runs` lists them", name, ErrNone)
	}
	if err != nil {
		return r, fmt.Errorf("run %s: %w", name, explain(err))
	}
	return r, nil
}

// minPrefix keeps a typing error from meaning a run: the first digits of an id
// are the time, and the same for a whole day.
const minPrefix = 4

func (s *Store) resolveID(ctx context.Context, prefix string) (event.Run, error) {
	if len(prefix) < minPrefix || strings.Trim(prefix, "0123456789abcdefghjkmnpqrstvwxyz") != "" {
		return event.Run{}, ErrNone
	}
	// "~" sorts after every digit of an id.
	runs, err := queryRuns(ctx, s.db, "WHERE id >= ? AND id < ? ORDER BY id LIMIT 3", prefix, prefix+"~")
	if err == nil && len(runs) > 1 {
		return event.Run{}, fmt.Errorf("the ids of several runs begin so, %d and %d among them: give more digits, or the number",
			runs[0].Number, runs[1].Number)
	}
	return one(runs, err)
}

// Filter chooses runs. What is empty does not limit.
type Filter struct {
	GitDir string
	Ref    string // full name
	PushID string
	State  event.RunState
	Before int64 // only runs with smaller numbers: the next page
	Limit  int   // 0: all
}

// Runs lists runs, newest first.
func (s *Store) Runs(ctx context.Context, f Filter) ([]event.Run, error) {
	var where []string
	var args []any
	add := func(cond string, arg any) {
		where = append(where, cond)
		args = append(args, arg)
	}
	if f.GitDir != "" {
		add("git_dir = ?", f.GitDir)
	}
	if f.Ref != "" {
		add("ref = ?", f.Ref)
	}
	if f.PushID != "" {
		add("push_id = ?", f.PushID)
	}
	if f.State != "" {
		add("state = ?", f.State)
	}
	if f.Before > 0 {
		add("number < ?", f.Before)
	}
	q := ""
	if len(where) > 0 {
		q = "WHERE " + strings.Join(where, " AND ")
	}
	q += " ORDER BY number DESC"
	if f.Limit > 0 {
		q += " LIMIT " + strconv.Itoa(f.Limit)
	}
	runs, err := queryRuns(ctx, s.db, q, args...)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", explain(err))
	}
	return runs, nil
}

// Numbers are the numbers of a repository's runs.
func (s *Store) Numbers(ctx context.Context, gitDir string) (map[int64]bool, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT number FROM runs WHERE git_dir = ?", gitDir)
	if err != nil {
		return nil, fmt.Errorf("list runs: %w", explain(err))
	}
	defer rows.Close()
	out := map[int64]bool{}
	for rows.Next() {
		var n int64
		if err := rows.Scan(&n); err != nil {
			return nil, fmt.Errorf("list runs: %w", err)
		}
		out[n] = true
	}
	if err := rows.Err(); err != nil {
		return nil, fmt.Errorf("list runs: %w", explain(err))
	}
	return out, nil
}

// Repositories lists the repositories that pushes were taken from.
func (s *Store) Repositories(ctx context.Context) ([]string, error) {
	// Each step is one look into the index, however many pushes there are;
	// DISTINCT would read them all.
	var out []string
	for at := ""; ; {
		var next sql.NullString
		err := s.db.QueryRowContext(ctx, "SELECT min(git_dir) FROM pushes WHERE git_dir > ?", at).Scan(&next)
		if err != nil {
			return nil, fmt.Errorf("list repositories: %w", explain(err))
		}
		if !next.Valid {
			return out, nil
		}
		at = next.String
		out = append(out, at)
	}
}
