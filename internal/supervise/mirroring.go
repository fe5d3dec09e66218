package supervise

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"quire/internal/event"
	"quire/internal/secret"
	"quire/internal/wall"
	"quire/mirror"
	"quire/pipeline"
)

// Mirror delivers refs of the run's repository, and a tag, to a remote.
func (w *world) Mirror(ctx context.Context, call pipeline.Call, m pipeline.Mirror) (pipeline.MirrorResult, error) {
	if w.engine == nil {
		w.Log(call, "nothing is pushed to "+m.URL+": this is a local run")
		w.remark(call.Job, "not pushed: a local run")
		return pipeline.MirrorResult{}, nil
	}
	if err := w.countMirror(); err != nil {
		return pipeline.MirrorResult{}, err
	}
	if err := w.sameRepository(m.GitDir); err != nil {
		return pipeline.MirrorResult{}, err
	}
	target := mirror.Target{Name: m.As, URL: m.URL, Asked: true}
	// Before a secret is revealed, a tag is made, or anything is recorded; the
	// engine asks again at the push.
	bounds, err := wall.Mirrors(w.cfg, w.run.GitDir)
	if err == nil {
		err = w.admitMirror(ctx, bounds, m)
	}
	if err != nil {
		return pipeline.MirrorResult{}, err
	}
	credential, err := w.credential(ctx, call, m, &target)
	if err != nil {
		return pipeline.MirrorResult{}, err
	}
	if err := w.tellsNoSecret(m); err != nil {
		return pipeline.MirrorResult{}, err
	}
	wants, err := w.wants(call, m)
	if err != nil {
		return pipeline.MirrorResult{}, err
	}
	req := mirror.Request{
		GitDir: w.run.GitDir, Target: target, Credential: credential, Refs: wants, Seq: w.run.PushID, KnownHosts: w.cfg.SSH.KnownHosts, Wall: bounds,
	}
	if m.Tag != "" {
		commit := w.commit
		if m.SHA != "" {
			commit = m.SHA
		}
		req.Tag = &mirror.Tag{Name: m.Tag, Commit: commit, Make: func(ctx context.Context) (string, error) { return w.makeTag(ctx, m.Tag, commit) }}
	}
	report, err := w.engine.Deliver(ctx, req)
	w.recordMirror(call, report)
	if err != nil {
		return pipeline.MirrorResult{}, err
	}
	done := pipeline.MirrorResult{PushedRefs: report.Landed()}
	if done.PushedRefs == nil {
		done.PushedRefs = []string{}
	}
	for _, ref := range done.PushedRefs {
		if ref == "refs/tags/"+m.Tag {
			done.Tag = m.Tag
		}
	}
	return done, report.Err()
}

// maxMirrored is how many mirrors a run may ask for. Each is pushed by processes of
// the supervisor's, outside of the sandbox and of the run's [limits]; at once are
// as many as jobs.
const maxMirrored = 1000

// countMirror counts one mirror more. What is too much is an error in the job.
func (w *world) countMirror() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.mirrored >= maxMirrored {
		return fmt.Errorf("the run has asked for %d mirrors, and may ask for no more", w.mirrored)
	}
	w.mirrored++
	return nil
}

// admitMirror says in a sentence why the operator does not let the pipeline push
// there, and what can be done.
func (w *world) admitMirror(ctx context.Context, bounds mirror.Wall, m pipeline.Mirror) error {
	err := w.engine.Admit(ctx, w.run.GitDir, bounds, m.URL, m.Secret != "" || m.AuthHeader != "")
	var no *mirror.NotAllowedError
	if errors.As(err, &no) {
		return fmt.Errorf("mirror %s: not allowed: %s. %s", m.URL, no.Why, no.Do)
	}
	return err
}

// sameRepository refuses to mirror what the run is not of: its secrets are not
// scoped for that.
func (w *world) sameRepository(gitDir string) error {
	if gitDir == "" || filepath.Clean(gitDir) == w.run.GitDir {
		return nil
	}
	if real, err := filepath.EvalSymlinks(gitDir); err == nil && real == w.run.GitDir {
		return nil
	}
	return fmt.Errorf("mirror: git-dir %s is not the repository of this run, %s", gitDir, w.run.GitDir)
}

// tellsNoSecret refuses a secret where it would be written down as it is: the
// ledger keeps a target's URL and the names of its refs, and git's own messages
// carry both.
func (w *world) tellsNoSecret(m pipeline.Mirror) error {
	for what, text := range map[string]string{"url": m.URL, "as": m.As, "sha": m.SHA, "tag": m.Tag, "refs": strings.Join(m.Refs, " ")} {
		if w.journal.mask(text).String() != text {
			return fmt.Errorf("mirror: :%s holds a secret; name it in :secret, which keeps it out of logs and URLs", what)
		}
	}
	return nil
}

// credential is what the mirror is pushed with. It notes in the target which
// secret that is, so that the worker can try again without the pipeline.
func (w *world) credential(ctx context.Context, call pipeline.Call, m pipeline.Mirror, target *mirror.Target) (secret.Value, error) {
	if m.AuthHeader != "" {
		target.Secret, target.Auth = mirror.RecipeOf(m.AuthHeader, w.vault.Revealed())
		// The pipeline may have put it together from parts that nobody knows:
		// whole, the field's value, and the credential without its scheme.
		red := w.vault.Redactor()
		red.Add("auth_header", m.AuthHeader)
		if _, value, ok := strings.Cut(m.AuthHeader, ": "); ok {
			red.Add("auth_header", value)
			if _, token, ok := strings.Cut(value, " "); ok {
				red.Add("auth_header", token)
			}
		}
		return secret.NewValue(m.AuthHeader), nil
	}
	if m.Secret == "" {
		return secret.Value{}, nil
	}
	target.Secret = m.Secret
	v, err := w.vault.Reveal(ctx, m.Secret, w.scope(call, m.Secret))
	if err == nil {
		w.warnOfPublished(m.Secret, v)
	}
	return v, err
}

// wants names the exact objects: for the run's own ref the pushed one, for
// another what it names now. One that does not exist is left out; deleting is
// for pushes that delete.
func (w *world) wants(call pipeline.Call, m pipeline.Mirror) ([]mirror.Want, error) {
	refs := m.Refs
	if len(refs) == 0 && !m.TagOnly {
		refs = []string{w.run.Ref}
	}
	var out []mirror.Want
	for _, ref := range refs {
		oid := w.run.New
		if ref != w.run.Ref {
			there, found, err := w.repo.ResolveRef(ref)
			if err != nil {
				return nil, fmt.Errorf("mirror: %w", err)
			}
			if !found {
				w.Log(call, event.EscapeRef(ref)+" does not exist here and is left out")
				continue
			}
			oid = there
		}
		out = append(out, mirror.Want{Ref: ref, OID: oid})
	}
	if len(out) == 0 && m.Tag == "" {
		return nil, errors.New("mirror: none of the refs exists, and there is no tag: nothing to push")
	}
	return out, nil
}

// recordMirror tells what became of each ref: events, the job's log, and a
// remark for the report.
func (w *world) recordMirror(call pipeline.Call, r mirror.Report) {
	mask := w.journal.mask
	for _, x := range r.Results {
		reason := x.Detail.String()
		if x.Advice != "" {
			reason = strings.TrimSpace(reason + "; " + x.Advice)
		}
		w.journal.record(event.Record{Type: event.MirrorRef, Job: call.Job, Attempt: call.Attempt, Target: mask(r.Target),
			Ref: mask(event.EscapeRef(x.Ref)), OID: mask(x.OID), State: string(x.Status), Reason: mask(strings.TrimPrefix(reason, "; "))})
	}
	if len(r.Results) == 0 {
		return
	}
	for line := range strings.Lines(r.String()) {
		w.Log(call, strings.TrimSuffix(line, "\n"))
	}
	var parts []string
	for _, x := range r.Results {
		if x.Earlier || !x.Status.Good() {
			continue
		}
		part := event.ShortRef(x.Ref)
		if x.Status != mirror.Deleted {
			part += " -> " + event.ShortOID(x.OID)
		}
		parts = append(parts, part+" ("+string(x.Status)+")")
	}
	if len(parts) > 0 {
		w.remark(call.Job, r.Target+": "+strings.Join(parts, ", "))
	}
}
