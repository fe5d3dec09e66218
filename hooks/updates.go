package hooks

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"

	"quire/internal/event"
)

// readUpdates reads what git writes to a receive hook: a line
// "OLD SP NEW SP REF LF" for each ref (githooks(5)). Every line that is not one
// is an error of its own, joined into err; the other lines still count.
func readUpdates(stdin io.Reader) (updates []event.Update, raw []byte, err error) {
	raw, err = io.ReadAll(stdin)
	var faults []error
	if err != nil {
		faults = append(faults, fmt.Errorf("read the pushed refs: %w", err))
	}
	updates, parseErr := parseUpdates(raw)
	return updates, raw, errors.Join(append(faults, parseErr)...)
}

func parseUpdates(raw []byte) ([]event.Update, error) {
	var updates []event.Update
	var faults []error
	for n := 1; len(raw) > 0; n++ {
		line, rest, _ := bytes.Cut(raw, []byte("\n"))
		raw = rest
		u, err := parseUpdate(string(line))
		if err != nil {
			faults = append(faults, fmt.Errorf("line %d of the pushed refs, %s: %w", n, excerpt(string(line)), err))
			continue
		}
		updates = append(updates, u)
	}
	return updates, errors.Join(faults...)
}

// parseUpdate takes a ref's name as it is, bytes that are not UTF-8 included: only
// git decides what a name may hold. What it refuses never came from git.
func parseUpdate(line string) (event.Update, error) {
	oldID, rest, ok1 := strings.Cut(line, " ")
	newID, ref, ok2 := strings.Cut(rest, " ")
	u := event.Update{Old: oldID, New: newID, Ref: ref}
	switch {
	case !ok1 || !ok2:
		return u, errors.New("want OLD NEW REF")
	case !isOID(oldID) || !isOID(newID) || len(oldID) != len(newID):
		return u, errors.New("want two object ids of 40 or 64 hex digits")
	case u.Creates() && u.Deletes():
		return u, errors.New("both object ids are zero")
	}
	return u, event.CheckRef(ref)
}

// isOID accepts object ids of both formats, in lower case as git writes them.
func isOID(s string) bool {
	if len(s) != 40 && len(s) != 64 {
		return false
	}
	for i := range len(s) {
		if c := s[i]; (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

// excerpt quotes the beginning of untrusted bytes for a person.
func excerpt(s string) string {
	const most = 120
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
