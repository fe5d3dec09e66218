package mirror

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/secret"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// SyncRequest asks that a target be made to agree with the repository as it is
// now.
type SyncRequest struct {
	GitDir     string
	Order      Order // its URL without places, as Order.For makes it
	Credential func(context.Context) (secret.Value, error)
	KnownHosts []string

	// Confirmed allows deleting more than half of the target's refs.
	Confirmed bool
}

// Sync compares the repository with the target and delivers the difference,
// under the same leases as any push: what others moved there stays. A ref that
// exists only there is deleted if it was created from here.
func (e *Engine) Sync(ctx context.Context, req SyncRequest) (Report, error) {
	t := req.Order.Target
	d := Request{
		GitDir: req.GitDir, Target: t, KnownHosts: req.KnownHosts, Confirmed: req.Confirmed, Resolve: req.Credential, Takes: req.Order.Takes,
		Seq: event.NewID(e.now()), // before the refs are read: a push meanwhile is later
	}
	there, err := e.survey(ctx, d)
	if err != nil {
		class, detail := there.why(err)
		switch {
		case ctx.Err() != nil:
			return there.report(), context.Cause(ctx)
		case class == ClassNotFound && t.Create: // the push makes it
		default:
			rep := there.report()
			rep.Results = []Result{{Ref: "refs/*", Status: refusedOrPending(class), Class: class, Detail: detail,
				Advice: class.advice(there.to, there.name, t.Secret, "the refs")}}
			return rep, nil
		}
	}
	here, broken, err := req.Order.state(ctx, req.GitDir)
	if err != nil {
		return there.report(), fmt.Errorf("mirror %s: %w", there.name, err)
	}
	rows, err := e.rows(ctx, req.GitDir, there.to.url)
	if err != nil {
		return there.report(), err
	}
	for ref, oid := range here {
		if row, ok := rows[ref]; !ok || row.State != store.DeliveryLanded || row.Want != oid || there.refs[ref] != oid {
			d.Refs = append(d.Refs, Want{ref, oid})
		}
	}
	for ref, row := range rows {
		keep := Class(row.Class) == ClassForeign && there.refs[ref] == "" // and it is gone; see Audit
		if _, ok := here[ref]; !ok && broken == nil && row.Put != "" && !keep && req.Order.Takes(ref) {
			d.Refs = append(d.Refs, Want{ref, strings.Repeat("0", len(row.Put))})
		}
	}
	rep := there.report()
	if len(d.Refs) > 0 {
		slices.SortFunc(d.Refs, func(a, b Want) int { return strings.Compare(a.Ref, b.Ref) })
		rep, err = e.Deliver(ctx, d)
	}
	return damaged(rep, req.Order, broken), err
}

// damaged adds to a report what cannot be read here: the copy is not in step with it,
// and nothing was deleted.
func damaged(rep Report, o Order, broken error) Report {
	if broken == nil {
		return rep
	}
	rep.Warnings = append(rep.Warnings, noRedactor.Mask("nothing is deleted there: "+broken.Error()))
	refs, _ := gitrepo.Broken(broken)
	for _, name := range slices.Sorted(maps.Keys(refs)) {
		if r := refs[name]; o.Takes(name) || name == "refs/" { // which is all of them
			rep.Results = append(rep.Results, Result{Ref: name, Status: Refused, Class: ClassBroken,
				Detail: noRedactor.Mask("it cannot be read here: " + strings.TrimSpace(r.File+" "+r.Why)),
				Advice: "Remove the file, and then push the ref again or write it with git update-ref, which both refuse to replace it."})
		}
	}
	return rep
}

// survey is what a target has.
type survey struct {
	name string
	to   remote
	raw  string
	refs map[string]string
	cred credential
}

func (s survey) report() Report { return Report{Target: s.name, URL: withoutPassword(s.raw)} }

// why is the class and the cause of an error of Engine.survey.
func (s survey) why(err error) (Class, masked.Text) {
	c, detail := s.cause(err)
	return c, s.cred.mask(detail)
}

func (s survey) cause(err error) (Class, string) {
	var blocked *blockedError
	var unfetched *unfetchedError
	var command *commandError
	if c, _, ok := refusal(err); ok {
		return c, err.Error()
	}
	switch {
	case errors.As(err, &unfetched):
		return ClassSecret, err.Error()
	case errors.As(err, &blocked):
		return ClassBadTarget, err.Error()
	case errors.As(err, &command):
		return (&pusher{planner: &planner{to: s.to}}).classify(command.stderr), cause(command.stderr)
	case errors.Is(err, errTooLong):
		return ClassStalled, err.Error()
	}
	return ClassLocal, err.Error()
}

// blockedError is a survey that could not be tried.
type blockedError struct{ error }

func (b *blockedError) Unwrap() error { return b.error }

// survey reads all refs of the request's target. With an error it still tells
// the target's name.
func (e *Engine) survey(ctx context.Context, req Request) (s survey, err error) {
	s.name, s.raw = req.Target.Name, req.Target.URL
	if s.to, err = parseRemote(req.Target.URL); err != nil {
		return s, &blockedError{err}
	}
	if s.name == "" {
		s.name = s.to.display()
	}
	d := &delivery{Engine: e, ctx: ctx, req: req, to: s.to}
	if err := d.pass(ctx); err != nil {
		return s, err
	}
	if s.cred, err = d.credential(ctx); err != nil {
		return s, &blockedError{err}
	}
	sess, err := openSession(req.GitDir, s.to, d.way, s.cred, d.knownHosts())
	if err != nil {
		return s, &blockedError{err}
	}
	defer sess.close()
	limited, cancel := context.WithTimeoutCause(ctx, e.attempt, errTooLong)
	defer cancel()
	s.refs, err = sess.refs(limited, nil)
	return s, err
}

// pass is the whole way past the wall, for what has no request's refs to refuse.
func (d *delivery) pass(ctx context.Context) (err error) {
	if !d.req.Target.Asked {
		d.way = d.along(d.way, d.req.Target)
		return nil
	}
	hasSecret := d.req.Target.Secret != "" || d.req.Credential.Reveal() != ""
	if d.way, err = d.admit(ctx, d.req.GitDir, d.req.Wall, d.to, hasSecret); err == nil {
		d.way, err = d.along(d.way, d.req.Target).lookUp(ctx, d.to)
	}
	return err
}

// rows is all that the ledger has of a target, by ref.
func (e *Engine) rows(ctx context.Context, gitDir, url string) (map[string]store.Delivery, error) {
	all, err := e.store.DeliveriesOf(ctx, gitDir)
	if err != nil {
		return nil, err
	}
	out := map[string]store.Delivery{}
	for _, d := range all {
		if d.URL == url {
			out[d.Ref] = d
		}
	}
	return out, nil
}
