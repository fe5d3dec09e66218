package intake

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"

	"quire/internal/account"
	"quire/internal/event"
	"quire/internal/handover"
	"quire/internal/runner"
	"quire/internal/spool"
)

// Drops takes in what hooks left in drop directories because nobody listened on
// the socket. The owner of a file is its pusher: others may put files into the
// directory (mode 1733), and neither see nor remove what is there.
type Drops struct {
	Check Checker
	Spool spool.Dir
	// Account finds the owner of a file: account.ByUID, outside of tests.
	Account func(uid int) (account.Account, error)

	passes map[string]*pass // of directories of which the last call of Take read a part; by repository
}

// pass is a reading of a drop directory from its beginning to its end.
type pass struct {
	dir  *os.File
	over bool // there were files that had no turn
}

// DropDir is where pushes to a repository are dropped.
func DropDir(gitDir string) string { return filepath.Join(gitDir, runner.Drop) }

// Bounds of one call of Take: a flood must not keep the worker from its work,
// nor one user's files another's from being looked at.
const (
	maxSeen    = 100_000 // names read, in the order that the directory has them
	maxEntries = 5000    // files looked at
	maxOfUser  = 100     // taken, of one user
	maxTime    = 2 * time.Second
	// maxTemporary is how many files one user may be writing. What is above counts
	// as abandoned.
	maxTemporary = 200
)

// Taken is what one call of Take did.
type Taken struct {
	Pushes  []TakenPush // recorded in the spool
	Refused []error     // one for each file that was removed without a push; at most 20
	Removed int         // how many such files there were
	Stuck   int         // directories with something in them, which only their owner or root can remove
	More    bool        // the bounds were met: call again
}

// TakenPush is a push that is in the spool now.
type TakenPush struct{ ID, Pusher string }

// Take takes in the pushes that were dropped for a repository, up to its bounds.
// A file is removed when its push is in the spool, or when it can never be one.
// What fails otherwise stays, for the next call, and is told; it keeps nothing
// else waiting.
//
// Every user's files get their turn: each call reads on in the directory where
// the one before stopped, and looks at one file of each owner, then at the next
// of each.
func (d *Drops) Take(ctx context.Context, gitDir string) (t Taken, err error) {
	pass, err := d.open(gitDir)
	if err != nil || pass == nil {
		return t, err
	}
	dir, whole := pass.dir, false
	defer func() {
		if whole || err != nil {
			dir.Close()
			delete(d.passes, gitDir)
		}
	}()
	files := &turns{}
	whole, t.Stuck, err = files.read(dir, maxSeen)
	if err != nil {
		return t, fmt.Errorf("look for pushes that were handed over: %w", err)
	}
	pass.over = pass.over || files.over
	defer func() { t.More = pass.over || !whole }()
	end := time.Now().Add(maxTime)
	accounts, taken := map[int]account.Account{}, map[int]int{}
	var failed error
	for name, first := range files.all() {
		if ctx.Err() != nil || !first && time.Now().After(end) {
			pass.over = true
			break
		}
		f, uid, gid, err := openDropped(dir, name)
		if err == nil && taken[uid] >= maxOfUser {
			f.Close()
			pass.over = true
			continue
		}
		var p event.Push
		if err == nil {
			by, known := accounts[uid]
			if !known {
				by, _ = d.Account(uid) // one without an entry is a number, and has no groups
				accounts[uid] = by
			}
			by.Groups = append(slices.Clip(by.Groups), gid) // only a member could give it to the group
			p, err = d.record(ctx, f, gitDir, by)
			f.Close()
		}
		switch {
		case err == nil:
			taken[uid]++
			t.Pushes = append(t.Pushes, TakenPush{p.ID, p.Pusher})
		case IsRefusal(err):
			t.Removed++
			if len(t.Refused) < 20 {
				t.Refused = append(t.Refused, fmt.Errorf("handed over by %s: %w", nameOf(uid), err))
			}
		case errors.Is(err, os.ErrNotExist):
			continue
		default:
			failed = cmp.Or(failed, err) // the disk is full, say
			continue
		}
		if err := remove(dir, name); err != nil {
			failed = cmp.Or(failed, err)
		}
	}
	return t, failed
}

// open opens the repository's drop directory, or goes on with the pass through
// it, if it is still the one that is there. nil without an error if there is none.
func (d *Drops) open(gitDir string) (*pass, error) {
	dir, err := openDropDir(DropDir(gitDir))
	half := d.passes[gitDir]
	if half != nil && dir != nil && same(half.dir, dir) {
		dir.Close()
		return half, nil
	}
	if half != nil {
		half.dir.Close()
		delete(d.passes, gitDir)
	}
	if dir == nil {
		return nil, err
	}
	if d.passes == nil {
		d.passes = map[string]*pass{}
	}
	d.passes[gitDir] = &pass{dir: dir}
	return d.passes[gitDir], nil
}

func same(a, b *os.File) bool {
	x, err1 := a.Stat()
	y, err2 := b.Stat()
	return err1 == nil && err2 == nil && os.SameFile(x, y)
}

// record makes a push of a dropped file and records it.
func (d *Drops) record(ctx context.Context, f *os.File, gitDir string, by account.Account) (event.Push, error) {
	data, err := io.ReadAll(io.LimitReader(f, handover.MaxPush+1))
	if err != nil {
		return event.Push{}, fmt.Errorf("read a push that was handed over: %w", err)
	}
	if len(data) > handover.MaxPush {
		return event.Push{}, refuse("it is larger than %d bytes", handover.MaxPush)
	}
	claimed, err := spool.Parse(data)
	if err != nil {
		return event.Push{}, refuse("it is no push: %v", err)
	}
	if claimed.GitDir != gitDir {
		return event.Push{}, refuse("it is a push to %q, not to this repository", claimed.GitDir)
	}
	return record(ctx, d.Check, d.Spool, claimed, by, true)
}
