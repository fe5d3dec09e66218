package mirror

import (
	"context"
	"strings"
	"time"

	giteaapi "code.gitea.io/sdk/gitea"
)

// gitea is the API of Gitea and Forgejo (BASE/swagger).
type gitea struct {
	*api
	owner, name string
}

func newGitea(a *api, owner, name string) (*gitea, error) {
	a.own = "/api/v1"
	g := &gitea{a, owner, name}
	_, err := g.client(context.Background())
	return g, err
}

// client is for one call: the library keeps the call's context in it.
func (g *gitea) client(ctx context.Context) (*giteaapi.Client, error) {
	return giteaapi.NewClient(g.root(),
		giteaapi.SetHTTPClient(g.httpClient()),
		giteaapi.SetToken(g.token),
		giteaapi.SetUserAgent(userAgent),
		// No question for the server's version before the first call: what is
		// called is older than every version that is still run.
		giteaapi.SetGiteaVersion(""),
		giteaapi.SetContext(ctx),
	)
}

func (g *gitea) told(res *giteaapi.Response, err error, want int) error {
	if res == nil {
		return g.api.told(nil, err, want)
	}
	return g.api.told(res.Response, err, want)
}

func (g *gitea) repository(ctx context.Context) (bool, string, error) {
	c, err := g.client(ctx)
	if err != nil {
		return false, "", err
	}
	r, res, err := c.GetRepo(g.owner, g.name)
	err = g.told(res, err, 200)
	if status(err) == 404 {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	return true, r.DefaultBranch, nil
}

// create makes the repository for the token's own user or for an organization,
// which are two calls. A token that may not read its user (403) is taken for
// one that may write an organization's repositories.
func (g *gitea) create(ctx context.Context) error {
	c, err := g.client(ctx)
	if err != nil {
		return err
	}
	me, res, err := c.GetMyUserInfo()
	if err = g.told(res, err, 200); err != nil && (status(err) != 403 || transientAPI(err)) {
		return err
	}
	repo := giteaapi.CreateRepoOption{Name: g.name, Private: true, AutoInit: false}
	if err == nil && strings.EqualFold(me.UserName, g.owner) {
		_, res, err = c.CreateRepo(repo)
	} else {
		_, res, err = c.CreateOrgRepo(g.owner, repo)
	}
	return g.told(res, err, 201)
}

func (g *gitea) setDefaultBranch(ctx context.Context, branch string) error {
	c, err := g.client(ctx)
	if err != nil {
		return err
	}
	_, res, err := c.EditRepo(g.owner, g.name, giteaapi.EditRepoOption{DefaultBranch: &branch})
	return g.told(res, err, 200)
}

// setStatus: Gitea has no state for a job that runs; its description has.
func (g *gitea) setStatus(ctx context.Context, oid string, s CommitStatus) error {
	if s.State == StateRunning {
		s.State = StatePending
	}
	c, err := g.client(ctx)
	if err != nil {
		return err
	}
	_, res, err := c.CreateStatus(g.owner, g.name, oid, giteaapi.CreateStatusOption{
		State: giteaapi.StatusState(s.State), Context: s.Context, Description: firstRunes(s.Description, 140), TargetURL: s.URL,
	})
	return g.told(res, err, 201)
}

// expires: tokens of Gitea and Forgejo do not end.
func (g *gitea) expires(context.Context) (time.Time, error) { return time.Time{}, nil }
