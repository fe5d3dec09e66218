package main

import (
	"errors"
	"strings"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/gitrepo"
)

// defaultBranches looks whether HEAD of each repository names a branch that is
// there: protected secrets and the trusted caches are that branch's.
func (e *exam) defaultBranches(cfg *config.Config, repos []string) {
	protects := false
	for _, s := range cfg.Secrets {
		protects = protects || s.Protect != config.Unprotected
	}
	for _, path := range repos {
		if gitrepo.Gone(path) {
			continue // the look at its hook says so
		}
		e.defaultBranch(path, protects)
		e.brokenRefs(path)
	}
}

// brokenRefs names the files of refs that cannot be read. While there are some, no
// ref of the repository counts as deleted.
func (e *exam) brokenRefs(path string) {
	repo, err := gitrepo.Open(e.ctx, path)
	if err != nil {
		return // the look at its hook says so
	}
	defer repo.Close()
	_, err = repo.Standing()
	var broken *gitrepo.BrokenRefsError
	if errors.As(err, &broken) {
		e.bad("refs", "", "%s: %v", path, broken)
	}
}

func (e *exam) defaultBranch(path string, protects bool) {
	const about = "default branch"
	repo, err := gitrepo.Open(e.ctx, path)
	if err != nil {
		return
	}
	defer repo.Close()
	branch, err := repo.DefaultBranch()
	if err != nil {
		e.warn(about, "", "%v", err)
		return
	}
	if strings.HasPrefix(branch, "refs/heads/") {
		if _, found, err := repo.ResolveRef(branch); err != nil || found {
			return
		}
	}
	heads, err := repo.Refs("refs/heads/")
	if err != nil || len(heads) == 0 {
		return // nothing was pushed yet
	}
	cure := "git -C " + path + " symbolic-ref HEAD " + heads[0].Name
	for _, h := range heads {
		if h.Name == "refs/heads/main" || h.Name == "refs/heads/master" {
			cure = "git -C " + path + " symbolic-ref HEAD " + h.Name
		}
	}
	text := "HEAD of %s names no branch"
	args := []any{path}
	if branch != "" {
		text, args = "HEAD of %s names %s, which does not exist: whoever creates it makes it the default branch", append(args, event.ShortRef(branch))
	}
	if protects {
		e.bad(about, cure, text+"; until then no run gets a protected secret", args...)
		return
	}
	e.warn(about, cure, text, args...)
}
