// Package notify tells people and programs how a run ended: by mail through the
// machine's sendmail, and by an HTTP POST of JSON.
//
// It decides who wants to know and delivers; it keeps nothing. A notification
// that cannot be delivered after a few tries is given up and said so: the run's
// outcome is in the store either way. Commit statuses on a forge are the mirror's
// business, since they go where the commits go.
package notify

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"quire/internal/checked"
	"quire/internal/event"
)

// What a rule can ask for.
const (
	OnFailed    = "failed"    // every run that did not succeed
	OnFixed     = "fixed"     // the first success after a failure
	OnSucceeded = "succeeded" // every success
	OnMirror    = "mirror"    // a mirror that needs a person
)

// Rule is somebody who wants to know.
type Rule struct {
	Repos, Refs []string // globs; empty: all
	On          []string
	Mail        []string // addresses
	Webhook     string   // URL
	Key         []byte   // signs the webhook's body if not empty
}

// Report is what there is to tell. Every string in it is redacted already.
type Report struct {
	Run  event.Run
	Jobs []event.Job
	// Before is how the previous finished run of the same ref ended; "" if
	// there was none.
	Before event.RunState
	// After is what became of an interrupted run, in a sentence.
	After string
	// Link is the run's page, if pages are served.
	Link string
}

// Sender delivers. Its zero value uses the machine's sendmail and a client of
// its own.
type Sender struct {
	Sendmail string // path; "" looks in the usual places
	Poster   Poster
}

// Deliver tells everybody whom the rules name. It goes on after a failure, and the error
// has every delivery that was given up.
func (s Sender) Deliver(ctx context.Context, rules []Rule, r Report) error {
	rules = slices.DeleteFunc(slices.Clone(rules), func(rule Rule) bool { return !rule.wants(r) })
	r.Run = r.Run.AsText() // after the rules, which match names
	return s.send(ctx, rules, message{
		subject: r.headline(), text: r.text(),
		id: r.Run.ID, payload: payload{Event: "run", Run: &r.Run, Jobs: r.Jobs, Before: r.Before, After: r.After, Link: r.Link},
	})
}

// Trouble is a mirror that needs a person.
type Trouble struct {
	GitDir string `json:"git_dir"`
	Mirror string `json:"mirror,omitempty"` // its name, if it is about one
	Text   string `json:"text"`             // what is wrong and what to do; redacted
}

// Mirror tells everybody who wants to know of mirrors.
func (s Sender) Mirror(ctx context.Context, rules []Rule, t Trouble) error {
	rules = slices.DeleteFunc(slices.Clone(rules), func(rule Rule) bool {
		return !slices.Contains(rule.On, OnMirror) || !matchAny(rule.Repos, t.GitDir, event.MatchRepo)
	})
	return s.send(ctx, rules, message{
		subject: fmt.Sprintf("%s: mirror %s", event.RepoName(t.GitDir), t.Mirror),
		text:    fmt.Sprintf("%s\n\nrepository  %s\nmirror      %s\n\nMore: quire mirror status\n", t.Text, t.GitDir, t.Mirror),
		id:      event.NewID(time.Now()), payload: payload{Event: "mirror", Trouble: &t},
	})
}

// Repository tells everybody who wants to hear of failures about a repository that
// needs a person.
func (s Sender) Repository(ctx context.Context, rules []Rule, t Trouble) error {
	rules = slices.DeleteFunc(slices.Clone(rules), func(rule Rule) bool {
		return !slices.Contains(rule.On, OnFailed) || !matchAny(rule.Repos, t.GitDir, event.MatchRepo)
	})
	return s.send(ctx, rules, message{
		subject: event.RepoName(t.GitDir) + " needs somebody", text: fmt.Sprintf("%s\n\nrepository  %s\n\nMore: quire doctor\n", t.Text, t.GitDir),
		id: event.NewID(time.Now()), payload: payload{Event: "repository", Trouble: &t},
	})
}

// message is what is delivered, in both its shapes.
type message struct {
	subject, text string
	id            string
	payload       payload
}

func (s Sender) send(ctx context.Context, rules []Rule, m message) error {
	var errs []error
	for _, rule := range rules {
		if len(rule.Mail) > 0 {
			if err := s.mail(ctx, rule.Mail, m); err != nil {
				errs = append(errs, fmt.Errorf("mail to %s: %w", strings.Join(rule.Mail, ", "), err))
			}
		}
		if rule.Webhook != "" {
			if err := s.Poster.post(ctx, rule.Webhook, rule.Key, m); err != nil {
				errs = append(errs, fmt.Errorf("webhook: %w", err))
			}
		}
	}
	return errors.Join(errs...)
}

func (rule Rule) wants(r Report) bool {
	if !matchAny(rule.Repos, r.Run.GitDir, event.MatchRepo) || !matchAny(rule.Refs, r.Run.Ref, event.MatchRef) {
		return false
	}
	switch r.Run.State {
	case event.RunSucceeded:
		broken := r.Before == event.RunFailed || r.Before == event.RunOrphaned
		return slices.Contains(rule.On, OnSucceeded) || broken && slices.Contains(rule.On, OnFixed)
	case event.RunFailed, event.RunOrphaned:
		return slices.Contains(rule.On, OnFailed)
	case event.RunCanceled:
		return r.Run.Interrupted && slices.Contains(rule.On, OnFailed)
	}
	return false // canceled and replaced: somebody here did that on purpose
}

// matchAny reports whether one of the patterns matches; none means all. A
// malformed pattern matches nothing.
func matchAny(patterns []string, name string, match func(pattern, name string) (bool, error)) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := match(p, name)
		return ok && err == nil
	})
}

// headline is the report in one line.
func (r Report) headline() string {
	state := string(r.Run.State)
	if r.Run.State == event.RunSucceeded && r.Before == event.RunFailed {
		state = "fixed"
	}
	return checked.OneLine(fmt.Sprintf("%s %s: %s (run %d, %s)", event.RepoName(r.Run.GitDir), event.ShortRef(r.Run.Ref), state, r.Run.Number, event.ShortOID(r.Run.New)))
}

// text is the report as a mail's body. What other people wrote is a part of a line
// there as anywhere: it makes no line of its own, and none reads as another.
func (r Report) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s\n\n", r.headline())
	fmt.Fprintf(&b, "repository  %s\nref         %s\ncommit      %s\npushed by   %s\n", checked.OneLine(r.Run.GitDir), checked.OneLine(r.Run.Ref), r.Run.New, checked.OneLine(r.Run.Pusher))
	if !r.Run.Reason.IsZero() {
		fmt.Fprintf(&b, "reason      %s\n", r.Run.Reason.Plain())
	}
	if r.After != "" {
		fmt.Fprintf(&b, "afterwards  %s\n", r.After)
	}
	if r.Link != "" {
		fmt.Fprintf(&b, "page        %s\n", r.Link)
	}
	b.WriteByte('\n')
	for _, j := range r.Jobs {
		fmt.Fprintf(&b, "%-10s %s  %.1fs  %s\n", j.State, checked.OneLine(j.ID), j.Duration.Seconds(), j.Reason.Plain())
	}
	fmt.Fprintf(&b, "\nIts output: quire log %d\n", r.Run.Number)
	return b.String()
}
