package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"quire/internal/event"
)

// Park moves a waiting push out of the way whose repository is not there, until
// Return.
func (d Dir) Park(id string) error {
	return d.away("absent", id, "its repository is not there")
}

// Parked names the pushes that wait for their repositories, oldest first.
func (d Dir) Parked() ([]string, error) {
	names, err := d.list("absent")
	out := names[:0]
	for _, n := range names {
		if filepath.Ext(n) != ".why" {
			out = append(out, n)
		}
	}
	return out, err
}

// ReadParked reads one of them.
func (d Dir) ReadParked(id string) (event.Push, error) { return d.read("absent", id) }

// Return has a parked push wait to be taken again, as the push that it was.
func (d Dir) Return(id string) error {
	id = filepath.Base(id)
	err := os.Rename(d.part("absent", id), d.part("new", id))
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		os.Remove(d.part("absent", id+".why"))
		return nil
	}
	return fmt.Errorf("return push %s to the spool: %w", id, err)
}
