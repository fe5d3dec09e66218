package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"quire/internal/event"
)

// A run may put a tag into its own repository. It does so by a push, so that the
// repository's hooks have their say; and quire's own hooks must not take that for
// somebody's push, or every run that tags would make another run.
//
// They know it by a name that nobody else can have: a random one, of a file in the
// spool that only quire's user can read and write, and that says which ref is moved
// in which repository. The name comes to the hook in an environment variable. A
// pusher who may set variables (ssh's SendEnv) gains nothing: the name cannot be
// guessed, lives as long as the push, and is good for that one move.

// OwnVariable is the environment variable that holds the name.
const OwnVariable = "QUIRE_OWN_PUSH"

// ownName is the length of a name, of the digits of crypto/rand.Text.
const ownName = 26

// Own announces a push of quire's own under a random name (crypto/rand.Text). The
// caller calls forget when the push is over.
func (d Dir) Own(name, gitDir string, u event.Update) (forget func(), err error) {
	if !validOwn(name) {
		return nil, errors.New("announce a push of quire's own: the name is none of crypto/rand.Text")
	}
	path := d.part("own", name)
	write := func() error { return os.WriteFile(path, ownText(gitDir, u), 0o600) }
	err = write()
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(d.part("own", ""), 0o700); err == nil {
			err = write()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("announce a push of quire's own: %w", err)
	}
	return func() { os.Remove(path) }, nil // Clean takes what a crash leaves
}

// IsOwn reports whether a push is the one that was announced under the name.
func (d Dir) IsOwn(name, gitDir string, updates []event.Update) bool {
	if !validOwn(name) || len(updates) != 1 {
		return false
	}
	st, err := os.Lstat(d.part("own", name))
	if err != nil || !st.Mode().IsRegular() || st.Size() > maxOwn {
		return false
	}
	said, err := os.ReadFile(d.part("own", name))
	return err == nil && string(said) == string(ownText(gitDir, updates[0]))
}

const maxOwn = 64 << 10

func ownText(gitDir string, u event.Update) []byte {
	return []byte(gitDir + "\n" + u.Old + " " + u.New + " " + u.Ref + "\n")
}

func validOwn(name string) bool {
	return len(name) == ownName && strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567") == ""
}
