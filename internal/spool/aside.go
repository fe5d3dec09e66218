package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"quire/internal/event"
)

// SetAside moves a waiting push out of the way, with the reason beside it, until
// a person has it tried again (Restore).
func (d Dir) SetAside(id, reason string) error { return d.away("aside", id, reason) }

// AsidePush is a push that was set aside.
type AsidePush struct {
	ID  string
	Why string // one line
	At  time.Time
	event.Push
	Err error // it cannot be read
}

// Aside lists the pushes that were set aside, oldest first.
func (d Dir) Aside() ([]AsidePush, error) {
	names, err := d.list("aside")
	if err != nil {
		return nil, err
	}
	var out []AsidePush
	for _, n := range names {
		if filepath.Ext(n) == ".why" {
			continue
		}
		a := AsidePush{ID: n}
		why, _ := os.ReadFile(d.part("aside", n+".why")) // may be missing: the disk was full
		at, reason, _ := strings.Cut(string(why), "\n")
		a.At, _ = time.Parse(time.RFC3339, at)
		a.Why = strings.TrimSpace(reason)
		a.Push, a.Err = d.read("aside", n)
		out = append(out, a)
	}
	return out, nil
}

// ErrNotAside is wrapped by Restore's error for a push that is not set aside.
var ErrNotAside = errors.New("no push of this id is set aside")

// Restore puts a push that was set aside into the spool again, as a push of its
// own: what became of the first is recorded already.
func (d Dir) Restore(id string, now time.Time) (event.Push, error) {
	id = filepath.Base(id)
	p, err := d.read("aside", id)
	if errors.Is(err, fs.ErrNotExist) {
		return p, fmt.Errorf("%w: %s", ErrNotAside, id)
	}
	if err != nil {
		return p, err
	}
	p.ID, p.At, p.Unwatched, p.Recovered = event.NewID(now), now, true, false
	if err := d.Write(p); err != nil {
		return p, err
	}
	// A kill in between leaves it in both places, which runs it twice at most.
	err = os.Remove(d.part("aside", id))
	os.Remove(d.part("aside", id+".why"))
	if err != nil {
		return p, fmt.Errorf("clear spool: %w", err)
	}
	return p, nil
}
