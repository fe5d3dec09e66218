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
	Job    string // the job that asks; empty only outside any job (a notification)

	// Protected says that the pipeline asking is the default branch's own:
	// at the run's commit and at the commit the repository's HEAD names now,
	// .quire/ci.fnl is the same blob (object id), and .quire/lib the same tree
	// or absent from both. Compare ids of tree entries, mode included, and
	// nothing looser: not the branch's name (a tag or a merge may carry the
	// same files), and not the files in the workspace (a job can write
	// those). Where either cannot be read, or HEAD names no commit, it is
	// false. A request that no pipeline can make (a [[mirror]] of the
	// configuration, a notification) is Protected.
	Protected bool
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
	if d.Protect && !s.Protected {
		return fmt.Errorf("secret %s is protected: only a run whose .quire/ci.fnl and .quire/lib are the default branch's own gets it; those of %s are not (HEAD in %s names the default branch)", d.Name, s.Ref, s.GitDir)
	}
	return nil
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
