package pipeline

import (
	"time"

	"quire/internal/checked"
)

// PushSource is the name under which a job lists, and reads, the push that
// started its run.
const PushSource = "quire/push"

// Pipeline is a checked graph of jobs. It does not change, and Run may be
// called on it from several goroutines.
type Pipeline struct {
	Image    checked.Image // from ci.image; zero if the pipeline names none
	Caches   []Cache       // in the order they were registered
	Services []Service     // likewise

	// Jobs holds every job after all of its inputs, and otherwise in the order in
	// which the pipeline registers them.
	Jobs []*Job

	program  *program
	template *template // nil: every job's state is evaluated
	graph    *graph
	limits   Limits
	odd      Diagnostics // inputs that are ignored
}

// Job is one job of a pipeline, as it was registered.
type Job struct {
	ID     string
	Inputs []string // as listed, repetitions left out

	Timeout       time.Duration // of one attempt; 0: none of its own
	Retries       int           // further attempts after a failed one
	AllowFailure  bool          // its failure neither fails the run nor blocks other jobs
	Interruptible bool          // a newer push may stop it; true unless the pipeline says no
	Once          bool          // a run with it that was cut off is not run again by itself
	Image         checked.Image // zero is the pipeline's
	Env           map[string]string

	// Mirror is set for a job that ci.mirror registered.
	Mirror *MirrorSpec

	// Where it was registered. Col counts characters from 0.
	File      string
	Line, Col int

	index int // in Pipeline.Jobs
}

// MirrorSpec is what can be said of a ci.mirror job without running it.
type MirrorSpec struct {
	As     string // from :as; "" for the first target
	URL    string
	Secret string   // "" for a target that needs none
	Refs   []string // as written: full names, or patterns as event.MatchRef reads them
}

// Cache is a directory set that is kept between runs, from ci.cache.
type Cache struct {
	Name  string
	Paths []checked.CachePath
}

// Service is a container that runs beside the jobs, from ci.service.
type Service struct {
	Name  checked.Host
	Image checked.Image
	Env   map[string]string
	Ready []string // command that succeeds once the service can be used; nil: none
}

// Job is the job with the given id, nil if there is none.
func (p *Pipeline) Job(id string) *Job {
	if i, ok := p.graph.index[id]; ok {
		return p.Jobs[i]
	}
	return nil
}

// TransitiveInputs lists what a job may read: the source, if it is reached, and
// then jobs in the order of Jobs. nil for an unknown id.
func (p *Pipeline) TransitiveInputs(id string) []string {
	i, ok := p.graph.index[id]
	if !ok {
		return nil
	}
	var names []string
	if p.graph.readsSource(i) {
		names = append(names, PushSource)
	}
	for k, j := range p.Jobs {
		if p.graph.ancestors[i].has(k) {
			names = append(names, j.ID)
		}
	}
	return names
}
