package mirror

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
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
func forgeOf(t Target, to remote, token string, scrub func(string) string) (forge, error) {
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
	c := client{base: base, scrub: scrub}
	switch kind {
	case "github":
		c.authorization, c.accept = "Bearer "+token, "application/vnd.github+json"
		return &github{c, owner, name}, nil
	case "gitlab":
		c.authorization = "Bearer " + token
		return &gitlab{c, owner, name}, nil
	case "gitea", "forgejo":
		c.authorization = "token " + token
		return &gitea{c, owner, name}, nil
	}
	return nil, fmt.Errorf("forge %q is not known: want github, gitlab, gitea or forgejo", kind)
}

// github is docs.github.com/rest.
type github struct {
	client
	owner, name string
}

func (g *github) path() string {
	return "/repos/" + url.PathEscape(g.owner) + "/" + url.PathEscape(g.name)
}

func (g *github) repository(ctx context.Context) (bool, string, error) {
	return readRepository(ctx, g.client, g.path())
}

// readRepository serves GitHub and Gitea, whose answers agree in this.
func readRepository(ctx context.Context, c client, path string) (bool, string, error) {
	var r struct {
		DefaultBranch string `json:"default_branch"`
	}
	err := c.do(ctx, http.MethodGet, path, nil, &r, 200)
	if status(err) == 404 {
		return false, "", nil
	}
	return err == nil, r.DefaultBranch, err
}

func (g *github) create(ctx context.Context) error {
	return createFor(ctx, g.client, g.owner, map[string]any{"name": g.name, "private": true})
}

// createFor makes a repository for the token's own user or for an organization,
// which are two calls at GitHub and Gitea.
func createFor(ctx context.Context, c client, owner string, body map[string]any) error {
	var me struct {
		Login string `json:"login"`
	}
	// A GitHub App is no user (403), and can make repositories of its
	// organization only.
	err := c.do(ctx, http.MethodGet, "/user", nil, &me, 200)
	if err != nil && status(err) != 403 {
		return err
	}
	if strings.EqualFold(me.Login, owner) {
		return c.do(ctx, http.MethodPost, "/user/repos", body, nil, 201)
	}
	return c.do(ctx, http.MethodPost, "/orgs/"+url.PathEscape(owner)+"/repos", body, nil, 201)
}

func (g *github) setDefaultBranch(ctx context.Context, branch string) error {
	return g.do(ctx, http.MethodPatch, g.path(), map[string]string{"default_branch": branch}, nil, 200)
}

// setStatus: GitHub has no state for a job that runs; its description has.
func (g *github) setStatus(ctx context.Context, oid string, s CommitStatus) error {
	state := s.State
	if state == StateRunning {
		state = StatePending
	}
	return g.do(ctx, http.MethodPost, g.path()+"/statuses/"+oid, statusBody(s, state), nil, 201)
}

// statusBody is the status as GitHub and Gitea take it. GitHub refuses
// descriptions above 140 characters.
func statusBody(s CommitStatus, state State) map[string]string {
	body := map[string]string{"state": string(state), "context": s.Context, "description": firstRunes(s.Description, 140)}
	if s.URL != "" {
		body["target_url"] = s.URL
	}
	return body
}

func firstRunes(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return string(r[:n-1]) + "…"
}

// expires reads the header that GitHub adds to its answers to a token that ends.
func (g *github) expires(ctx context.Context) (time.Time, error) {
	h, err := g.call(ctx, http.MethodGet, g.path(), nil, nil, 200)
	if err != nil {
		return time.Time{}, err
	}
	text := h.Get("GitHub-Authentication-Token-Expiration")
	for _, layout := range []string{"2006-01-02 15:04:05 MST", "2006-01-02 15:04:05 -0700"} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC(), nil
		}
	}
	return time.Time{}, nil
}

// gitea is the API of Gitea and Forgejo (BASE/swagger).
type gitea struct {
	client
	owner, name string
}

func (g *gitea) path() string {
	return "/repos/" + url.PathEscape(g.owner) + "/" + url.PathEscape(g.name)
}

func (g *gitea) repository(ctx context.Context) (bool, string, error) {
	return readRepository(ctx, g.client, g.path())
}

func (g *gitea) create(ctx context.Context) error {
	return createFor(ctx, g.client, g.owner, map[string]any{"name": g.name, "private": true, "auto_init": false})
}

func (g *gitea) setDefaultBranch(ctx context.Context, branch string) error {
	return g.do(ctx, http.MethodPatch, g.path(), map[string]string{"default_branch": branch}, nil, 200)
}

func (g *gitea) setStatus(ctx context.Context, oid string, s CommitStatus) error {
	state := s.State
	if state == StateRunning {
		state = StatePending
	}
	return g.do(ctx, http.MethodPost, g.path()+"/statuses/"+oid, statusBody(s, state), nil, 201)
}

// expires: tokens of Gitea and Forgejo do not end.
func (g *gitea) expires(context.Context) (time.Time, error) { return time.Time{}, nil }

// gitlab is docs.gitlab.com/ee/api.
type gitlab struct {
	client
	owner, name string
}

func (g *gitlab) path() string { return "/projects/" + url.PathEscape(g.owner+"/"+g.name) }

func (g *gitlab) repository(ctx context.Context) (bool, string, error) {
	return readRepository(ctx, g.client, g.path())
}

func (g *gitlab) create(ctx context.Context) error {
	var namespace struct {
		ID int64 `json:"id"`
	}
	if err := g.do(ctx, http.MethodGet, "/namespaces/"+url.PathEscape(g.owner), nil, &namespace, 200); err != nil {
		return err
	}
	return g.do(ctx, http.MethodPost, "/projects", map[string]any{
		"name": g.name, "path": g.name, "namespace_id": namespace.ID, "visibility": "private", "initialize_with_readme": false,
	}, nil, 201)
}

func (g *gitlab) setDefaultBranch(ctx context.Context, branch string) error {
	return g.do(ctx, http.MethodPut, g.path(), map[string]string{"default_branch": branch}, nil, 200)
}

func (g *gitlab) setStatus(ctx context.Context, oid string, s CommitStatus) error {
	state := map[State]string{StatePending: "pending", StateRunning: "running", StateSuccess: "success", StateFailure: "failed", StateError: "canceled"}[s.State]
	body := map[string]string{"state": state, "name": s.Context, "description": firstRunes(s.Description, 255)}
	if s.URL != "" {
		body["target_url"] = s.URL
	}
	err := g.do(ctx, http.MethodPost, g.path()+"/statuses/"+oid, body, nil, 201)
	// "Cannot transition status via :run from :running": it has that state.
	if status(err) == 400 && strings.Contains(err.Error(), "Cannot transition status") {
		return nil
	}
	return err
}

// expires: the day on which a personal, project or group token ends.
func (g *gitlab) expires(ctx context.Context) (time.Time, error) {
	var t struct {
		ExpiresAt string `json:"expires_at"`
	}
	err := g.do(ctx, http.MethodGet, "/personal_access_tokens/self", nil, &t, 200)
	if s := status(err); s == 401 || s == 403 || s == 404 {
		return time.Time{}, nil // a kind of token that may not ask this
	}
	if err != nil || t.ExpiresAt == "" {
		return time.Time{}, err
	}
	day, err := time.Parse(time.DateOnly, t.ExpiresAt)
	if err != nil {
		return time.Time{}, fmt.Errorf("gitlab: expires_at %q is no date", t.ExpiresAt)
	}
	return day, nil
}
