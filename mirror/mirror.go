// Package mirror keeps copies of a repository at other places in step with it,
// and tells per ref what happened there.
//
// A delivery is one ref at one target. What is wanted is recorded first, with
// the exact object id that a push announced; then `git push` is run, one at a
// time for each target, and what its --porcelain output says of each ref is
// recorded. What ends without a clear word is settled by reading the remote.
//
// It cannot destroy what others put there: every ref that was pushed before is
// leased on what was put there, a ref that was not may only be created or
// fast-forwarded, and a ref is deleted only if it was created from here and has
// not moved since. It never says --mirror, --prune or a leading +.
//
// Credentials reach git in its environment, where only processes of the same
// user can read them, or through an agent's socket; never in argv, a URL, a
// file, the ledger, or a message.
package mirror

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"quire/internal/network"
	"quire/internal/secret"
	"quire/internal/store"
)

// Target is where a copy is kept.
type Target struct {
	Name   string // as a person calls it; "": the URL's host and path
	URL    string // https, http, ssh (also host:path), file, or an absolute path
	Secret string // the credential's name in the configuration, for messages and retries
	Auth   string // how an HTTP header is made of the secret, see RecipeOf; "": by the secret's look
	Asked  bool   // a pipeline asks for it; else it is the configuration's alone, and ends with its order

	// Force is "lease" (the default: a ref that was moved from here may move
	// anywhere, if the target still has what was put there) or "never" (fast
	// forward only).
	Force string
	// Delete is "owned" (the default: what was created from here is deleted
	// with the original) or "never".
	Delete string

	RetryFor time.Duration // how long a transient failure is retried; 0: 24 h

	Forge  string // github, gitlab, gitea, forgejo; "": told from the host
	API    string // base URL of the forge's API; "": told from URL
	Create bool   // make a missing repository, private

	Route network.Route // how its server is reached; for Asked ones the engine's, see Network
}

// Want is one ref of a delivery, with the exact object it is to name.
type Want struct {
	Ref string // full name
	OID string // all zeros: the ref is to go
}

// Tag is a tag to make on a commit before pushing.
type Tag struct {
	Name   string // without refs/tags/
	Commit string
	// Make puts it into the repository, under the repository's own rules, and
	// returns the object that it names; one that is on the commit already is fine.
	Make func(context.Context) (oid string, err error)
}

// Request is one delivery of some refs to one target.
type Request struct {
	GitDir     string
	Target     Target
	Credential secret.Value // the zero value: none
	// Resolve is asked for the target's secret in place of Credential, when it is
	// needed: a secret that was rotated works at the next attempt. Its error
	// stands in the report.
	Resolve func(context.Context) (secret.Value, error)
	Refs    []Want
	Tag     *Tag

	// Seq orders requests: the id of the push that wants this. "" is now, after
	// everything. An older request never takes a ref back behind a newer one.
	Seq string

	// Wall bounds what a pipeline may ask for; it is not asked about the
	// operator's own targets (not Asked).
	Wall Wall

	// KnownHosts are lines of OpenSSH's known_hosts that pin the servers' keys.
	KnownHosts []string

	// Confirmed allows deleting more than half of the target's refs.
	Confirmed bool

	// Takes is which refs may go along that are owed from before: those that the
	// configuration still takes. nil: all.
	Takes func(ref string) bool
}

// along reports whether a row of the ledger may be delivered with the request.
func (r *Request) along(d store.Delivery) bool {
	return d.Authority == r.Target.authority() && (r.Takes == nil || r.Takes(d.Ref))
}

// Engine delivers. It may be used from several goroutines and by several
// processes on one state directory at once.
type Engine struct {
	store *store.Store
	locks string // directory
	log   *slog.Logger

	pauses  []time.Duration // between attempts within Deliver
	attempt time.Duration   // the longest that one git push may take
	stall   time.Duration   // how long an LFS server may be silent
	now     func() time.Time
	batch   limits
	apps    appTokens
	route   network.Route // to what pipelines ask for
}

// New makes an engine on the ledger s. Its locks, one file a target, lie in
// lockDir, which is made if it is missing.
func New(s *store.Store, lockDir string, options ...Option) (*Engine, error) {
	if err := os.MkdirAll(lockDir, 0o700); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	e := &Engine{
		store: s, locks: lockDir, now: time.Now, batch: usualLimits,
		pauses:  firstPauses,
		attempt: 2 * time.Hour, stall: stallLimit,
		log: slog.New(slog.DiscardHandler),
	}
	for _, o := range options {
		o(e)
	}
	return e, nil
}

// Option changes what New sets.
type Option func(*Engine)

// Pauses sets how long Deliver waits before each further attempt after a
// transient failure (each is varied by a quarter); none: one attempt only.
func Pauses(d ...time.Duration) Option { return func(e *Engine) { e.pauses = d } }

// AttemptLimit sets the longest that one git push may take.
func AttemptLimit(d time.Duration) Option { return func(e *Engine) { e.attempt = d } }

// Clock sets the time that the ledger's entries get.
func Clock(now func() time.Time) Option { return func(e *Engine) { e.now = now } }

// Network sets how the servers are reached that pipelines name.
func Network(r network.Route) Option { return func(e *Engine) { e.route = r } }

// Log sets where the engine tells of what has no report.
func Log(l *slog.Logger) Option { return func(e *Engine) { e.log = l } }

// limits bound one git push.
type limits struct {
	refs int // refs
	http int // leased refs over HTTP
	argv int // bytes of refspecs and leases; Linux allows some 2 MB of arguments in all
	tags int // created tags, see pace
	few  int // up to this many created tags are sent tags at a time
	pack int64
}

var usualLimits = limits{
	refs: 5000,
	// See bulk.go.
	http: 500,
	argv: 1 << 20,
	// GitHub sends no push events "if more than three tags are pushed at once"
	// (its webhook documentation). Above few, it is an import and no release:
	// events are lost, and hundreds of pushes saved.
	tags: 3, few: 30,
	pack: 1900 << 20, // GitHub takes packs of up to 2 GiB
}

func (t *Target) fill() error {
	switch t.Force {
	case "":
		t.Force = "lease"
	case "lease", "never":
	default:
		return fmt.Errorf("mirror %s: force is %q: want lease or never", t.URL, t.Force)
	}
	switch t.Delete {
	case "":
		t.Delete = "owned"
	case "owned", "never":
	default:
		return fmt.Errorf("mirror %s: delete is %q: want owned or never", t.URL, t.Delete)
	}
	if t.RetryFor == 0 {
		t.RetryFor = 24 * time.Hour
	}
	if t.RetryFor < 0 {
		return errors.New("mirror: negative retry time")
	}
	return nil
}
