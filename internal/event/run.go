package event

import (
	"time"

	"quire/internal/secret/masked"
)

// RunState is where a run stands.
type RunState string

// A run goes queued → running → one of the rest, and never back.
const (
	RunQueued    RunState = "queued"
	RunRunning   RunState = "running"
	RunSucceeded RunState = "succeeded"
	RunFailed    RunState = "failed"
	RunCanceled  RunState = "canceled" // a person asked; written when no process is left
	RunReplaced  RunState = "replaced" // a newer push to the same ref; likewise
	RunOrphaned  RunState = "orphaned" // its supervisor died; its processes were ended later
)

// Final reports whether the run is over.
func (s RunState) Final() bool { return s != RunQueued && s != RunRunning }

// JobState is where a job stands.
type JobState string

// A job goes pending → running → one of the rest; blocked, skipped and canceled
// also come straight from pending.
const (
	JobPending   JobState = "pending"
	JobRunning   JobState = "running"
	JobSucceeded JobState = "succeeded"
	JobFailed    JobState = "failed"
	JobSkipped   JobState = "skipped" // its run-fn returned nil
	JobBlocked   JobState = "blocked" // an input failed
	JobCanceled  JobState = "canceled"
)

// Final reports whether the job is over.
func (s JobState) Final() bool { return s != JobPending && s != JobRunning }

// Run is the work that one updated ref of a push causes.
type Run struct {
	ID     string `json:"id"`
	Number int64  `json:"number"` // what a person types; counts up in one state directory
	PushID string `json:"push_id"`
	GitDir string `json:"git_dir"`
	Update

	Pusher  string   `json:"pusher"`
	Options []string `json:"options,omitempty"`

	State  RunState    `json:"state"`
	Reason masked.Text `json:"reason,omitzero"` // why it failed, was canceled …; one line, redacted

	PushedAt   time.Time `json:"pushed_at"`
	QueuedAt   time.Time `json:"queued_at"`
	StartedAt  time.Time `json:"started_at,omitzero"`
	FinishedAt time.Time `json:"finished_at,omitzero"`

	// Duration is measured on the monotonic clock by the supervisor; the two
	// times above are for display, and their difference lies when the wall
	// clock is set in between.
	Duration time.Duration `json:"duration_ns"`

	RetryOf    string `json:"retry_of,omitempty"`    // the run that `quire retry` repeated
	ReplacedBy string `json:"replaced_by,omitempty"` // the run that took its place

	// Interrupted says that nobody asked for the run's end: its supervisor was killed,
	// or the machine went down. Rerun says that quire made the run by itself, because
	// RetryOf was interrupted.
	Interrupted bool `json:"interrupted,omitempty"`
	Rerun       bool `json:"rerun,omitempty"`
}

// AsText is the run with its ref as text, for JSON and people; see EscapeRef.
func (r Run) AsText() Run {
	r.Ref = EscapeRef(r.Ref)
	return r
}

// Job is one job of a run.
type Job struct {
	RunID      string        `json:"run_id"`
	ID         string        `json:"id"`
	State      JobState      `json:"state"`
	Attempt    int           `json:"attempt"` // 1 for the first
	Reason     masked.Text   `json:"reason,omitzero"`
	StartedAt  time.Time     `json:"started_at,omitzero"`
	FinishedAt time.Time     `json:"finished_at,omitzero"`
	Duration   time.Duration `json:"duration_ns"`
}

// Command is one `sh` call of a job.
type Command struct {
	RunID      string        `json:"run_id"`
	Job        string        `json:"job"`
	N          int           `json:"n"`    // 1 for the job's first; the log is jobs/JOB/sh-N.log
	Line       masked.Text   `json:"line"` // as written, redacted
	Exit       int           `json:"exit"` // 128+n when signal n ended it
	Signal     string        `json:"signal,omitempty"`
	StartedAt  time.Time     `json:"started_at,omitzero"`
	FinishedAt time.Time     `json:"finished_at,omitzero"`
	Duration   time.Duration `json:"duration_ns"`
}
