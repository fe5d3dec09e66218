// Package event holds the nouns that every part of quire shares: a push, the
// refs it moved, the runs it caused and how they ended. It imports masked text and
// nothing else of quire's or beyond the standard library, because the hook binary
// links it and pays for it on every push.
//
// It has no behaviour beyond naming, parsing and ordering. Where these values
// are kept is the business of internal/spool (a push before it has runs),
// internal/store (runs) and internal/runlog (what a run said).
package event

import (
	"path/filepath"
	"strings"
	"time"
)

// Push is one `git push` that git accepted, as its post-receive hook saw it.
type Push struct {
	ID string `json:"id"` // NewID; orders by time of arrival

	// At is when the hook read the ref lines.
	At time.Time `json:"at"`

	// GitDir is the repository's absolute path, symbolic links resolved.
	GitDir string `json:"git_dir"`

	// Pusher is who pushed: the Unix user, or for pushes of the runner itself the name in a
	// variable that [hook] pusher_from lists. Rules may name it.
	Pusher string `json:"pusher"`

	// Options are the push options, verbatim (`git push -o`).
	Options []string `json:"options,omitempty"`

	Updates []Update `json:"updates"`

	// Unwatched says that the pusher does not wait for runs, so that nothing is
	// lost by letting git end the push before they take processors from it.
	Unwatched bool `json:"unwatched,omitempty"`

	// Recovered says that no hook reported this push: quire found the ref
	// moved when it next looked (the hook was killed, or its disk was full).
	Recovered bool `json:"recovered,omitempty"`

	// MadeBy says who moved the refs where that was no push: MadeByNobody, or the id
	// of the run whose processes did. What a run moves makes no run.
	MadeBy string `json:"made_by,omitempty"`

	// Dropped says that the push was taken from a drop directory: its pusher saw
	// nothing of it.
	Dropped bool `json:"dropped,omitempty"`
}

// MadeByNobody is Push.MadeBy where refs were found moved and nobody reported it.
const MadeByNobody = "unreported"

// Update is one ref of a push: a line of the hook's standard input.
type Update struct {
	Old string `json:"old"` // all zeros: the ref is new
	New string `json:"new"` // all zeros: the ref was deleted
	Ref string `json:"ref"` // full name, refs/…; bytes, see EscapeRef for how it becomes text
}

// IsZero reports whether oid is git's "no object": only zeros, in either
// object format (40 digits in SHA-1 repositories, 64 in SHA-256 ones).
func IsZero(oid string) bool { return strings.Trim(oid, "0") == "" }

// Deletes reports whether the update removed its ref.
func (u Update) Deletes() bool { return IsZero(u.New) }

// Creates reports whether the update made its ref.
func (u Update) Creates() bool { return IsZero(u.Old) }

// Branch is the branch's name, or "" if the ref is not a branch.
func (u Update) Branch() string { return after(u.Ref, "refs/heads/") }

// Tag is the tag's name, or "" if the ref is not a tag.
func (u Update) Tag() string { return after(u.Ref, "refs/tags/") }

func after(s, prefix string) string {
	if rest, ok := strings.CutPrefix(s, prefix); ok {
		return rest
	}
	return ""
}

// ShortRef is a ref as a person writes it: the branch or tag name, or the full
// name of anything else. A tag keeps "tags/", as in git's own output where a
// branch may have the same name. It is text: see EscapeRef.
func ShortRef(ref string) string {
	ref = EscapeRef(ref)
	if b := after(ref, "refs/heads/"); b != "" {
		return b
	}
	if t := after(ref, "refs/tags/"); t != "" {
		return "tags/" + t
	}
	return ref
}

// ShortOID is the first 8 digits of an object id.
func ShortOID(oid string) string {
	if len(oid) > 8 {
		return oid[:8]
	}
	return oid
}

// RepoName is the name a person knows the repository at gitDir by: the last
// element of its path without ".git", or its parent's for a checkout's .git.
func RepoName(gitDir string) string {
	name := filepath.Base(gitDir)
	if name == ".git" {
		name = filepath.Base(filepath.Dir(gitDir))
	}
	return strings.TrimSuffix(name, ".git")
}
