package secret

import (
	"errors"
	"fmt"
	"strings"

	"quire/internal/config"
	"quire/internal/event"
)

// Scope is who asks for a secret.
type Scope struct {
	GitDir string // the repository: absolute, symbolic links resolved
	Ref    string // the run's full ref name
	Pusher string // who made the push; empty outside any run
	Job    string // the job that asks; empty only outside any job (a notification)

	// Protected says that the declaration's protection (protect, protect_paths)
	// holds: what it names is, at the run's commit, the default branch's own.
	// Unlike is why it does not, for the refusal. A request that no pipeline can
	// make (a [[mirror]] of the configuration, a notification) is Protected.
	Protected bool
	Unlike    string
}

// admit says which rule of the declaration refuses the scope; nil if none does.
// A pattern that cannot be read admits nobody.
func admit(d config.Secret, s Scope) error {
	rules := []struct {
		what, this string
		patterns   []string
		subject    string
		match      func(pattern, name string) (bool, error)
	}{
		{"repositories", "this run is for", d.Repos, s.GitDir, event.MatchRepo},
		{"refs", "this run is for", d.Refs, s.Ref, event.MatchRef},
		{"pushers", "this run is of a push by", d.Pushers, s.Pusher, event.MatchName},
		{"jobs", "this job is", d.Jobs, s.Job, event.MatchName},
	}
	for _, r := range rules {
		if len(r.patterns) == 0 {
			continue
		}
		ok, err := anyMatch(r.patterns, r.subject, r.match)
		if err != nil {
			return fmt.Errorf("secret %s is given to nobody: its %s hold %w; mend the configuration", d.Name, r.what, err)
		}
		if !ok {
			subject := r.subject
			if subject == "" {
				subject = "none"
			}
			return fmt.Errorf("secret %s is limited to %s %s; %s %s",
				d.Name, r.what, strings.Join(r.patterns, ", "), r.this, subject)
		}
	}
	if d.Protect != config.Unprotected && !s.Protected {
		return fmt.Errorf("secret %s is protected: only a run %s gets it, and %s", d.Name, protectedRun(d), orElse(s.Unlike, "this one is none"))
	}
	return nil
}

// protectedRun is which runs a declaration's protection lets have the secret.
func protectedRun(d config.Secret) string {
	switch {
	case d.Protect == config.ProtectTree:
		return "of a commit on the default branch"
	case len(d.ProtectPaths) > 0:
		return "whose .quire and " + strings.Join(d.ProtectPaths, ", ") + " are the default branch's own"
	}
	return "whose .quire is the default branch's own"
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

// anyMatch reads every pattern before it believes one, so that a malformed
// pattern is found on the first run and not on the first that it would decide.
func anyMatch(patterns []string, subject string, match func(pattern, name string) (bool, error)) (bool, error) {
	found := false
	for _, p := range patterns {
		if err := event.CheckGlob(p); err != nil {
			return false, fmt.Errorf("the %w %q", err, p)
		}
		ok, err := match(p, subject)
		if err != nil {
			if errors.Is(err, event.ErrGlob) {
				return false, fmt.Errorf("the %w %q", err, p)
			}
			return false, err
		}
		found = found || ok && subject != ""
	}
	return found, nil
}
