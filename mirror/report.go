package mirror

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

// Status is what became of one ref in one delivery.
type Status string

// The first five are good: the target has what is wanted, or is not meant to.
const (
	Created    Status = "created"
	Updated    Status = "updated"
	UpToDate   Status = "up-to-date"
	Deleted    Status = "deleted"    // also: was gone already
	Superseded Status = "superseded" // a later push's object is there, or on its way
	Kept       Status = "kept"       // deleted here, and not quire's to delete there
	Diverged   Status = "diverged"
	Refused    Status = "refused" // will not be tried again by itself
	Pending    Status = "pending" // failed for now; the worker tries again
)

// Good reports whether nothing is left to do or to know.
func (s Status) Good() bool { return s != Diverged && s != Refused && s != Pending }

// Result is one ref's part of a report.
type Result struct {
	Ref    string `json:"ref"`
	OID    string `json:"oid"` // what is there now, if Status is good; else what is wanted
	Status Status `json:"status"`

	Class  Class       `json:"class,omitempty"`
	Detail masked.Text `json:"detail,omitzero"`  // what the remote or git said
	Advice string      `json:"advice,omitempty"` // what to do, one sentence
	There  string      `json:"there,omitempty"`  // diverged: the remote's object, "" for none
	NextAt time.Time   `json:"next_at,omitzero"` // pending: the next attempt

	// Earlier marks a ref that this request did not name: it was owed from
	// before and went along.
	Earlier bool `json:"earlier,omitempty"`

	revived bool // it was refused before, and was tried because others landed
}

// Report is what Deliver has to say, ref by ref.
type Report struct {
	Target   string        `json:"target"` // its name
	URL      string        `json:"url"`
	Results  []Result      `json:"results"`
	Warnings []masked.Text `json:"warnings,omitempty"`
	Attempts int           `json:"attempts"` // pushes that were started
	Took     time.Duration `json:"took_ns"`
}

// OK reports whether every ref that was asked for is as it should be.
func (r Report) OK() bool {
	for _, x := range r.Results {
		if !x.Status.Good() && !x.Earlier {
			return false
		}
	}
	return true
}

// Landed lists the refs asked for whose wanted object is at the target.
func (r Report) Landed() []string {
	var out []string
	for _, x := range r.Results {
		if !x.Earlier && (x.Status == Created || x.Status == Updated || x.Status == UpToDate) {
			out = append(out, x.Ref)
		}
	}
	return out
}

// Err is nil if OK; else an error that names the target, each ref that is not
// as it should be, why, and what to do.
func (r Report) Err() error {
	if r.OK() {
		return nil
	}
	var parts []string
	for _, g := range r.groups() {
		if g.Status.Good() || g.Earlier {
			continue
		}
		text := fmt.Sprintf("%s %s", g.names(4), g.sentence())
		if g.Advice != "" {
			text = strings.TrimRight(text, ".") + ". " + g.Advice // a remote's words may end with their own
		}
		parts = append(parts, text)
	}
	return errors.New("mirror " + r.Target + ": " + strings.Join(parts, "\n"))
}

// group is results that have the same to say.
type group struct {
	Result
	refs []string
}

// groups puts results with one status, cause and advice together: a refused
// login is one fact, however many refs it stops.
func (r Report) groups() []group {
	var out []group
	at := map[Result]int{}
	for _, x := range r.Results {
		key := x
		key.Ref, key.OID, key.NextAt = "", "", time.Time{}
		if x.Status.Good() && x.Status != Kept || x.Status == Diverged {
			key.Ref, key.OID = x.Ref, x.OID // these have their own line
		}
		if key.Advice != "" {
			key.Advice = x.Class.ofAnyRef(key.Advice, event.ShortRef(x.Ref))
		}
		if i, ok := at[key]; ok {
			out[i].refs = append(out[i].refs, x.Ref)
			out[i].Advice = key.Advice
			out[i].NextAt = earlier(out[i].NextAt, x.NextAt)
			continue
		}
		at[key] = len(out)
		out = append(out, group{Result: x, refs: []string{x.Ref}})
	}
	return out
}

// names lists up to n refs as a person writes them.
func (g group) names(n int) string {
	var short []string
	for i, ref := range g.refs {
		if i == n && len(g.refs) > n+1 {
			return fmt.Sprintf("%s and %d more", strings.Join(short, ", "), len(g.refs)-n)
		}
		short = append(short, event.ShortRef(ref))
	}
	return strings.Join(short, ", ")
}

// sentence is the fact, without the ref's name and the advice.
func (x Result) sentence() string {
	switch x.Status {
	case Created, Updated, UpToDate:
		return event.ShortOID(x.OID) + " " + string(x.Status)
	case Deleted:
		return "deleted"
	case Superseded:
		return "superseded by " + event.ShortOID(x.OID)
	case Kept:
		return "kept: " + x.Detail.String()
	case Diverged:
		return "diverged: " + x.Detail.String()
	}
	text := string(x.Status) + " (" + string(x.Class) + ")"
	if !x.Detail.IsZero() {
		text += ": " + x.Detail.String()
	}
	return text
}

// String is the report for a person: a line for the target, one for each ref or
// for all that share a fate, and below it what to do.
//
//	mirror github.com/me/repo
//	  main     1a2b3c4d updated
//	  tags/v1  1a2b3c4d created
//	  topic    diverged: somebody else moved it to 99887766; left alone
//	           → Look at what is there; …
func (r Report) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "mirror %s\n", r.Target)
	groups := r.groups()
	width := 0
	for _, g := range groups {
		width = max(width, min(len(g.names(3)), 40))
	}
	for _, w := range r.Warnings {
		fmt.Fprintf(&b, "  warning: %s\n", w)
	}
	for _, g := range groups {
		fmt.Fprintf(&b, "  %-*s  %s", width, g.names(3), g.sentence())
		if g.Earlier {
			b.WriteString(" (owed from before)")
		}
		b.WriteByte('\n')
		if g.Advice != "" {
			fmt.Fprintf(&b, "  %-*s  → %s\n", width, "", g.Advice)
		}
		if g.Status == Pending && !g.NextAt.IsZero() {
			fmt.Fprintf(&b, "  %-*s  next attempt %s\n", width, "", g.NextAt.Local().Format("15:04:05"))
		}
	}
	return b.String()
}
