package mirror

import (
	"context"
	"net/url"
	"strings"
	"time"

	githubapi "github.com/google/go-github/v93/github"
)

// github is docs.github.com/rest.
type github struct {
	*api
	client      *githubapi.Client
	owner, name string
}

func newGitHub(a *api, owner, name string) (*github, error) {
	base := a.base.String() + "/"
	c, err := githubapi.NewClient(
		githubapi.WithHTTPClient(a.httpClient()),
		githubapi.WithURLs(&base, nil), // WithEnterpriseURLs would add a path of its own
		githubapi.WithAuthToken(a.token),
		githubapi.WithUserAgent(userAgent),
		// What is left of the limit is the forge's to say, in its answers.
		githubapi.WithDisableRateLimitCheck(),
	)
	if err != nil {
		return nil, err
	}
	return &github{a, c, owner, name}, nil
}

// path is the repository as the library wants it, which puts both parts into
// URLs as they are.
func (g *github) path() (owner, name string) { return url.PathEscape(g.owner), url.PathEscape(g.name) }

func (g *github) told(res *githubapi.Response, err error, want int) error {
	if res == nil {
		return g.api.told(nil, err, want)
	}
	return g.api.told(res.Response, err, want)
}

func (g *github) repository(ctx context.Context) (bool, string, error) {
	owner, name := g.path()
	r, res, err := g.client.Repositories.Get(ctx, owner, name)
	err = g.told(res, something(r, err), 200)
	if status(err) == 404 {
		return false, "", nil
	}
	return err == nil, r.GetDefaultBranch(), err
}

// create makes the repository for the token's own user or for an organization,
// which are two calls. A GitHub App is no user (403), and can make repositories
// of its organization only.
func (g *github) create(ctx context.Context) error {
	me, res, err := g.client.Users.Get(ctx, "")
	if err := g.told(res, something(me, err), 200); err != nil && (status(err) != 403 || transientAPI(err)) {
		return err
	}
	org, _ := g.path()
	if strings.EqualFold(me.GetLogin(), g.owner) {
		org = ""
	}
	_, res, err = g.client.Repositories.Create(ctx, org, githubapi.CreateRepositoryRequest{Name: g.name, Private: new(true), AutoInit: new(false)})
	return g.told(res, err, 201)
}

func (g *github) setDefaultBranch(ctx context.Context, branch string) error {
	owner, name := g.path()
	_, res, err := g.client.Repositories.Edit(ctx, owner, name, &githubapi.Repository{DefaultBranch: &branch})
	return g.told(res, err, 200)
}

// setStatus: GitHub has no state for a job that runs; its description has. It
// refuses descriptions above 140 characters.
func (g *github) setStatus(ctx context.Context, oid string, s CommitStatus) error {
	if s.State == StateRunning {
		s.State = StatePending
	}
	body := githubapi.RepoStatus{State: new(string(s.State)), Context: &s.Context, Description: new(firstRunes(s.Description, 140))}
	if s.URL != "" {
		body.TargetURL = &s.URL
	}
	owner, name := g.path()
	_, res, err := g.client.Repositories.CreateStatus(ctx, owner, name, oid, body)
	return g.told(res, err, 201)
}

// expires reads the header that GitHub adds to its answers to a token that ends.
func (g *github) expires(ctx context.Context) (time.Time, error) {
	owner, name := g.path()
	_, res, err := g.client.Repositories.Get(ctx, owner, name)
	if err := g.told(res, err, 200); err != nil {
		return time.Time{}, err
	}
	return res.TokenExpiration.UTC(), nil
}
