package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"

	"quire/internal/event"
)

// MirrorReport is a push whose pusher has yet to be told what became of it at
// the mirrors that the configuration orders.
type MirrorReport struct {
	PushID  string
	Targets []ReportTarget
}

// ReportTarget is a mirror of a MirrorReport, with the refs of the push that it
// takes.
type ReportTarget struct {
	URL  string   `json:"url"`
	Name string   `json:"name"`
	Refs []string `json:"refs"`
}

func (t ReportTarget) mapRefs(f func(string) string) ReportTarget {
	refs := make([]string, len(t.Refs))
	for i, ref := range t.Refs {
		refs[i] = f(ref)
	}
	t.Refs = refs
	return t
}

// AwaitReport records that a push's mirrors are to be reported on. Doing it
// again changes nothing.
func (s *Store) AwaitReport(ctx context.Context, r MirrorReport) error {
	asText := make([]ReportTarget, len(r.Targets))
	for i, t := range r.Targets {
		asText[i] = t.mapRefs(event.EscapeRef)
	}
	targets, err := json.Marshal(asText)
	if err != nil {
		return err
	}
	return s.change(ctx, "record a mirror report", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "INSERT INTO mirror_reports (push_id, targets) VALUES (?, ?) ON CONFLICT DO NOTHING", r.PushID, string(targets))
		return err
	})
}

// AwaitedReports lists the reports that are still to be made, oldest push first.
func (s *Store) AwaitedReports(ctx context.Context) ([]MirrorReport, error) {
	rows, err := s.db.QueryContext(ctx, "SELECT push_id, targets FROM mirror_reports ORDER BY push_id")
	if err != nil {
		return nil, fmt.Errorf("look for mirror reports: %w", explain(err))
	}
	defer rows.Close()
	var out []MirrorReport
	for rows.Next() {
		var r MirrorReport
		var targets string
		if err := rows.Scan(&r.PushID, &targets); err != nil {
			return nil, fmt.Errorf("look for mirror reports: %w", err)
		}
		if err := json.Unmarshal([]byte(targets), &r.Targets); err != nil {
			return nil, fmt.Errorf("read the mirror report of push %s: %w", r.PushID, err)
		}
		for i, t := range r.Targets {
			r.Targets[i] = t.mapRefs(event.UnescapeRef)
		}
		out = append(out, r)
	}
	return out, explain(rows.Err())
}

// ReportMade notes that a report is written.
func (s *Store) ReportMade(ctx context.Context, pushID string) error {
	return s.changeSoon(ctx, "record a mirror report", func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "DELETE FROM mirror_reports WHERE push_id = ?", pushID)
		return err
	})
}

// RunsOver reports whether every run of a push has ended.
func (s *Store) RunsOver(ctx context.Context, pushID string) (bool, error) {
	var n int
	err := s.db.QueryRowContext(ctx, "SELECT count(*) FROM runs WHERE push_id = ? AND retry_of = '' AND state IN (?, ?)",
		pushID, event.RunQueued, event.RunRunning).Scan(&n)
	if err != nil {
		return false, fmt.Errorf("look for runs of push %s: %w", pushID, explain(err))
	}
	return n == 0, nil
}
