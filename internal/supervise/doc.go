// Package supervise runs one run from its queued row to its outcome: workspace,
// pipeline, job graph, and the teardown in its order. It is the process that
// `quire supervise` is, one for each run, and also what `quire run` does in a
// checkout ([Local]), which is the same without a store.
//
// What a run leaves behind passes one place, the journal, which redacts it and
// writes it to the run's files and to the store. The end has a fixed order:
//
//	the jobs have ended and their runtime guards are released
//	→ the executor is closed: no process, no container is left
//	→ the last event, then the store, then the outcome file
//
// so that whoever sees a run's final state sees everything else about it too. A
// supervisor may be killed at any of these moments; the worker then ends what it
// left and writes what is missing (package worker).
//
// It takes no part in deciding which run runs when.
package supervise
