package event

import (
	"os"
	"sync"
	"syscall"
)

// Step names a moment on the way from the ref lines of a push to the final
// state of its runs. After a kill at any of them every push still comes to an
// outcome; tests walk the table Steps to see that it does.
type Step string

// The steps, in the order in which a push that is let alone passes them.
const (
	StepRefLines    Step = "ref-lines"    // hook: git moved the refs, nothing is spooled
	StepSpooled     Step = "spooled"      // hook: the push is in the spool
	StepWorkerUp    Step = "worker-up"    // worker: it holds the lock
	StepReading     Step = "reading"      // worker: it is about to read what was pushed
	StepTaken       Step = "taken"        // worker: recorded in the store, still in the spool
	StepAnswered    Step = "answered"     // worker: the answer is written, still in the spool
	StepUnspooled   Step = "unspooled"    // worker: out of the spool, no run started
	StepSpawned     Step = "spawned"      // worker: a supervisor was started
	StepHeld        Step = "held"         // supervisor: it holds the run's lock, the run is queued
	StepStarted     Step = "started"      // supervisor: the run is running
	StepWorkspace   Step = "workspace"    // supervisor: the workspace is made
	StepJobRunning  Step = "job-running"  // supervisor: a command is running
	StepJobsOver    Step = "jobs-over"    // supervisor: the jobs have ended, nothing is recorded of it
	StepClosed      Step = "closed"       // supervisor: the executor is closed
	StepEventsOver  Step = "events-over"  // supervisor: the last event is written, there is no outcome
	StepFinished    Step = "finished"     // supervisor: the store has the final state, there is no outcome
	StepOutcome     Step = "outcome"      // supervisor: the outcome is written
	StepDisplacing  Step = "displacing"   // worker: older runs were displaced, nobody was told
	StepOrphanFound Step = "orphan-found" // worker: a dead supervisor's processes are ended, nothing is recorded
)

// The steps of a mirror. They may come before, between or after those of runs.
const (
	StepMirrorSending  Step = "mirror-sending"  // the ledger says what is in flight, nothing is sent
	StepMirrorSent     Step = "mirror-sent"     // git push has ended, nothing is recorded of it
	StepMirrorSettled  Step = "mirror-settled"  // recorded, nobody was told
	StepMirrorReported Step = "mirror-reported" // the pusher's report is written, and still awaited
	StepStatusShown    Step = "status-shown"    // the forge knows a commit status, and it is still owed
)

// MirrorSteps lists the steps of a mirror.
var MirrorSteps = []Step{StepMirrorSending, StepMirrorSent, StepMirrorSettled, StepMirrorReported, StepStatusShown}

// Steps lists all steps of a push and its runs.
var Steps = []Step{
	StepRefLines, StepSpooled, StepWorkerUp, StepReading, StepTaken, StepAnswered, StepUnspooled, StepSpawned, StepHeld, StepStarted,
	StepWorkspace, StepJobRunning, StepJobsOver, StepClosed, StepEventsOver, StepFinished, StepOutcome,
	StepDisplacing, StepOrphanFound,
}

// Reached marks a step. It does nothing, unless QUIRE_TESTING=1 and
// QUIRE_CRASH_AT names this step: then the process kills itself as a power cut
// would, without a word and with nothing cleaned up. If QUIRE_CRASH_ONCE names a
// file, only the first process that can make it does so.
func Reached(s Step) {
	if crashAt() == s && first() {
		syscall.Kill(syscall.Getpid(), syscall.SIGKILL)
		select {} // the signal is on its way
	}
}

func first() bool {
	path := os.Getenv("QUIRE_CRASH_ONCE")
	if path == "" {
		return true
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err == nil {
		f.Close()
	}
	return err == nil
}

var crashAt = sync.OnceValue(func() Step {
	if os.Getenv("QUIRE_TESTING") != "1" {
		return ""
	}
	return Step(os.Getenv("QUIRE_CRASH_AT"))
})
