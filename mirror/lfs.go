package mirror

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"sync"

	"quire/internal/gitrepo"
)

// The objects of Git LFS go to the target before the commits that name them: a
// copy with pointers to nothing is no copy, and most servers do not notice. They
// are sent from here and not by git-lfs: it resolves names itself, sends every
// header along wherever a redirect leads, and writes its environment into
// lfs/logs of the repository.

// lfsReceiver is where the objects go: a server, or a directory of this machine.
type lfsReceiver interface {
	// missing is which of the objects, at most lfsBatch, are not there, for a push
	// of ref.
	missing(ctx context.Context, ref string, all []pointer) ([]lfsTransfer, error)
	// put sends one.
	put(ctx context.Context, t lfsTransfer, from *os.File) error
	close()
}

// lfsTransfer is an object to be sent.
type lfsTransfer struct {
	pointer
	fault *lfsFault // why it must not be, by the server
	lfsActions
}

// lfsBatch is how many objects are asked for at once (git-lfs asks for 100).
const lfsBatch = 100

// lfsAtOnce is how many are sent at once.
const lfsAtOnce = 4

// lfsFault is why objects could not be brought to the target.
type lfsFault struct {
	class  Class
	detail string
}

func (e *lfsFault) Error() string { return e.detail }

// ofObject reports whether another object may fare better.
func (e *lfsFault) ofObject() bool { return e.class == ClassLFS }

// sendLFS brings the objects of the moves' commits to the target. Moves whose
// objects cannot be brought are refused.
func (d *delivery) sendLFS(ctx context.Context, moves []*move) {
	var with []*move
	for _, m := range moves {
		if m.result == nil && !m.deletes() && m.d.Put != m.d.Want {
			with = append(with, m)
		}
	}
	if len(with) == 0 {
		return
	}
	ctx, cancel := context.WithTimeoutCause(ctx, d.attempt, errTooLong)
	defer cancel()
	there, needed, err := d.lfsNeeded(ctx, with)
	if err != nil {
		d.lfsUnread(ctx, with, err)
		return
	}
	if len(needed) == 0 {
		return
	}
	faults, err := d.bringLFS(ctx, with, needed)
	if err != nil {
		for _, m := range with {
			d.pusher.interrupted(m, err)
		}
		return
	}
	for _, m := range with {
		if len(faults) == 0 {
			return
		}
		own := needed
		if len(with) > 1 {
			if own, err = d.scan(ctx, []*move{m}, there); err != nil {
				d.lfsUnread(ctx, []*move{m}, err)
				continue
			}
		}
		for _, p := range own.sorted() {
			if f := faults[p.oid]; f != nil {
				d.pusher.refuse(m, refusedOrPending(f.class), f.class, "Git LFS: "+f.detail)
				break
			}
		}
	}
}

// lfsUnread is for a history that could not be searched for pointers. What is
// damaged or missing in it is for the push to meet.
func (d *delivery) lfsUnread(ctx context.Context, moves []*move, err error) {
	var command *commandError
	if ctx.Err() == nil && (errors.As(err, &command) || errors.Is(err, gitrepo.ErrNotFound)) {
		return
	}
	for _, m := range moves {
		if ctx.Err() != nil {
			d.pusher.interrupted(m, context.Cause(ctx))
			continue
		}
		d.pusher.refuse(m, Pending, ClassLocal, "look for files in Git LFS: "+err.Error())
	}
}

// lfsNeeded is which objects the target needs for the moves, as far as can be told
// without asking for them: those of commits that it does not have. there is where
// it has some.
func (d *delivery) lfsNeeded(ctx context.Context, with []*move) (there []string, needed pointers, err error) {
	put := map[string]bool{}
	for _, m := range with {
		put[m.d.Put] = true
	}
	found, whole := d.glance(with, func(oid string) bool { return put[oid] })
	if !whole {
		if there, err = d.putThere(ctx); err != nil {
			return nil, nil, err
		}
		if len(there) == 0 && !lfsKept(d.req.GitDir) {
			// All of a history is new. To read its small files takes as long as to send
			// them, so first its attributes are asked.
			if uses, err := d.usesLFS(ctx, with); err != nil || !uses {
				return nil, nil, err
			}
		}
		for _, oid := range there {
			put[oid] = true
		}
		if found, whole = d.glance(with, func(oid string) bool { return put[oid] }); !whole {
			if found, err = d.scan(ctx, with, there); err != nil {
				return nil, nil, err
			}
		}
	}
	if len(found) == 0 && !lfsKept(d.req.GitDir) {
		return nil, nil, nil
	}
	// Here LFS is used, so it matters whether the target still has what it was
	// sent: a repository that was made anew there has nothing.
	if there, err = d.stillThere(ctx); err != nil {
		return nil, nil, err
	}
	needed, err = d.scan(ctx, with, there)
	return there, needed, err
}

// stillThere is where the target's refs are, as far as they are where they were
// put: what was sent with them is there.
func (d *delivery) stillThere(ctx context.Context) ([]string, error) {
	rows, err := d.rows(ctx, d.req.GitDir, d.to.url)
	if err != nil {
		return nil, err
	}
	put := false
	for _, row := range rows {
		put = put || row.Put != ""
	}
	if !put {
		return nil, nil
	}
	is, err := d.pusher.sess.refs(ctx, nil)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, nil // what is wrong with the target, the objects meet too
	}
	var out []string
	for ref, row := range rows {
		if row.Put != "" && is[ref] == row.Put && len(out) < knownTips {
			out = append(out, row.Put)
		}
	}
	return out, nil
}

// bringLFS sends what the target lacks of the objects. faults are why some could
// not be brought, by object. An error is the context's.
func (d *delivery) bringLFS(ctx context.Context, with []*move, needed pointers) (faults map[string]*lfsFault, err error) {
	all := needed.sorted()
	everything := func(f *lfsFault) map[string]*lfsFault {
		out := map[string]*lfsFault{}
		for _, p := range all {
			out[p.oid] = f
		}
		return out
	}
	to, err := d.openLFS(ctx)
	if err != nil {
		return everything(asLFSFault(err)), contextError(ctx)
	}
	defer to.close()
	b := &lfsBringer{to: to, stores: d.pusher.sess.lfsStores(ctx), faults: map[string]*lfsFault{}}
	for rest := all; len(rest) > 0; {
		some := rest[:min(len(rest), lfsBatch)]
		left, err := b.batch(ctx, with[0].d.Ref, some)
		if err := contextError(ctx); err != nil {
			return nil, err
		}
		if err != nil {
			return everything(asLFSFault(err)), nil
		}
		rest = append(left, rest[len(some):]...)
	}
	if len(b.lost) > 0 {
		uses, err := d.usesLFS(ctx, with)
		if err := contextError(ctx); err != nil {
			return nil, err
		}
		if err != nil || uses {
			for _, p := range b.lost {
				b.faults[p.oid] = &lfsFault{ClassLFS, fmt.Sprintf("the object of %s (%.12s…, %d bytes) is neither here nor there", p.path, p.oid, p.size)}
			}
		}
	}
	return b.faults, nil
}

func contextError(ctx context.Context) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

func asLFSFault(err error) *lfsFault {
	var f *lfsFault
	if errors.As(err, &f) {
		return f
	}
	return &lfsFault{ClassLocal, err.Error()}
}

func (d *delivery) openLFS(ctx context.Context) (lfsReceiver, error) {
	if d.to.kind == "file" {
		return openLFSDirectory(ctx, d.pusher.sess), nil
	}
	return openLFSServer(ctx, d.pusher.sess, d.stall)
}

// lfsBringer sends objects, batch by batch.
type lfsBringer struct {
	to     lfsReceiver
	stores []string

	mu     sync.Mutex
	faults map[string]*lfsFault
	lost   []pointer // neither here nor there
}

// batch asks for some objects and sends those that are missing, several at once.
// left is what it did not come to before the server's permission ended. An error
// is one that all others would meet, too.
func (b *lfsBringer) batch(ctx context.Context, ref string, some []pointer) (left []pointer, err error) {
	todo, err := b.to.missing(ctx, ref, some)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	next := make(chan lfsTransfer)
	var senders sync.WaitGroup
	for range min(lfsAtOnce, len(todo)) {
		senders.Go(func() {
			first := true
			for t := range next {
				if !first && t.over() || ctx.Err() != nil {
					b.mu.Lock()
					left = append(left, t.pointer)
					b.mu.Unlock()
					continue
				}
				first = false
				if err := b.send(ctx, t); err != nil {
					cancel(err)
				}
			}
		})
	}
	for _, t := range todo {
		next <- t
	}
	close(next)
	senders.Wait()
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return left, nil
}

// send sends one object. What is wrong with it alone is noted.
func (b *lfsBringer) send(ctx context.Context, t lfsTransfer) error {
	err := error(nil)
	if t.fault != nil {
		err = t.fault
	} else {
		err = b.sendFile(ctx, t)
	}
	var fault *lfsFault
	if errors.As(err, &fault) && fault.ofObject() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.faults[t.oid] = fault
		return nil
	}
	return err
}

func (b *lfsBringer) sendFile(ctx context.Context, t lfsTransfer) error {
	f, err := openLFS(ctx, b.stores, t.pointer)
	var damaged *damagedError
	switch {
	case errors.Is(err, fs.ErrNotExist):
		b.mu.Lock()
		defer b.mu.Unlock()
		b.lost = append(b.lost, t.pointer)
		return nil
	case errors.As(err, &damaged):
		return &lfsFault{ClassLFS, "the object of " + t.path + " cannot be sent: " + strings.TrimSpace(damaged.Error())}
	case err != nil:
		return &lfsFault{ClassLocal, err.Error()}
	}
	defer f.Close()
	return b.to.put(ctx, t, f)
}
