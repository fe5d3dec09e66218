package runner

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// OtherError is the error of a repository whose runner is another user, or in
// doubt: this
// process takes no push of it, runs none of its pipelines, and pushes none of
// its mirrors.
type OtherError struct {
	GitDir string
	Runner Runner
}

func (e *OtherError) Error() string {
	if err := e.Runner.Settled(e.GitDir); err != nil {
		return err.Error()
	}
	return fmt.Sprintf("the pipelines of %s are run by %s, not by user %d; quire install --runner changes that", e.GitDir, e.Runner.Who(), os.Geteuid())
}

// Check returns an *OtherError unless this process's user is the runner of the
// repository at gitDir. A repository that is gone is nobody's, and no error.
func Check(gitDir string) error {
	r, err := Of(gitDir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case r.UID != os.Geteuid() || r.Ignored != "":
		return &OtherError{GitDir: gitDir, Runner: r}
	}
	return nil
}
