package supervise

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/spool"
)

// makeTag puts a tag of the pipeline's into the run's repository, as a push by the
// run's pusher would: the repository's hooks decide whether it may be there. The
// worker and quire's own hooks are told beforehand, since it is nobody's push and
// makes no run.
func (w *world) makeTag(ctx context.Context, name, commit string) (oid string, err error) {
	if err := gitrepo.CheckNewTag(name); err != nil {
		return "", err
	}
	c, err := w.repo.Commit(commit)
	if err != nil {
		return "", err
	}
	ref := "refs/tags/" + name
	_, before, err := w.repo.ResolveRef(ref)
	if err != nil {
		return "", err
	}
	own := rand.Text()
	u := event.Update{Old: strings.Repeat("0", len(c.OID)), New: c.OID, Ref: ref}
	forget, err := spool.Dir(w.cfg.StateDir).Own(own, w.run.GitDir, u)
	if err != nil {
		return "", err
	}
	defer forget()
	if !before {
		if err := w.store.NoteTip(ctx, w.run.GitDir, ref, c.OID); err != nil {
			return "", err
		}
	}
	oid, _, err = w.repo.CreateTag(ctx, name, c.OID, w.tagEnvironment(own))
	if err == nil {
		if !before {
			err = w.reportTag(event.Update{Old: u.Old, New: oid, Ref: ref})
		}
		return oid, err
	}
	if _, after, lookErr := w.repo.ResolveRef(ref); lookErr == nil && !before && !after {
		// Refused: there is no tip to be known.
		err = errors.Join(err, w.store.NoteTip(context.WithoutCancel(ctx), w.run.GitDir, ref, ""))
	}
	return "", w.redactedTag(err)
}

// reportTag puts a tag that the run has made into the spool, as what it is, the
// run's own: the mirrors of the configuration get it, and nothing runs.
func (w *world) reportTag(u event.Update) error {
	now := time.Now()
	return spool.Dir(w.cfg.StateDir).Write(event.Push{ID: event.NewID(now), At: now, GitDir: w.run.GitDir,
		Pusher: fmt.Sprintf("run %d", w.run.Number), MadeBy: w.run.ID, Unwatched: true, Updates: []event.Update{u}})
}

// redactedTag takes secrets out of what hooks said.
func (w *world) redactedTag(err error) error {
	var refused *gitrepo.TagRefusedError
	if errors.As(err, &refused) {
		refused.Said = w.vault.Redactor().String(refused.Said)
	}
	return err
}

// hookNames are the variables of this process that a repository's hooks may need,
// as they do when somebody pushes. No secret's variable is among them.
var hookNames = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR",
	"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR", "QUIRE_BIN",
}

// tagEnvironment is the environment of the push of a tag, and of the hooks that run
// then. QUIRE_RUN is not in it: what a hook leaves running is not the run's to end.
func (w *world) tagEnvironment(own string) []string {
	var env []string
	for _, name := range hookNames {
		if v, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+v)
		}
	}
	if w.cfg.Path != "" {
		if abs, err := filepath.Abs(w.cfg.Path); err == nil {
			env = append(env, "QUIRE_CONFIG="+abs) // the hooks' state directory is ours
		}
	}
	if !strings.Contains(w.run.Pusher, "\x00") {
		env = append(env, "QUIRE_PUSHER="+w.run.Pusher)
	}
	return append(env, spool.OwnVariable+"="+own)
}
