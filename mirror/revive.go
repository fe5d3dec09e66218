package mirror

import (
	"context"

	"quire/internal/secret/masked"
	"quire/internal/store"
)

// What was refused is tried again when its cause may be gone. Some causes are a
// ref's own: a protected branch, a file that is too large, a ref that diverged.
// They wait for a push to the ref, or for a person. The others are the target's:
// a token that had expired, an account without the right, a repository that was
// missing. When anything lands there, such a cause may be gone for all refs,
// and nobody should have to know which ones were left behind.

// ofTarget are the classes whose cause is the target's as a whole.
var ofTarget = map[Class]bool{
	ClassBadTarget: true, ClassNotAllowed: true, ClassSecret: true, ClassAuth: true, ClassForbidden: true, ClassNotFound: true, ClassNotMade: true, ClassRedirect: true,
	ClassRequest: true, ClassProxy: true, ClassLength: true, ClassWithheld: true,
	ClassHostKey: true, ClassHostUnknown: true, ClassTLS: true, ClassFormat: true, ClassArchived: true, ClassQuota: true, ClassRetired: true,
	// Given up after the target's retry time.
	ClassNetwork: true, ClassServer: true, ClassLocked: true, ClassStalled: true, ClassRateLimit: true, ClassRemoteFull: true, ClassLocal: true, ClassUnknown: true,
}

func targetClasses() []string {
	var out []string
	for c := range ofTarget {
		out = append(out, string(c))
	}
	return out
}

// revive pushes what was refused before for the target's sake, on the same behalf,
// if the target took something now. It goes by itself, so that it keeps nothing else back, and
// less and less often, if its cause was the ref's own after all.
func (d *delivery) revive(ctx context.Context, done map[string]Result) error {
	took := false
	for _, r := range done {
		took = took || r.Status == Created || r.Status == Updated || r.Status == UpToDate || r.Status == Deleted && r.Detail.IsZero()
	}
	if !took || ctx.Err() != nil {
		return nil
	}
	if err := d.reached(ctx); err != nil {
		return err
	}
	rows, err := d.store.Takeable(ctx, d.req.GitDir, d.to.url, targetClasses())
	if err != nil {
		return err
	}
	var moves []*move
	for _, row := range rows {
		_, tried := done[row.Ref]
		if row.State == store.DeliveryRefused && !tried && d.req.along(row) && d.now().Sub(row.At) >= d.backoff(row.Attempts, ClassNone) {
			moves = append(moves, &move{d: row, earlier: true, revived: true})
		}
	}
	if len(moves) == 0 {
		return nil
	}
	if err := d.push(ctx, moves); err != nil {
		return err
	}
	for _, m := range moves {
		done[m.d.Ref] = d.result(m)
	}
	return nil
}

// reached takes back that the target could not be looked at.
func (d *delivery) reached(ctx context.Context) error {
	list, err := d.store.Targets(ctx, d.req.GitDir, d.to.url)
	if err == nil && len(list) == 1 && list[0].LookClass != "" {
		err = d.store.Reached(ctx, d.req.GitDir, d.to.url)
	}
	return err
}

// leaveToThePipeline ends the waiting of what nobody but the pipeline can try
// again, because it alone has the header.
func (d *delivery) leaveToThePipeline(ctx context.Context, moves []*move, done map[string]Result) error {
	if d.req.Target.Auth != unrecorded || ctx.Err() != nil {
		return nil
	}
	var left []*move
	for _, m := range moves {
		if m.result.Status == Pending {
			m.result.Status = Refused
			m.result.Detail = masked.Format("%s; %s", m.result.Detail, masked.Const(onlyThePipeline))
			m.result.Advice = "Name the secret in :secret, or push again when the cause is gone."
			left = append(left, m)
		}
	}
	if err := d.record(ctx, left); err != nil {
		return err
	}
	for _, m := range left {
		done[m.d.Ref] = d.result(m)
	}
	return nil
}

// onlyThePipeline is why a delivery is not tried again by itself.
const onlyThePipeline = "it is not tried again by itself, since its :auth-header was not made of a declared secret in a way that can be seen, and is recorded nowhere"
