package runlog

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

// Outcome is how a run ended. Its file is the last thing a run writes: who
// finds it knows that the other files of the run grow no more.
type Outcome struct {
	Run    string         `json:"run"`
	Number int64          `json:"number"`
	State  event.RunState `json:"state"` // a final one
	Reason masked.Text    `json:"reason,omitzero"`
	Jobs   []JobOutcome   `json:"jobs,omitempty"`

	FinishedAt time.Time     `json:"finished_at"`
	Duration   time.Duration `json:"duration_ns"`

	ReplacedBy  string `json:"replaced_by,omitempty"`
	Interrupted bool   `json:"interrupted,omitempty"` // nobody asked for its end
}

// JobOutcome is how a job ended, in the order of the pipeline.
type JobOutcome struct {
	ID       string         `json:"id"`
	State    event.JobState `json:"state"`
	Attempt  int            `json:"attempt,omitempty"`
	Reason   masked.Text    `json:"reason,omitzero"`
	Duration time.Duration  `json:"duration_ns"`
}

// Bounds of an outcome's texts, in bytes. What failed at length is in the report
// and the events; a pipeline of 10,000 jobs could make this file 160 GB.
const (
	maxReason     = 16 << 10 // of the run
	maxJobReasons = 4 << 20  // of all jobs together
	minJobReason  = 200      // of each job, however many there are
)

// WriteOutcome ends the run's files.
func (d Dir) WriteOutcome(o Outcome) error {
	o.Reason = o.Reason.Cut(maxReason)
	if n := len(o.Jobs); n > 0 {
		o.Jobs = slices.Clone(o.Jobs)
		for i := range o.Jobs {
			o.Jobs[i].Reason = o.Jobs[i].Reason.Cut(min(maxReason, max(maxJobReasons/n, minJobReason)))
		}
	}
	data, err := json.MarshalIndent(o, "", "  ")
	if err == nil {
		err = writeAtomic(d.OutcomeFile(), append(data, '\n'))
	}
	if err != nil {
		return fmt.Errorf("write outcome of run %s: %w", o.Run, err)
	}
	return nil
}

// Outcome reads how the run ended. While it has not, the error is
// fs.ErrNotExist.
func (d Dir) Outcome() (Outcome, error) {
	var o Outcome
	data, err := os.ReadFile(d.OutcomeFile())
	if err != nil {
		return o, err
	}
	if err := json.Unmarshal(data, &o); err != nil {
		return o, fmt.Errorf("read outcome: %w", err)
	}
	return o, nil
}

// Ended reports whether the run is over.
func (d Dir) Ended() bool {
	_, err := os.Stat(d.OutcomeFile())
	return err == nil
}
