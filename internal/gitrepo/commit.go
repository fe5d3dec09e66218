package gitrepo

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
)

// Commit is a commit's header and message.
type Commit struct {
	OID       string // of the commit itself, also where a tag was asked for
	Tree      string
	Parents   []string
	Author    Signature
	Committer Signature
	Message   string // as stored, usually with a final newline
}

// Subject is the message's first line.
func (c Commit) Subject() string {
	line, _, _ := strings.Cut(strings.TrimLeft(c.Message, "\n"), "\n")
	return line
}

// Signature is who made an object, and when by their clock.
type Signature struct {
	Name  string
	Email string
	When  time.Time
}

// Commit reads the commit oid. An annotated tag, or a tag of a tag, is peeled
// to the commit it names: what a push of a tag announces is the tag object.
func (r *Repo) Commit(oid string) (Commit, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.commit(oid)
}

// NotCommitError is the error for an object, or a tag of one, that is no commit:
// tags may name files and directories.
type NotCommitError struct {
	OID  string
	Kind string // "tree", "blob"
}

func (e *NotCommitError) Error() string {
	return fmt.Sprintf("read commit %.12s: it is a %s", e.OID, e.Kind)
}

func (r *Repo) commit(oid string) (Commit, error) {
	at := oid
	for range maxPeel {
		kind, data, err := r.read(at)
		if err != nil && kind != "blob" && kind != "tree" { // what it is of those matters little
			return Commit{}, fmt.Errorf("read commit %.12s: %w", oid, err)
		}
		switch kind {
		case "commit":
			c, err := parseCommit(at, data)
			if err != nil {
				return Commit{}, fmt.Errorf("read commit %.12s: %w", oid, err)
			}
			return c, nil
		case "tag":
			if at, err = tagged(data); err != nil {
				return Commit{}, fmt.Errorf("read tag %.12s: %w", oid, err)
			}
		default:
			return Commit{}, &NotCommitError{OID: oid, Kind: kind}
		}
	}
	return Commit{}, &TooLargeError{What: fmt.Sprintf("tag %.12s", oid), Size: -1, Bound: maxPeel, Unit: "tags of tags"}
}

// read is one object, whole; mu is held.
func (r *Repo) read(oid string) (kind string, data []byte, err error) {
	if err := checkOID(oid); err != nil {
		return "", nil, err
	}
	err = r.do(func(s source) error {
		kind, data, err = s.object(oid)
		return err
	})
	return kind, data, err
}

// header walks the "key value" lines of a commit or tag up to the empty line.
// A line that starts with a space goes on with the value before it (gpgsig).
func header(data []byte, line func(key, value string) error) (message string, err error) {
	for len(data) > 0 {
		row, rest, _ := bytes.Cut(data, []byte("\n"))
		if len(row) == 0 {
			return string(rest), nil
		}
		data = rest
		if row[0] == ' ' {
			continue
		}
		key, value, _ := strings.Cut(string(row), " ")
		if err := line(key, value); err != nil {
			return "", err
		}
	}
	return "", nil
}

func parseCommit(oid string, data []byte) (Commit, error) {
	c := Commit{OID: oid}
	message, err := header(data, func(key, value string) error {
		switch key {
		case "tree":
			c.Tree = value
			return checkOID(value)
		case "parent":
			c.Parents = append(c.Parents, value)
			return checkOID(value)
		case "author":
			c.Author = parseSignature(value)
		case "committer":
			c.Committer = parseSignature(value)
		}
		return nil
	})
	c.Message = message
	if err == nil && c.Tree == "" {
		err = fmt.Errorf("malformed commit: it names no tree")
	}
	return c, err
}

// tagged is the object that a tag object names.
func tagged(data []byte) (string, error) {
	var oid string
	_, err := header(data, func(key, value string) error {
		if key == "object" && oid == "" {
			oid = value
			return checkOID(value)
		}
		return nil
	})
	if err == nil && oid == "" {
		err = fmt.Errorf("malformed tag: it names no object")
	}
	return oid, err
}

// parseSignature reads "Name <email> seconds zone". Histories hold signatures
// without a date, without a name, with a zone of nonsense: each part that can
// be read is kept, and none is an error.
func parseSignature(s string) Signature {
	name, rest, ok := strings.Cut(s, "<")
	if !ok {
		return Signature{Name: strings.TrimSpace(s)}
	}
	end := strings.LastIndexByte(rest, '>')
	if end < 0 {
		return Signature{Name: strings.TrimSpace(name), Email: strings.TrimSpace(rest)}
	}
	sig := Signature{Name: strings.TrimSpace(name), Email: rest[:end]}
	date := strings.Fields(rest[end+1:])
	if len(date) == 0 {
		return sig
	}
	seconds, err := strconv.ParseInt(date[0], 10, 64)
	if err != nil {
		return sig
	}
	zone := time.UTC
	if len(date) > 1 && len(date[1]) == 5 {
		if n, err := strconv.Atoi(date[1][1:]); err == nil && n != 0 {
			offset := (n/100*60 + n%100) * 60
			if date[1][0] == '-' {
				offset = -offset
			}
			zone = time.FixedZone("", offset)
		}
	}
	sig.When = time.Unix(seconds, 0).In(zone)
	return sig
}
