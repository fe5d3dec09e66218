package pipeline

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Source is the text of a pipeline and of what it may require.
type Source struct {
	Name string // as errors name it: .quire/ci.fnl
	Text []byte

	// Lib finds a module of the same commit, for require and import-macros; nil
	// finds none. [LibFiles] says where a module is kept. It is called by one
	// goroutine at a time, also after Load has returned, and at most once for
	// each name.
	Lib Finder
}

// Finder reads a module. ErrNoModule is its error if there is none; any other
// means that there is one which cannot be read, and is shown to who wrote it.
type Finder func(module string) (text []byte, file string, err error)

// ErrNoModule is the error for a module that the commit does not hold.
var ErrNoModule = errors.New("there is no such module")

// withoutMark is a text without the byte order mark that some editors write.
func withoutMark(text []byte) []byte { return bytes.TrimPrefix(text, []byte("\uFEFF")) }

// LibFiles lists the files of a commit that may hold a module, the first that
// exists being it; none if the name cannot be a module's.
func LibFiles(module string) []string {
	for part := range strings.SplitSeq(module, ".") {
		if part == "" || strings.ContainsAny(part, "/\\\x00") {
			return nil
		}
	}
	path := ".quire/lib/" + strings.ReplaceAll(module, ".", "/")
	return []string{path + ".fnl", path + "/init.fnl", path + ".fnlm", path + "/init-macros.fnl"}
}

// Limits bound what a pipeline's own code may take. A zero field has the
// default. Memory has no limit here: a Lua state in Go cannot count it, so the
// process that calls this package is given one.
type Limits struct {
	// Stretch is how long Lua may run without a pause: evaluating the pipeline,
	// and then between two primitives. Default: 10 s.
	Stretch time.Duration

	// Grace is how long a library call may go on after that before Load and Run
	// give up on it. Default: 2 s.
	Grace time.Duration
}

func (l Limits) withDefaults() Limits {
	if l.Stretch <= 0 {
		l.Stretch = 10 * time.Second
	}
	if l.Grace <= 0 {
		l.Grace = 2 * time.Second
	}
	return l
}

// Runaway is the error of Lua code that could not be stopped: it is inside a
// library call that does not end. Its goroutine is left behind and goes on
// using memory and a processor, so the caller is a process that is about to
// exit.
type Runaway struct {
	Job   string // "" while the pipeline is evaluated by Load
	File  string
	Line  int // where the job is registered; 0 without a job
	Limit time.Duration
}

func (r *Runaway) Error() string {
	if r.Job == "" {
		return fmt.Sprintf("%s: evaluation did not end within %s and could not be stopped", r.File, r.Limit)
	}
	return fmt.Sprintf("%s:%d: job '%s': its code did not give way within %s and could not be stopped", r.File, r.Line, r.Job, r.Limit)
}
