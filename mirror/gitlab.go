package mirror

import (
	"context"
	"strings"
	"time"

	gitlabapi "gitlab.com/gitlab-org/api/client-go/v2"
)

// gitlab is docs.gitlab.com/api.
type gitlab struct {
	*api
	client      *gitlabapi.Client
	owner, name string
}

func newGitLab(a *api, owner, name string) (*gitlab, error) {
	a.own = "/api/v4"
	c, err := gitlabapi.NewAuthSourceClient(bearer(a.token),
		gitlabapi.WithBaseURL(a.root()),
		gitlabapi.WithHTTPClient(a.httpClient()),
		gitlabapi.WithUserAgent(userAgent),
		// When to try again is the ledger's to say.
		gitlabapi.WithoutRetries(),
		gitlabapi.WithCustomLimiter(unhurried{}),
	)
	if err != nil {
		return nil, err
	}
	return &gitlab{a, c, owner, name}, nil
}

// bearer is a token in the header in which GitLab takes all kinds: personal,
// project, group and OAuth tokens.
type bearer string

func (bearer) Init(context.Context, *gitlabapi.Client) error { return nil }

func (b bearer) Header(context.Context) (key, value string, err error) {
	return gitlabapi.OAuthTokenHeaderName, "Bearer " + string(b), nil
}

// unhurried lets the library make its calls at once. Left to itself it
// sleeps between them once an answer has told a rate limit.
type unhurried struct{}

func (unhurried) Wait(context.Context) error { return nil }

func (g *gitlab) told(res *gitlabapi.Response, err error, want int) error {
	if res == nil {
		return g.api.told(nil, err, want)
	}
	return g.api.told(res.Response, err, want)
}

func (g *gitlab) project() string { return g.owner + "/" + g.name }

func (g *gitlab) repository(ctx context.Context) (bool, string, error) {
	p, res, err := g.client.Projects.GetProject(g.project(), nil, gitlabapi.WithContext(ctx))
	err = g.told(res, something(p, err), 200)
	if status(err) == 404 {
		return false, "", nil
	}
	if err != nil {
		return false, "", err
	}
	return true, p.DefaultBranch, nil
}

func (g *gitlab) create(ctx context.Context) error {
	namespace, res, err := g.client.Namespaces.GetNamespace(g.owner, gitlabapi.WithContext(ctx))
	if err := g.told(res, something(namespace, err), 200); err != nil {
		return err
	}
	_, res, err = g.client.Projects.CreateProject(&gitlabapi.CreateProjectOptions{
		Name: &g.name, Path: &g.name, NamespaceID: &namespace.ID,
		Visibility: new(gitlabapi.PrivateVisibility), InitializeWithReadme: new(false),
	}, gitlabapi.WithContext(ctx))
	return g.told(res, err, 201)
}

func (g *gitlab) setDefaultBranch(ctx context.Context, branch string) error {
	_, res, err := g.client.Projects.EditProject(g.project(), &gitlabapi.EditProjectOptions{DefaultBranch: &branch}, gitlabapi.WithContext(ctx))
	return g.told(res, err, 200)
}

// gitlabState: canceled is what comes nearest to no verdict.
var gitlabState = map[State]gitlabapi.BuildStateValue{
	StatePending: gitlabapi.Pending,
	StateRunning: gitlabapi.Running,
	StateSuccess: gitlabapi.Success,
	StateFailure: gitlabapi.Failed,
	StateError:   gitlabapi.Canceled,
}

func (g *gitlab) setStatus(ctx context.Context, oid string, s CommitStatus) error {
	body := gitlabapi.SetCommitStatusOptions{State: gitlabState[s.State], Name: &s.Context, Description: new(firstRunes(s.Description, 255))}
	if s.URL != "" {
		body.TargetURL = &s.URL
	}
	_, res, err := g.client.Commits.SetCommitStatus(g.project(), oid, &body, gitlabapi.WithContext(ctx))
	err = g.told(res, err, 201)
	// "Cannot transition status via :run from :running": it has that state.
	if status(err) == 400 && strings.Contains(err.Error(), "Cannot transition status") {
		return nil
	}
	return err
}

// expires: the day on which a personal, project or group token ends.
func (g *gitlab) expires(ctx context.Context) (time.Time, error) {
	token, res, err := g.client.PersonalAccessTokens.GetSinglePersonalAccessToken(gitlabapi.WithContext(ctx))
	err = g.told(res, something(token, err), 200)
	if s := status(err); s == 401 || s == 403 || s == 404 {
		return time.Time{}, nil // a kind of token that may not ask this
	}
	if err != nil || token.ExpiresAt == nil {
		return time.Time{}, err
	}
	return time.Time(*token.ExpiresAt), nil
}
