// Package local runs commands as processes of this machine, with pipes for
// their output and to the last process: what the host executor does with a
// command itself, and the bubblewrap executor with bwrap.
package local
