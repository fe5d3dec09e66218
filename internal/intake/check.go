package intake

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"quire/internal/account"
	"quire/internal/event"
	"quire/internal/gitrepo"

	"golang.org/x/sys/unix"
)

// Refusal is why a push is not taken, as a sentence for the pusher. Its cause
// does not pass by trying again.
type Refusal struct{ reason string }

func (r *Refusal) Error() string { return r.reason }

func refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

// Checker decides what is believed of a push.
type Checker struct {
	// Runs reports whether the repository at a path, links resolved, is one that
	// this user is the runner of.
	Runs func(gitDir string) (bool, error)
}

// Check returns the push as it may be recorded: the pusher's name is the
// kernel's, the id and time are of now, and only those updates are left that the
// repository confirms. An error that is a *Refusal is final.
//
// What a ref moved from is the pusher's word, and believed if there is such an
// object that can be read: it decides which files count as changed, and nothing of
// who may what.
//
// A ref that has moved on since is left out: whoever moved it reports that, or
// the worker finds it.
func (c Checker) Check(ctx context.Context, claimed event.Push, by account.Account) (event.Push, error) {
	gitDir := claimed.GitDir
	if err := c.Admit(gitDir, by); err != nil {
		return event.Push{}, err
	}
	repo, err := gitrepo.Open(ctx, gitDir)
	if err != nil {
		return event.Push{}, err
	}
	defer repo.Close()
	p := claimed
	p.Pusher, p.Updates = by.String(), nil
	p.Recovered, p.MadeBy, p.Dropped = false, "", false
	named, unread := map[string]bool{}, ""
	for _, u := range claimed.Updates {
		if named[u.Ref] {
			continue // git moves a ref once in a push
		}
		named[u.Ref] = true
		moved, err := confirmed(repo, u)
		switch {
		case errors.Is(err, gitrepo.ErrRefName):
			continue // so it is nowhere
		case err != nil:
			return event.Push{}, err
		case !moved:
			unread = orElse(unread, closed(gitDir, u.Ref, by))
			continue
		}
		if !u.Creates() { // else git would be started to look for no object
			if _, err := repo.Commit(u.Old); ctx.Err() != nil {
				return event.Push{}, context.Cause(ctx)
			} else if err != nil {
				u.Old = strings.Repeat("0", len(u.New)) // it was pruned, or never there
			}
		}
		p.Updates = append(p.Updates, u)
	}
	if len(p.Updates) == 0 && unread != "" {
		return event.Push{}, refuse("%s", unread)
	}
	if len(p.Updates) == 0 {
		return event.Push{}, refuse("none of the %d refs stands where this push says it moved to", len(claimed.Updates))
	}
	return p, nil
}

// closed says what keeps the runner from reading a ref that the pusher's git wrote;
// "" if nothing does. git gives files to who pushes, with that user's mask, unless
// the repository is shared (core.sharedRepository).
func closed(gitDir, ref string, by account.Account) string {
	path := filepath.Join(gitDir, ref)
	if !errors.Is(unix.Access(path, unix.R_OK), unix.EACCES) {
		return ""
	}
	return fmt.Sprintf("%[1]s cannot read %[2]s, which git wrote as %[3]s, whose umask keeps others out; mend it as root: chown -R %[1]s %[4]s; then push as %[1]s, or with core.sharedRepository set",
		account.Self(), path, by, gitDir)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// Admit says why a user's pushes to a repository are not taken, whatever they are;
// nil if they are.
//
// The socket is open to every user of the machine, and the runner sees more of it
// than they do. So who may not write to the repository gets one sentence, whatever
// is or is not at the path.
func (c Checker) Admit(gitDir string, by account.Account) error {
	real, err := filepath.EvalSymlinks(gitDir)
	if err != nil || !filepath.IsAbs(real) || real != gitDir || !mayPush(gitDir, by) {
		return refuse("%q is not a repository, by its path with links resolved, that %s runs pipelines for and %s (user %d) may write to", gitDir, account.Self(), by, by.UID)
	}
	mine, err := c.Runs(gitDir)
	switch {
	case err != nil:
		return err
	case !mine:
		return refuse("%s is not a repository that %s runs pipelines for; quire install makes it one", gitDir, account.Self())
	}
	return nil
}

// confirmed reports whether the ref stands where the update says.
func confirmed(repo *gitrepo.Repo, u event.Update) (bool, error) {
	oid, there, err := repo.ResolveRef(u.Ref)
	if err != nil {
		return false, err
	}
	return there && oid == u.New || !there && u.Deletes(), nil
}

// mayPush reports whether a user can have pushed to the repository: git writes
// objects, and the refs' files or tables.
func mayPush(gitDir string, by account.Account) bool {
	if by.UID == 0 {
		return true
	}
	for _, part := range []string{"objects", "refs"} {
		if info, err := os.Stat(filepath.Join(gitDir, part)); err != nil || !writable(info, by) {
			return false
		}
	}
	return true
}

// writable is the kernel's rule for a directory without an access control list
// (path_resolution(7)): the first of owner, group and others that fits decides.
func writable(info os.FileInfo, by account.Account) bool {
	sys, mode := info.Sys().(*syscall.Stat_t), info.Mode().Perm()
	switch {
	case int(sys.Uid) == by.UID:
		return mode&0o300 == 0o300
	case by.In(int(sys.Gid)):
		return mode&0o030 == 0o030
	}
	return mode&0o003 == 0o003
}

// IsRefusal reports whether trying again is of no use.
func IsRefusal(err error) bool {
	var r *Refusal
	return errors.As(err, &r)
}
