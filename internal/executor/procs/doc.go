// Package procs knows which processes of this machine belong to a command or
// a run, and ends them to the last one.
//
// They are told by several marks, because each alone can be lost: the tree
// below a subreaper and their sessions (lost when the subreaper dies), the
// environment variables QUIRE_RUN and QUIRE_EXEC (lost by env -i), a tag in a
// setting that nobody uses (tag.go; lost by a program that sets it), and a
// cgroup where one is to be had (not lost, but often not to be had).
//
// It never waits for "any child": a process that runs commands has children
// that somebody else waits for, and would steal their exit statuses.
package procs
