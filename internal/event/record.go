package event

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
	RunFinished      RecordType = "run_finished" // always the last line
)

// Record is a line of runs/ID/events.jsonl. Fields that a type does not use are
// left out. Every string in it is already redacted.
type Record struct {
	AtMS int64      `json:"at_ms"` // Unix milliseconds
	Type RecordType `json:"type"`

	Job     string `json:"job,omitempty"`
	Attempt int    `json:"attempt,omitempty"`
	Sh      int    `json:"sh,omitempty"`   // number of the sh call in its job, from 1
	Cmd     string `json:"cmd,omitempty"`  // sh_started
	Exit    *int   `json:"exit,omitempty"` // sh_finished
	Signal  string `json:"signal,omitempty"`

	State      string `json:"state,omitempty"`  // job_finished, run_finished, mirror_ref
	Reason     string `json:"reason,omitempty"` // why not succeeded
	DurationMS int64  `json:"duration_ms,omitempty"`

	Text   string `json:"text,omitempty"`   // logged; container_*: its name or image
	Target string `json:"target,omitempty"` // mirror_ref
	Ref    string `json:"ref,omitempty"`    // mirror_ref
	OID    string `json:"oid,omitempty"`    // mirror_ref
}
