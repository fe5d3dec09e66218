package mirror

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"quire/internal/secret"
	"quire/internal/secret/masked"
)

// mint gives a GitHub App's credential the header of a fresh installation token.
func (d *delivery) mint(ctx context.Context, c credential) (credential, error) {
	if c.app == nil {
		return c, nil
	}
	base, err := apiBase(d.req.Target, d.to, "github")
	if err != nil {
		return c, err
	}
	owner, name, err := ownerAndName(d.to)
	if err != nil {
		return c, err
	}
	c.token, err = d.apps.token(ctx, c.app, base, owner, name, d.way, c.scrub, d.now())
	if err != nil {
		if status(err) != 0 && !transientAPI(err) {
			return c, err // the App, its key or its installation is wrong
		}
		return c, &unfetchedError{err}
	}
	c.header = basic("x-access-token", c.token)
	c.remember(c.header)
	return c, nil
}

// renewToken replaces an App's token that was minted before and that the forge
// does not accept any more. It reports whether the push should be made again.
func (d *delivery) renewToken(ctx context.Context, moves []*move) bool {
	if d.cred.app == nil || len(moves) == 0 || slices.ContainsFunc(moves, func(m *move) bool { return m.result.Class != ClassAuth }) {
		return false
	}
	d.apps.forget(d.cred.token)
	cred, err := d.credential(ctx)
	if err != nil || cred.token == d.cred.token {
		return false // that the old one was not accepted says enough
	}
	sess, err := openSession(d.req.GitDir, d.to, d.way, cred, d.knownHosts())
	if err != nil {
		return false
	}
	d.pusher.sess.close()
	d.cred, d.pusher.sess = cred, sess
	return true
}

// forge is the API of the delivery's target.
func (d *delivery) forge() (forge, error) {
	return forgeOf(d.req.Target, d.to, d.way, d.cred.token, d.cred.scrub)
}

// makeRepository makes the target's repository if the push found none there and
// the mirror says so. It reports whether the push should be made again.
func (d *delivery) makeRepository(ctx context.Context, moves []*move) (made bool) {
	if !d.req.Target.Create || len(moves) == 0 {
		return false
	}
	for _, m := range moves {
		if m.result.Class != ClassNotFound {
			return false
		}
	}
	fail := func(err error) bool {
		for _, m := range moves {
			d.pusher.refuse(m, Refused, ClassNotMade, "there is no repository, and it could not be made: "+err.Error())
		}
		return false
	}
	f, err := d.forge()
	if err != nil {
		return fail(err)
	}
	exists, _, err := f.repository(ctx)
	switch {
	case err != nil:
		return fail(err)
	case exists:
		return fail(errors.New("the forge's API shows one that git cannot push to"))
	}
	if err := f.create(ctx); err != nil {
		return fail(err)
	}
	return true
}

// matchDefault makes HEAD's branch the default branch of a repository that was
// just made, once it has landed.
func (d *delivery) matchDefault(ctx context.Context, done map[string]Result) {
	repo, err := d.repo()
	if err != nil {
		return
	}
	head, err := repo.DefaultBranch()
	if err != nil || !done[head].Status.Good() || done[head].Status == "" {
		return
	}
	f, err := d.forge()
	if err != nil {
		return
	}
	branch := strings.TrimPrefix(head, "refs/heads/")
	if _, have, err := f.repository(ctx); err == nil && have == branch {
		return
	}
	if err := f.setDefaultBranch(ctx, branch); err != nil {
		d.report.Warnings = append(d.report.Warnings, d.cred.mask(fmt.Sprintf("the repository was made, but %s is not its default branch: %v", branch, err)))
	}
}

// StatusRequest is a commit status to be shown at a mirrored commit.
type StatusRequest struct {
	GitDir  string
	Target  Target
	Resolve func(context.Context) (secret.Value, error)
	OID     string
	Status  CommitStatus
}

// PostStatus shows a commit status at the target's forge. The commit must be
// there.
func (e *Engine) PostStatus(ctx context.Context, req StatusRequest) error {
	f, name, _, err := e.forgeFor(ctx, Request{GitDir: req.GitDir, Target: req.Target, Resolve: req.Resolve})
	if err == nil {
		err = f.setStatus(ctx, req.OID, req.Status)
	}
	if err != nil {
		return fmt.Errorf("mirror %s: commit status %s: %w", name, req.Status.Context, err)
	}
	return nil
}

// Expires is when the target's credential ends, as its forge tells; the zero
// time if it does not end, or nobody tells.
func (e *Engine) Expires(ctx context.Context, req Request) (time.Time, error) {
	f, name, _, err := e.forgeFor(ctx, req)
	if errors.Is(err, errNoForge) {
		return time.Time{}, nil
	}
	var t time.Time
	if err == nil {
		t, err = f.expires(ctx)
	}
	if err != nil {
		return t, fmt.Errorf("mirror %s: ask when the credential ends: %w", name, err)
	}
	return t, nil
}

// forgeFor is the API of a target's forge, how the target is called, and what masks
// what the forge says.
func (e *Engine) forgeFor(ctx context.Context, req Request) (f forge, name string, mask func(string) masked.Text, err error) {
	d := &delivery{Engine: e, ctx: ctx, req: req}
	mask = func(text string) masked.Text { return d.cred.mask(text) }
	if d.to, err = parseRemote(req.Target.URL); err != nil {
		return nil, withoutPassword(req.Target.URL), mask, err
	}
	if name = req.Target.Name; name == "" {
		name = d.to.display()
	}
	if kindOf(req.Target, d.to) == "" && req.Target.API == "" {
		return nil, name, mask, errNoForge
	}
	if err := d.pass(ctx); err != nil {
		return nil, name, mask, err
	}
	if d.cred, err = d.credential(ctx); err != nil {
		return nil, name, mask, err
	}
	f, err = d.forge()
	return f, name, mask, err
}
