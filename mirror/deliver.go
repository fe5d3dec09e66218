package mirror

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/gofrs/flock"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// errTooLong ends a git push that exceeds the engine's limit.
var errTooLong = errors.New("the push took longer than its limit")

// Deliver brings the request's refs to its target and says what became of each.
// With them go refs that are still owed there from before.
//
// What the target, the network or the credential refuse is in the report; the
// error is for what this machine could not do: a ledger that cannot be written,
// a context that ended. Whatever happens, what was wanted is in the ledger.
func (e *Engine) Deliver(ctx context.Context, req Request) (Report, error) {
	start := time.Now()
	d := &delivery{Engine: e, ctx: ctx, req: req}
	err := d.run(ctx)
	d.report.Took = time.Since(start)
	if err != nil {
		return d.report, fmt.Errorf("mirror %s: %w", d.report.Target, err)
	}
	return d.report, nil
}

// delivery is one call of Deliver.
type delivery struct {
	*Engine
	ctx    context.Context // of run, for what is opened when it is needed
	req    Request
	to     remote
	way    passage
	cred   credential
	report Report
	pusher *pusher

	triedMaking bool // of the repository, see makeRepository

	mine    map[string]bool // refs of the request
	opening sync.WaitGroup
	open    *gitrepo.Repo // nil until needed; see repo
	openErr error
}

func (d *delivery) run(ctx context.Context) (err error) {
	defer d.closeRepo()
	t := &d.req.Target
	d.report.Target, d.report.URL = t.Name, withoutPassword(t.URL)
	if err := t.fill(); err != nil {
		return d.failAll(ClassBadTarget, err)
	}
	if d.to, err = parseRemote(t.URL); err != nil {
		return d.failAll(ClassBadTarget, err)
	}
	if err := d.checkUser(); err != nil {
		return d.failAll(ClassBadTarget, err)
	}
	t.URL = d.to.url
	if t.Name == "" {
		t.Name = d.to.display()
	}
	d.report.Target = t.Name
	if err := d.wants(); err != nil {
		return d.failAll(ClassBadTarget, err)
	}
	if done, err := d.admitted(ctx); done {
		return err
	}
	d.openAhead()
	d.tag(ctx)
	if d.req.Seq == "" {
		d.req.Seq = event.NewID(d.now())
	}
	unlock, held, err := d.lock(ctx, false)
	if err != nil {
		return err
	}
	if err := d.owe(ctx, held); err != nil {
		if held {
			unlock()
		}
		if errors.Is(err, store.ErrTooManyTargets) {
			d.req.Tag = nil // made, and one of the refs
			return d.failAll(ClassNotAllowed, &NotAllowedError{store.ErrTooManyTargets.Error(), doForget})
		}
		return err
	}
	if !held {
		if unlock, _, err = d.lock(ctx, true); err != nil {
			return err
		}
	}
	defer unlock()
	return d.settle(ctx)
}

// admitted asks the wall about a pipeline's target. What it refuses is done with:
// of a request nothing is recorded; what the ledger holds from before is refused.
func (d *delivery) admitted(ctx context.Context) (done bool, err error) {
	if !d.req.Target.Asked {
		d.way = d.along(d.way, d.req.Target)
		return false, nil
	}
	hasSecret := d.req.Target.Secret != "" || d.req.Credential.Reveal() != ""
	d.way, err = d.admit(ctx, d.req.GitDir, d.req.Wall, d.to, hasSecret)
	d.way = d.along(d.way, d.req.Target)
	c, _, ours := refusal(err)
	switch {
	case err == nil:
		return false, nil
	case !ours:
		return true, err
	case len(d.req.Refs) > 0 || d.req.Tag != nil:
		return true, d.failAll(c, err)
	}
	unlock, _, err2 := d.lock(ctx, true)
	if err2 != nil {
		return true, err2
	}
	defer unlock()
	return true, d.blocked(ctx, c, err)
}

// checkUser refuses an HTTP address whose user can only be a credential: nobody
// names a secret that goes with it, or it holds the one that is named.
func (d *delivery) checkUser() error {
	if d.to.kind != "http" || d.to.user == "" {
		return nil
	}
	if d.req.Target.Secret == "" && d.req.Target.Auth == "" && d.req.Credential.Reveal() == "" {
		return errors.New("the mirror's url names a user, and the mirror no secret: if the user is a token, put it in [secrets.NAME] and name that secret")
	}
	known := credential{name: d.req.Target.Secret}
	known.redact(d.req.Credential.Reveal())
	return known.notIn(d.to.url)
}

// ownMask masks a text with what is known of the request's credential.
func (d *delivery) ownMask(text string) masked.Text {
	known := d.cred
	known.name = d.req.Target.Secret
	known.redact(d.req.Credential.Reveal())
	return known.mask(text)
}

// failAll is a report in which nothing could be tried.
func (d *delivery) failAll(c Class, err error) error {
	detail := d.ownMask(err.Error())
	for _, w := range d.req.Refs {
		d.add(Result{Ref: w.Ref, OID: w.OID, Status: Refused, Class: c, Detail: detail, Advice: d.adviceFor(c, err, w.Ref)})
	}
	if d.req.Tag != nil {
		ref := "refs/tags/" + d.req.Tag.Name
		d.add(Result{Ref: ref, OID: d.req.Tag.Commit, Status: Refused, Class: c, Detail: detail, Advice: d.adviceFor(c, err, ref)})
	}
	return nil
}

// adviceFor is the error's own advice, or else that of its class.
func (d *delivery) adviceFor(c Class, err error, ref string) string {
	if _, do, ok := refusal(err); ok && do != "" {
		return do
	}
	return d.advice(c, ref)
}

func (d *delivery) advice(c Class, ref string) string {
	return c.advice(d.to, d.req.Target.Name, d.req.Target.Secret, event.ShortRef(ref))
}

func (d *delivery) add(r Result) { d.report.Results = append(d.report.Results, r) }

// wants checks what goes into argv.
func (d *delivery) wants() error {
	d.mine = map[string]bool{}
	for _, w := range d.req.Refs {
		if !strings.HasPrefix(w.Ref, "refs/") || gitrepo.CheckTagName(strings.TrimPrefix(w.Ref, "refs/")) != nil {
			return fmt.Errorf("malformed ref %q: want a full name, refs/…", w.Ref)
		}
		if (len(w.OID) != 40 && len(w.OID) != 64) || strings.Trim(w.OID, "0123456789abcdef") != "" {
			return fmt.Errorf("malformed object id %q for %s", w.OID, w.Ref)
		}
		if d.mine[w.Ref] {
			return fmt.Errorf("%s is asked for twice", w.Ref)
		}
		d.mine[w.Ref] = true
	}
	return nil
}

// tag makes the request's tag here and adds it to what is wanted. That it
// cannot be made is a result like any other: the refs go all the same.
func (d *delivery) tag(ctx context.Context) {
	t := d.req.Tag
	if t == nil {
		return
	}
	ref := "refs/tags/" + t.Name
	fail := func(c Class, err error) {
		d.add(Result{Ref: ref, OID: t.Commit, Status: Refused, Class: c, Detail: d.ownMask(err.Error()), Advice: d.advice(c, ref)})
	}
	if err := gitrepo.CheckTagName(t.Name); err != nil {
		fail(ClassTagRefused, err)
		d.report.Results[len(d.report.Results)-1].Advice = "Choose a name that git takes for a tag: one without blanks, and more in git-check-ref-format(1)."
		return
	}
	oid, err := t.Make(ctx)
	var elsewhere *gitrepo.TagElsewhereError
	var refused *gitrepo.TagRefusedError
	switch {
	case errors.As(err, &elsewhere):
		fail(ClassTagElsewhere, err)
	case errors.As(err, &refused):
		fail(ClassTagRefused, err)
	case err != nil:
		fail(ClassBadTarget, err)
	case !d.mine[ref]:
		d.mine[ref] = true
		d.req.Refs = append(d.req.Refs, Want{ref, oid})
	}
}

// openAhead opens the repository, and reads the commits that are wanted, while the
// ledger is written: it takes about as long as the disk's next turn.
func (d *delivery) openAhead() {
	wants := slices.Clone(d.req.Refs)
	d.opening.Go(func() {
		d.open, d.openErr = gitrepo.Open(d.ctx, d.req.GitDir)
		if d.openErr != nil {
			return
		}
		for _, w := range wants[:min(len(wants), fewMoves)] {
			if !event.IsZero(w.OID) {
				_, _ = d.open.Commit(w.OID) // opens the packs; what is wrong is for the push to meet
			}
		}
	})
}

func (d *delivery) repo() (*gitrepo.Repo, error) {
	d.opening.Wait()
	if d.open == nil && d.openErr == nil {
		d.open, d.openErr = gitrepo.Open(d.ctx, d.req.GitDir)
	}
	return d.open, d.openErr
}

func (d *delivery) closeRepo() {
	d.opening.Wait()
	if d.open != nil {
		d.open.Close()
	}
}

// lock takes the target's lock: one push at a time for each. Without wait, it
// reports whether it got it.
func (d *delivery) lock(ctx context.Context, wait bool) (unlock func(), held bool, err error) {
	f := flock.New(d.lockPath(d.to.url))
	if wait {
		held, err = f.TryLockContext(ctx, 20*time.Millisecond)
	} else {
		held, err = f.TryLock()
	}
	if err != nil {
		return nil, false, fmt.Errorf("lock: %w", err)
	}
	return func() { f.Close() }, held, nil
}

func (e *Engine) lockPath(url string) string {
	sum := sha256.Sum256([]byte(url))
	return filepath.Join(e.locks, fmt.Sprintf("mirror-%x.lock", sum[:8]))
}

// settle pushes what is owed, with pauses, until it has landed, is refused, or
// the pauses are used up. The target's lock is held.
func (d *delivery) settle(ctx context.Context) error {
	var err error
	if d.way, err = d.way.lookUp(ctx, d.to); err != nil {
		c, _, _ := refusal(err)
		return d.blocked(ctx, c, err)
	}
	cred, err := d.credential(ctx)
	var unfetched *unfetchedError
	if errors.As(err, &unfetched) {
		return d.blocked(ctx, ClassSecret, err)
	}
	if err != nil {
		return d.blocked(ctx, ClassBadTarget, err)
	}
	d.cred = cred
	sess, err := openSession(d.req.GitDir, d.to, d.way, d.cred, d.knownHosts())
	if c, _, ok := refusal(err); ok {
		return d.blocked(ctx, c, err)
	}
	if err != nil {
		return d.blocked(ctx, ClassBadTarget, err)
	}
	defer func() { d.pusher.sess.close() }()
	d.pusher = &pusher{sess: sess, progress: func(m *move) { d.progress(ctx, m) }, there: func() ([]string, error) { return d.putThere(ctx) }, planner: &planner{
		target: d.req.Target, to: d.to, repo: d.repo, limits: d.batch, confirmed: d.req.Confirmed, cred: &d.cred,
		known: func() (int, error) { return d.store.CountPut(ctx, d.req.GitDir, d.to.url) },
	}}
	if d.to.kind == "http" && !d.to.tls && !d.to.loopback() && d.cred.header != "" {
		d.report.Warnings = append(d.report.Warnings, d.cred.mask("the credential goes to "+d.to.host+" without encryption; use https"))
	}
	done := map[string]Result{}
	made, renewed := false, false
	var moves []*move
	for attempt := 0; ; attempt++ {
		if moves, err = d.load(ctx); err != nil {
			return err
		}
		if err := d.push(ctx, moves); err != nil {
			return err
		}
		if waiting := slices.ContainsFunc(moves, d.mayBeMade); waiting {
			made, d.triedMaking = d.makeRepository(ctx, moves), true
			if made {
				if err := d.again(ctx, moves); err != nil {
					return err
				}
				continue
			}
			if err := d.record(ctx, moves); err != nil {
				return err
			}
		}
		if !renewed && d.renewToken(ctx, moves) {
			renewed = true
			if err := d.again(ctx, moves); err != nil {
				return err
			}
			continue
		}
		pending := false
		for _, m := range moves {
			done[m.d.Ref] = d.result(m)
			// Who is told that there were too many requests does not make another at once.
			pending = pending || m.result.Status == Pending && m.result.Class != ClassRateLimit
		}
		if !pending || attempt >= len(d.pauses) || ctx.Err() != nil {
			break
		}
		if !pause(ctx, d.pauses[attempt]) {
			break
		}
	}
	if err := d.leaveToThePipeline(ctx, moves, done); err != nil {
		return err
	}
	d.triedMaking = true // whatever follows, there is a repository or there will be none
	if err := d.revive(ctx, done); err != nil {
		return err
	}
	if made {
		d.matchDefault(ctx, done)
	}
	d.report.Attempts = d.pusher.attempts
	return d.conclude(ctx, done)
}

// knownHosts is every pin: the request's, and those that a person made.
func (d *delivery) knownHosts() []string {
	return append(slices.Clone(d.req.KnownHosts), d.pins()...)
}

// pause waits for about as long as it is told; others who failed at the same
// moment come at another.
func pause(ctx context.Context, about time.Duration) bool {
	t := time.NewTimer(vary(about))
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// vary is d, a quarter more or less.
func vary(d time.Duration) time.Duration {
	if d <= 0 {
		return 0
	}
	return d*3/4 + rand.N(d/2+1)
}

// push plans the moves, makes the pushes, and records what became of each.
func (d *delivery) push(ctx context.Context, moves []*move) error {
	if err := d.pusher.admit(moves); err != nil {
		return err
	}
	d.pusher.unheard(ctx, moves)
	d.sendLFS(ctx, moves)
	head := ""
	if len(moves) > 1 {
		if r, err := d.repo(); err == nil {
			head, _ = r.DefaultBranch() // unknown: no order
		}
	}
	for _, g := range d.pusher.groups(moves, head) {
		if err := d.send(ctx, g); err != nil {
			return err
		}
		event.Reached(event.StepMirrorSending)
		limited, cancel := context.WithTimeoutCause(ctx, d.attempt, errTooLong)
		d.pusher.push(limited, g)
		cancel()
		event.Reached(event.StepMirrorSent)
		if err := d.record(ctx, slices.DeleteFunc(slices.Clone(g), d.mayBeMade)); err != nil {
			return err
		}
		event.Reached(event.StepMirrorSettled)
		if ctx.Err() != nil {
			break
		}
	}
	var rest []*move
	for _, m := range moves {
		if m.result == nil { // not come to
			d.pusher.interrupted(m, context.Cause(ctx))
		}
		if m.d.State.Open() && !d.mayBeMade(m) {
			rest = append(rest, m)
		}
	}
	return d.record(ctx, rest)
}

// mayBeMade reports whether a ref was refused for a repository that is missing and that
// may be made yet: until that is known, nothing of it is recorded, which its pusher would
// be told.
func (d *delivery) mayBeMade(m *move) bool {
	return d.req.Target.Create && !d.triedMaking && m.result != nil && m.result.Class == ClassNotFound
}

func (d *delivery) result(m *move) Result {
	r := *m.result
	r.Ref, r.Earlier, r.revived = m.d.Ref, m.earlier, m.revived
	if r.OID == "" {
		r.OID = m.d.Want
	}
	return r
}

// blocked is for a delivery that could not be tried; all that is owed at the
// target has the one cause.
func (d *delivery) blocked(ctx context.Context, c Class, cause error) error {
	moves, err := d.load(ctx)
	if err != nil {
		return err
	}
	p := &planner{target: d.req.Target, to: d.to, cred: &d.cred}
	done := map[string]Result{}
	for _, m := range moves {
		p.refuse(m, refusedOrPending(c), c, cause.Error())
		m.result.Advice = d.adviceFor(c, cause, m.d.Ref)
		if d.req.Target.Auth == unrecorded {
			m.result.Status = Refused
		}
	}
	if err := d.record(ctx, moves); err != nil {
		return err
	}
	for _, m := range moves {
		done[m.d.Ref] = d.result(m)
	}
	return d.conclude(ctx, done)
}
