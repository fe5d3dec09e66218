package mirror

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// forge is what of a forge's API serves a mirror.
type forge interface {
	// repository reads whether the repository is there, and its default branch.
	repository(ctx context.Context) (exists bool, branch string, err error)
	// create makes it, private and empty.
	create(ctx context.Context) error
	setDefaultBranch(ctx context.Context, branch string) error
	setStatus(ctx context.Context, oid string, s CommitStatus) error
	// expires is when the credential ends; the zero time if it does not, or the
	// forge does not tell.
	expires(ctx context.Context) (time.Time, error)
}

// CommitStatus is how a job fares, for the forge's page of a commit.
type CommitStatus struct {
	Context     string // tells one job from another: "quire/test"
	State       State
	Description string // a few words
	URL         string // of the run's page; "" for none
}

// State is that of a commit status.
type State string

// What the forges have in common.
const (
	StatePending State = "pending"
	StateRunning State = "running"
	StateSuccess State = "success"
	StateFailure State = "failure"
	StateError   State = "error" // no verdict: canceled, or quire's own fault
)

// errNoForge is for a remote that is a plain git server.
var errNoForge = errors.New("it is not known which forge this is: say forge = \"github\", \"gitlab\", \"gitea\" or \"forgejo\" in the mirror")

// kindOf tells the forge from its host.
func kindOf(t Target, to remote) string {
	host := strings.ToLower(to.host)
	label := func(name string) bool {
		return host == name || strings.HasPrefix(host, name+".") || strings.HasSuffix(host, "."+name+".com") || host == name+".com"
	}
	switch {
	case t.Forge != "":
		return t.Forge
	case label("github"):
		return "github"
	case label("gitlab"):
		return "gitlab"
	case host == "codeberg.org", label("forgejo"):
		return "forgejo"
	case label("gitea"):
		return "gitea"
	}
	return ""
}

// apiBase is where a forge's API is: GitHub has a host of its own for it, and
// on a company's server a path; the others a path.
func apiBase(t Target, to remote, kind string) (string, error) {
	if t.API != "" {
		return strings.TrimRight(t.API, "/"), nil
	}
	scheme, host := "https", to.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]" // IPv6
	}
	if to.kind == "http" {
		if !to.tls {
			scheme = "http"
		}
		if to.port != "" {
			host += ":" + to.port
		}
	}
	switch kind {
	case "github":
		if to.host == "github.com" || to.host == "ssh.github.com" {
			return "https://api.github.com", nil
		}
		return scheme + "://" + host + "/api/v3", nil
	case "gitlab":
		return scheme + "://" + host + "/api/v4", nil
	case "gitea", "forgejo":
		return scheme + "://" + host + "/api/v1", nil
	}
	return "", errNoForge
}

// ownerAndName splits a repository's path; GitLab has groups in groups.
func ownerAndName(to remote) (owner, name string, err error) {
	path := strings.Trim(strings.TrimSuffix(strings.TrimSuffix(to.path, "/"), ".git"), "/")
	i := strings.LastIndexByte(path, '/')
	if i <= 0 || i == len(path)-1 {
		return "", "", fmt.Errorf("%s names no OWNER/REPOSITORY", to.url)
	}
	return path[:i], path[i+1:], nil
}

// forgeOf makes the forge's client for a target.
func forgeOf(t Target, to remote, way passage, token string, scrub func(string) string) (forge, error) {
	kind := kindOf(t, to)
	base, err := apiBase(t, to, kind)
	if err != nil {
		return nil, err
	}
	owner, name, err := ownerAndName(to)
	if err != nil {
		return nil, err
	}
	if token == "" {
		return nil, errors.New("the forge's API needs a token, and the mirror's secret is none")
	}
	a, err := newAPI(base, token, way, scrub)
	if err != nil {
		return nil, err
	}
	switch kind {
	case "github":
		return newGitHub(a, owner, name)
	case "gitlab":
		return newGitLab(a, owner, name)
	case "gitea", "forgejo":
		return newGitea(a, owner, name)
	}
	return nil, fmt.Errorf("forge %q is not known: want github, gitlab, gitea or forgejo", kind)
}

// firstRunes cuts to n characters, as the forges count.
func firstRunes(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}
