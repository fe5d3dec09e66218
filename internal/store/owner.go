package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// OwnerError is the error of a state directory that belongs to another user.
// Whoever is not its owner, root too, would leave files there that the owner
// cannot read.
type OwnerError struct {
	Dir string
	UID int // the owner
}

func (e *OwnerError) Error() string {
	return fmt.Sprintf("the state directory %s belongs to user %d, and this is user %d: only its owner may work in it", e.Dir, e.UID, os.Geteuid())
}

// CheckOwner returns an *OwnerError if the state directory belongs to another
// user than this process's. One that is not there yet is nobody's.
func CheckOwner(stateDir string) error {
	st, err := os.Stat(stateDir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if sys, ok := st.Sys().(*syscall.Stat_t); ok && int(sys.Uid) != os.Geteuid() {
		return &OwnerError{Dir: stateDir, UID: int(sys.Uid)}
	}
	return nil
}
