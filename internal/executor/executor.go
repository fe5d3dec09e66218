// Package executor says what it means to run a job's command somewhere, and
// chooses the somewhere: the host, a bubblewrap sandbox, a Docker container
// (the packages host, bwrap and docker below this one).
//
// An executor that is asked for and absent is an error that names what to
// install. There is no falling back to a weaker one.
package executor

import (
	"context"
	"io"
	"time"
)

// Executor is where the commands of one run are executed.
//
// Implementations pass the conformance suite in executortest.
type Executor interface {
	// Exec runs one command to its end, writing its output as it comes. It
	// may be called from several goroutines. When it returns, no process of
	// the command is left and nothing more is written to stdout or stderr:
	// what outlived the command (a daemon, a child that holds the pipe open)
	// has been ended.
	//
	// A command that ran has an Exit and no error, whatever its status. An
	// error means it could not be run: no such program, executor gone. When
	// ctx is done the command is ended (SIGTERM, grace, SIGKILL, to the last
	// process) and Exec returns the Exit it came to together with
	// context.Cause(ctx).
	Exec(ctx context.Context, c Command, stdout, stderr io.Writer) (Exit, error)

	// Close ends whatever of the run is left and gives back what the executor
	// holds (a container, a network, a cgroup). It is called once, after the
	// runtime guard is released, with a context that bounds the clean-up.
	Close(ctx context.Context) error
}

// Command is one command, complete: nothing is inherited.
type Command struct {
	Argv    []string // never empty; a shell string arrives as sh -c STRING
	Env     []string // NAME=VALUE, the command's whole environment
	Dir     string   // absolute or relative to the workspace; "" is its root
	Stdin   []byte   // nil: /dev/null
	Timeout time.Duration
	Image   string // docker: the job's own image; "" is the run's
}

// Exit is how a command ended.
type Exit struct {
	Code     int    // 0–255; 128+n when signal n ended it
	Signal   string // "SIGKILL" …; "" when it exited by itself
	TimedOut bool
	Limit    string // which limit ended it: "memory", "pids", "wall"; "" none
}

// Spec is what an executor needs to know of its run.
type Spec struct {
	RunID     string
	GitDir    string // bare repository: its objects are readable in the workspace, never writable
	Workspace string // absolute
	RunDir    string // runs/ID, for sockets and logs of the executor's own
	// Scratch is a directory for files that commands write and nobody keeps. It
	// need not exist. Whoever made the Spec removes it, some time after Close: what
	// a job leaves there can take long to delete.
	Scratch string

	// Checkout: the workspace is a person's checkout and GitDir its repository, with
	// its index and settings. Commands see all of that.
	Checkout bool
	// Kept is a directory for what an executor keeps from run to run, of the
	// machine's files and of nothing that a job made. It need not exist; "": nothing
	// is kept.
	Kept string

	// Docker takes the image that the pipeline names (ci.image), else the one
	// that .quire/Dockerfile makes, else the configuration's.
	Image        string
	DefaultImage string
	// AllowImages are patterns of the images that pipelines may name, in full and
	// with * for any characters; nil: all but those of registries that are named
	// as this machine or in its network.
	AllowImages []string
	// Context is .quire without its Fennel, of which the image is built: what was
	// committed, whatever lies in the workspace. nil: no image is built.
	Context func(context.Context) ([]ContextFile, error)
	// Domains say whose images the run may use of those that were built: its own
	// domain, for which it builds, then those it trusts.
	Domains []string
	// Network is a network's name, "none", or "" for the executor's usual: in a
	// sandbox none, in a container the engine's.
	Network string
	Rootfs  string // bwrap: the root directory to show, "" for the machine's programs
	Limits  Limits
	Grace   time.Duration // between SIGTERM and SIGKILL

	// Ground is where the run's processes on this machine are held already; nil:
	// the executor makes its own. It is the executor's from then on, and of no
	// use to one whose commands run elsewhere, which closes it.
	Ground Ground

	// Mounts are further directories that commands see: caches, mostly. The
	// host executor shows nothing in another place and ignores them.
	Mounts []Mount

	// Services run beside the jobs, before the first and until the last, where
	// the executor has containers. ServiceLog is where the output of one goes.
	Services   []Service
	ServiceLog func(name string) io.WriteCloser

	// Hidden are host paths that no command may see where the executor can
	// hide them: the configuration, the state directory, other repositories.
	Hidden []string

	// Progress tells a person what takes long ("pulling golang:1.26 …").
	Progress func(text string)
	// Container is told when a container has started and when it has stopped,
	// with its name; the run records it. Not called by the host executor.
	Container func(started bool, name string)
}

// ContextFile is a plain file of an image's context. Symbolic links are not part
// of it.
type ContextFile struct {
	Path       string // below the context, with slashes
	Content    []byte
	Executable bool
}

// Mount is a directory of this machine that commands find under another path.
type Mount struct {
	Source   string // absolute; exists
	Target   string // absolute, where commands find it
	Writable bool
}

// Service is a server that jobs reach by its name.
type Service struct {
	Name  string // host name, also unique in the run
	Image string
	Argv  []string // over the image's own; nil: as it is
	Env   []string
	// Ready is a command in the service's container that exits 0 when it can be
	// used; nil: as soon as it runs.
	Ready  []string
	Within time.Duration // how long that may take; 0: a minute
}

// Limits bound the run's commands; zero is no limit.
type Limits struct {
	CPU    float64 // cores
	Memory int64   // bytes
	PIDs   int
}
