// Package hooks is what git calls when somebody pushes: the post-receive hook,
// which puts the push into the spool, sees that a worker runs, and shows the
// pusher what becomes of it; and the pre-receive hook, which can announce the
// push before git moves a ref.
//
// It runs no job, opens no database, reads no object, and refuses no push: git
// has the last word on what is accepted, and a fault of quire's is a sentence
// on the pusher's screen. It links the standard library and a TOML reader and
// nothing else, because the initialisation of everything linked is paid on every
// push.
package hooks

import (
	"os"
)

// Call is how git called a hook.
type Call struct {
	Args   []string // Args[0] is the path in the hooks directory
	Stdin  *os.File // the ref lines
	Stdout *os.File // git joins both to the pusher's "remote:" lines
	Stderr *os.File
}

// Called is the call of this process.
func Called() Call { return Call{os.Args, os.Stdin, os.Stdout, os.Stderr} }
