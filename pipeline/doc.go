// Package pipeline turns a repository's .quire/ci.fnl into a graph of jobs and
// runs that graph.
//
// A pipeline is a Fennel program. [Load] evaluates it once, collects what it
// registers, and reports everything that is wrong with it at once, each fault
// with its place. [Pipeline.Run] runs the jobs: those that do not depend on one
// another at the same time, each in a Lua state of its own, which is as if the
// program had just been evaluated in it. Nothing but plain data goes from one
// job to another.
//
// What a run-fn can ask of the world is the runtime table. A [Runtime] is
// installed in a state by Install, which returns the [Guard] that takes it out
// again; the table is there all the time and is filled and emptied in place, so
// that a reference taken while the pipeline registers its jobs is the live one
// when they run.
//
// This package starts no process and opens no file. It asks a [Host] for those,
// and it knows nothing of redaction: every string in its results and events may
// hold a secret, and whoever writes one down redacts it first.
package pipeline
