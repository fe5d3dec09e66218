// Package procs knows which processes of this machine belong to a command or
// a run, and ends them to the last one.
//
// A command's processes are told apart by four marks, because each alone can
// be lost: the process tree below a subreaper (lost when the subreaper dies),
// the environment variables QUIRE_RUN and QUIRE_EXEC (lost by env -i), tags in
// settings that nobody uses (see tag.go; lost by a program that sets them), and
// a cgroup where one is to be had (not lost, but often not to be had).
//
// It never waits for "any child": a process that runs commands has children
// that somebody else waits for, and would steal their exit statuses.
package procs
