package pipeline

import (
	"errors"
	"fmt"
	"strings"

	"quire/internal/checked"
)

// Bounds of what a mirror is told, in bytes and in number.
const (
	maxURL    = 2048
	maxHeader = 16 << 10 // what servers take at most, mostly less
	maxRef    = 1024
	maxRefs   = 1000
)

// fileName is a text field that names a log file among other things.
func (f *fields) fileName(key string) string {
	return f.checked(key, func(s string) error { return checked.FileName(s, maxIDBytes) })
}

// header is a text field that is sent as a line of HTTP. White space around it,
// as a secret's file ends with, is the mirror engine's to take off.
func (f *fields) header(key string) string {
	return f.checked(key, func(s string) error { return checked.Line(strings.TrimSpace(s), maxHeader) })
}

// objectID is a text field that holds an object id; whether it is a whole one,
// and there, is seen when it is looked up.
func (f *fields) objectID(key string) string {
	return f.checked(key, func(s string) error {
		if len(s) > 64 || strings.Trim(s, "0123456789abcdef") != "" {
			return errors.New("it is no object id, of 40 or 64 hexadecimal digits")
		}
		return nil
	})
}

// refs is a field that lists names of refs, or patterns.
func (f *fields) refs(key string) []string {
	refs := f.list(key)
	if len(refs) > maxRefs {
		f.add(key, fmt.Sprintf(":%s lists %d refs, and %d is the most", key, len(refs), maxRefs), "")
		return nil
	}
	for _, ref := range refs {
		if err := checked.Line(ref, maxRef); err != nil {
			f.add(key, fmt.Sprintf(":%s has '%s', which cannot be used: %s", key, printableWhole(ref), err), "")
		}
	}
	return refs
}
