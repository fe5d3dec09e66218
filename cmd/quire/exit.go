package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
)

// Exit statuses of every command.
const (
	exitDone   = 0
	exitFailed = 1 // the run or check failed
	exitUsage  = 2 // quire was called wrongly
	exitBroken = 3 // quire itself could not do its work
)

// failedError says that quire did its work and the answer is no: a run failed, a
// check found something. If quiet, all there is to say has been printed.
type failedError struct {
	error
	quiet bool
}

func (e failedError) Unwrap() error { return e.error }

// errFailed is a failedError that has been told already.
var errFailed = failedError{errors.New("failed"), true}

// usageError says that the command line was wrong.
type usageError struct{ error }

func (e usageError) Unwrap() error { return e.error }

// statusError ends the process with a status of another program's choosing.
type statusError int

func (e statusError) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// report prints err, once and here only, and gives the exit status for it.
func report(err error) int {
	var failed failedError
	var usage usageError
	var status statusError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &failed):
		if !failed.quiet {
			printError(err)
		}
		return exitFailed
	case errors.As(err, &usage), strings.HasPrefix(err.Error(), "unknown command"):
		printError(err)
		return exitUsage
	default:
		printError(err)
		return exitBroken
	}
}

// printError prints an error, which may quote anybody.
func printError(err error) { fmt.Fprintf(os.Stderr, "quire: %s\n", plainLines(err.Error())) }
