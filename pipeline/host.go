package pipeline

import (
	"context"
	"time"

	"quire/internal/checked"
	"quire/internal/secret"
)

// Host is what run-fns can ask of the world outside their VM. The supervisor of
// a run implements it; the pipeline itself touches no process, file or network.
// Its methods are called from several jobs at the same time.
type Host interface {
	// Sh runs one command where the run's commands run. A command that ran
	// has a Result whatever its status; an error means that it could not run,
	// or that ctx ended.
	Sh(ctx context.Context, call Call, cmd Command) (Result, error)

	// Secret reveals a secret to the calling job, or says why not.
	Secret(ctx context.Context, call Call, name string) (string, error)

	// Env is a variable of the operator's allow list.
	Env(name string) (value string, ok bool)

	// Mask takes the values of the run's secrets out of a text. Nothing that run-fns
	// say is shortened before, nor told to anybody else.
	Mask(text string) secret.Masked

	// Log adds lines to the calling job's log: message has one or more, and no end
	// of the last.
	Log(call Call, message string)

	// ReadFile and WriteFile reach files inside the workspace and no others:
	// paths are relative to it; "..", absolute paths and symbolic links that
	// lead out are errors.
	ReadFile(ctx context.Context, path string) ([]byte, error)
	WriteFile(ctx context.Context, path string, data []byte) error

	// Artifact keeps a file of the workspace with the run.
	Artifact(ctx context.Context, call Call, path string) error

	// Mirror pushes refs and a tag of the run's repository to a remote.
	Mirror(ctx context.Context, call Call, m Mirror) (MirrorResult, error)
}

// Call says which job is asking.
type Call struct {
	Job     string
	Attempt int               // 1 for the first
	Env     map[string]string // the job's :env
	Image   checked.Image     // the job's :image
}

// Command is an sh call as the pipeline wrote it: either Shell or Argv is set.
type Command struct {
	Shell   string   // run under sh -c
	Argv    []string // run as it is
	Env     map[string]string
	Dir     string
	Timeout time.Duration // 0: none of its own
	Stdin   []byte
}

// Result is what sh returns. Stdout and Stderr are the real bytes, up to the
// host's capture limit; what is recorded elsewhere is redacted.
type Result struct {
	Exit      int    // 128+n when signal n ended the command
	Signal    string // "SIGKILL" …; "" if it exited by itself
	Stdout    []byte
	Stderr    []byte
	Cmd       string // the command as a person would write it
	TimedOut  bool
	Limit     string // which limit ended it; "" none
	Truncated bool   // Stdout or Stderr is only a beginning
}

// Mirror is one call of the mirror engine.
type Mirror struct {
	As     string // target name from :as; "" for the first
	URL    string
	Secret string // name to be revealed; or AuthHeader, a header verbatim; or neither
	// AuthHeader is what the stdlib's mirror is given; the host registers it
	// for redaction.
	AuthHeader string
	SHA        string   // commit to tag; "" is the pushed one
	Tag        string   // "" makes none
	Refs       []string // full names; empty is the pushed ref
	TagOnly    bool     // Refs is empty and means none: push the tag alone
	GitDir     string   // "" is the run's repository; another is refused
}

// MirrorResult is what a mirror call returns to the pipeline.
type MirrorResult struct {
	Tag        string
	PushedRefs []string
}
