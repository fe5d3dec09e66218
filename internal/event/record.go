package event

import (
	"strings"
	"unicode/utf8"

	"quire/internal/secret/masked"
)

// RecordType names what a line of events.jsonl tells.
type RecordType string

// The types a run writes, in the order in which they can first occur.
const (
	RunStarted       RecordType = "run_started"
	ContainerStarted RecordType = "container_started"
	JobStarted       RecordType = "job_started"
	ShStarted        RecordType = "sh_started"
	ShFinished       RecordType = "sh_finished"
	Logged           RecordType = "logged" // (runtime.log …)
	JobFinished      RecordType = "job_finished"
	MirrorRef        RecordType = "mirror_ref" // one ref's result at a target
	GuardReleased    RecordType = "guard_released"
	ContainerStopped RecordType = "container_stopped"
	EventsCut        RecordType = "events_cut"   // the file is full: from here on only how jobs and the run end
	RunFinished      RecordType = "run_finished" // always the last line
)

// Needed reports whether an event is written though the file is full. There is a
// bounded number of each.
func (t RecordType) Needed() bool {
	switch t {
	case RunStarted, GuardReleased, ContainerStopped, EventsCut, RunFinished:
		return true
	}
	return false
}

// Record is a line of runs/ID/events.jsonl. Fields that a type does not use are
// left out. What the pipeline or its commands said is masked; jobs are called as the
// commit calls them.
type Record struct {
	AtMS int64      `json:"at_ms"` // Unix milliseconds
	Type RecordType `json:"type"`

	Job     string      `json:"job,omitempty"`
	Attempt int         `json:"attempt,omitempty"`
	Sh      int         `json:"sh,omitempty"`   // number of the sh call in its job, from 1
	Cmd     masked.Text `json:"cmd,omitzero"`   // sh_started
	Exit    *int        `json:"exit,omitempty"` // sh_finished
	Signal  string      `json:"signal,omitempty"`

	Interrupted bool `json:"interrupted,omitempty"` // run_finished: nobody asked for its end

	State      string      `json:"state,omitempty"` // job_finished, run_finished, mirror_ref
	Reason     masked.Text `json:"reason,omitzero"` // why not succeeded
	DurationMS int64       `json:"duration_ms,omitempty"`

	Text   masked.Text `json:"text,omitzero"`   // logged; container_*: its name or image
	Target masked.Text `json:"target,omitzero"` // mirror_ref
	Ref    masked.Text `json:"ref,omitzero"`    // mirror_ref
	OID    masked.Text `json:"oid,omitzero"`    // mirror_ref
}

// MaxText bounds the text of an event, in bytes.
const MaxText = 16 << 10

// TextCut reports whether more was said than the event holds.
func (r Record) TextCut() bool {
	text := r.Text.String()
	return len(text) > MaxText-utf8.UTFMax-len("…") && strings.HasSuffix(text, "…")
}
