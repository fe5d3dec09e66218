package main

import (
	"fmt"
	"strings"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/secret"
)

// secrets looks whether this user gets the value of each secret: a file that root
// made is there, and is nothing to the runner. What a program or another process's
// environment gives is not asked for here.
func (e *exam) secrets(cfg *config.Config) {
	const about = "secrets"
	if len(cfg.Secrets) == 0 {
		return
	}
	if err := secret.Shield(); err != nil {
		e.warn(about, "quire secrets check", "not looked at: %v", err)
		return
	}
	vault := secret.Open(cfg)
	open, unasked, refused := 0, 0, 0
	for _, name := range cfg.SecretNames() {
		s := cfg.Secrets[name]
		if s.Protect == config.Unprotected && len(s.Refs) == 0 {
			open++
		}
		switch s.Source() {
		case "env", "command", "credential":
			unasked++
			continue
		}
		found, err := vault.Check(e.ctx, name)
		if err != nil {
			refused++
			e.bad(about, "", "%s", vault.Redactor().String(err.Error()))
		}
		for _, w := range found.Warnings {
			e.warn(about, "", "%s: %s", name, w)
		}
	}
	whose := "all have protect or refs"
	if open > 0 {
		whose = fmt.Sprintf("%d with neither protect nor refs: whoever pushes a branch can have them", open)
	}
	var rest string
	if unasked > 0 {
		rest = fmt.Sprintf("; quire secrets check asks also for the %d that an environment, a program or systemd gives", unasked)
	}
	if refused == 0 {
		e.ok(about, "%d declared, %s%s", len(cfg.Secrets), whose, rest)
	}
}

// scopes looks whether what the configuration orders for repositories, and the
// secrets that it names for it, are for the same ones. A mirror for all with a
// secret for some is refused for the others at each push.
func (e *exam) scopes(cfg *config.Config, repos []string) {
	for _, m := range cfg.Mirrors {
		e.scope(cfg, "[[mirror]] "+m.Name, m.Repos, m.Secret, repos)
	}
	for _, n := range cfg.Notify {
		e.scope(cfg, "[[notify]] "+n.Webhook, orAny(n.Repos), n.Secret, repos)
	}
}

func orAny(globs []string) []string {
	if len(globs) == 0 {
		return []string{"**"}
	}
	return globs
}

func (e *exam) scope(cfg *config.Config, what string, of []string, name string, repos []string) {
	s, declared := cfg.Secrets[name]
	if !declared || len(s.Repos) == 0 {
		return
	}
	var refused []string
	for _, path := range repos {
		if matchesRepo(of, path) && !matchesRepo(s.Repos, path) {
			refused = append(refused, path)
		}
	}
	cure := fmt.Sprintf("let repos of [secrets.%s] name all that the table is for, or give the others a table with a secret of their own", name)
	if len(refused) > 0 {
		e.bad("configuration", cure, "%s is for %s, which its secret %s is not for (%s): it fails there", what, listing(refused), name, strings.Join(s.Repos, ", "))
		return
	}
	for _, pattern := range of {
		if !covered(pattern, s.Repos) {
			e.bad("configuration", cure, "%s is for the repositories %s, and its secret %s only for %s: it fails for every other one", what, pattern, name, strings.Join(s.Repos, ", "))
			return
		}
	}
}

// matchesRepo reports whether a repository is among those that patterns name. A
// malformed pattern names none, which its own check says.
func matchesRepo(patterns []string, path string) bool {
	for _, p := range patterns {
		if ok, err := event.MatchRepo(p, path); ok && err == nil {
			return true
		}
	}
	return false
}

// covered reports whether the repositories that a pattern names are likely all
// among those that others name: it tries names that nobody has chosen. Of a
// pattern that says only how a path ends, and others that say how it begins,
// nothing can be told.
func covered(pattern string, by []string) bool {
	for _, p := range by {
		if strings.HasPrefix(p, "/") && !strings.HasPrefix(pattern, "/") {
			return true
		}
	}
	for _, filler := range []string{"q", "zq-0"} {
		example := strings.NewReplacer("**", filler+"/"+filler, "*", filler, "?", "q").Replace(pattern)
		if !matchesRepo([]string{pattern}, "/"+strings.TrimPrefix(example, "/")) {
			return true // a class of characters, say
		}
		if !matchesRepo(by, "/"+strings.TrimPrefix(example, "/")) {
			return false
		}
	}
	return true
}
