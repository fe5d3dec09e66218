package supervise

import (
	"fmt"
	"path"
	"slices"
	"strconv"
	"strings"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/gitrepo"
)

// standing is where a run's commit stands beside the default branch. HEAD and
// the branch that it names are read once, when the run begins, and everything
// is compared with that: a branch that moves meanwhile changes no answer, so
// that a secret and the caches of a run are of one mind.
//
// No answer depends on the workspace, which jobs write, nor on a branch's name
// alone: a tag or a merge may carry the same files.
type standing struct {
	repo   *gitrepo.Repo
	ref    string
	commit string // peeled
	branch string // full name of the default branch
	tip    string // its commit
	none   string // why there is nothing to compare with; "" if there is
}

// newStanding reads HEAD. A default branch that is not born protects nothing,
// nor does a HEAD that names no branch: whoever may push some branch could
// otherwise make it.
func newStanding(repo *gitrepo.Repo, ref, commit string) *standing {
	s := &standing{repo: repo, ref: ref, commit: commit}
	branch, err := repo.DefaultBranch()
	switch {
	case err != nil:
		s.none = "the default branch cannot be told: " + err.Error()
		return s
	case !strings.HasPrefix(branch, "refs/heads/"):
		s.none = fmt.Sprintf("there is no default branch: HEAD in %s names none", repo.GitDir())
		return s
	}
	s.branch = branch
	tip, found, err := repo.ResolveRef(branch)
	switch {
	case err != nil:
		s.none = "the default branch cannot be read: " + err.Error()
	case !found:
		s.none = fmt.Sprintf("there is no default branch: HEAD in %s names %s, which does not exist", repo.GitDir(), event.ShortRef(branch))
	default:
		s.tip = tip
	}
	return s
}

// elsewhere is the standing of a run that is of no pushed commit.
func elsewhere() *standing {
	return &standing{none: "this one is of a checkout, which anybody can edit"}
}

// deciding are the paths that decide which code runs before a job's own
// commands do: the pipeline, its modules and macros, the Dockerfile and its
// context. .gitattributes can change how all of these are written into the
// workspace.
var deciding = []string{".quire", ".gitattributes"}

// unlike says why the protection of a secret does not hold for the run; "" if
// it does. What cannot be read does not hold.
func (s *standing) unlike(d config.Secret) string {
	if s.none != "" {
		return s.none
	}
	if d.Protect == config.ProtectTree {
		return s.offBranch()
	}
	for _, p := range deciding {
		ours, err := s.repo.Identity(s.commit, p)
		if err == nil {
			var theirs string
			if theirs, err = s.repo.Identity(s.tip, p); err == nil && ours != theirs {
				return s.differs(p)
			}
		}
		if err != nil {
			return fmt.Sprintf("%s cannot be compared: %v", p, err)
		}
	}
	return s.unlikePaths(d.ProtectPaths)
}

// unlikePaths compares files that the operator listed, and every .gitattributes.
func (s *standing) unlikePaths(patterns []string) string {
	if len(patterns) == 0 {
		return ""
	}
	changed, err := s.repo.ChangedPaths(s.tip, s.commit)
	if err != nil {
		return "the trees cannot be compared: " + err.Error()
	}
	for _, file := range changed {
		if path.Base(file) == ".gitattributes" {
			return s.differs(file)
		}
		for _, p := range patterns {
			if ok, err := event.MatchPath(p, file); err != nil {
				return fmt.Sprintf("the %v %q of protect_paths cannot be read: mend the configuration", err, p)
			} else if ok {
				return s.differs(file)
			}
		}
	}
	return ""
}

func (s *standing) differs(file string) string {
	if !slices.Contains(deciding, file) {
		file = strconv.Quote(file)
	}
	return fmt.Sprintf("%s at %s differs from that of %s at %s", file, event.ShortOID(s.commit), event.ShortRef(s.branch), event.ShortOID(s.tip))
}

// offBranch says why the commit is none of the default branch's; "" if it is.
func (s *standing) offBranch() string {
	if s.none != "" {
		return s.none
	}
	on, err := s.repo.IsAncestor(s.commit, s.tip)
	if on {
		return ""
	}
	text := fmt.Sprintf("%s is not in the history of %s at %s", event.ShortOID(s.commit), event.ShortRef(s.branch), event.ShortOID(s.tip))
	if err != nil {
		text += ": " + err.Error()
	}
	return text
}

// isDefault reports whether the run is one of the default branch itself, with a
// commit that is still in its history.
func (s *standing) isDefault() bool { return s.ref == s.branch && s.offBranch() == "" }

// holds names the protections, of all that the secrets of the configuration
// have, that hold for the run: each once, in order.
func (s *standing) holds(cfg *config.Config) []string {
	var out []string
	for _, name := range cfg.SecretNames() {
		d := cfg.Secrets[name]
		if d.Protect == config.Unprotected {
			continue
		}
		rule := string(d.Protect) + "\x00" + strings.Join(d.ProtectPaths, "\x00")
		if !slices.Contains(out, rule) && s.unlike(d) == "" {
			out = append(out, rule)
		}
	}
	slices.Sort(out)
	return out
}
