package config

// Recover says what becomes of what no hook reported, and of runs that were cut off.
type Recover struct {
	// Unreported is for refs that moved without a push that a hook reported (somebody
	// fetched into the repository; a hook was killed): run, mirror, ignore.
	Unreported string `toml:"unreported"`
	// Interrupted is for runs that ended with their supervisor or the machine: rerun, report.
	Interrupted string `toml:"interrupted"`
}

// What Recover can say.
const (
	UnreportedRun    = "run"    // as if it had been pushed
	UnreportedMirror = "mirror" // the copies follow, and there is no run
	UnreportedIgnore = "ignore" // it is known, and no more

	InterruptedRerun  = "rerun"  // once, if no job of the run is a :once one
	InterruptedReport = "report" // it is told, and no more
)

func (r Recover) validate(f *faults) {
	f.oneOf("recover.unreported", r.Unreported, UnreportedRun, UnreportedMirror, UnreportedIgnore)
	f.oneOf("recover.interrupted", r.Interrupted, InterruptedRerun, InterruptedReport)
}
