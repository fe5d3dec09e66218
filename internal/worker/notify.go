package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/network"
	"quire/internal/notify"
	"quire/internal/secret"
	"quire/internal/store"
)

// notifying is how long telling everybody about one run may take.
const notifying = 2 * time.Minute

// sender delivers as the configuration's network wants it.
func sender(cfg *config.Config) notify.Sender {
	return notify.Sender{Poster: notify.Poster{Route: network.Of(cfg)}}
}

// notify tells whoever the configuration names how a run ended. It does not
// keep the worker from its work, but the worker does not leave before it is done. A
// notification is sent once at most: one that a kill takes away is not repeated.
func (w *worker) notify(ctx context.Context, id string) {
	if len(w.cfg.Notify) == 0 {
		return
	}
	r, err := w.store.Run(ctx, id)
	if err == nil && r.State == event.RunReplaced {
		return // its successor has news
	}
	var report notify.Report
	if err == nil {
		report, err = w.news(ctx, r)
	}
	if err != nil {
		w.tell("notify of run "+id, err)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), notifying)
	cfg := w.cfg
	w.telling.Go(func() {
		defer cancel()
		list, err := rules(ctx, cfg, r)
		err = errors.Join(err, sender(cfg).Deliver(ctx, list, report))
		if err != nil {
			w.Log.Error("notify", "run", r.Number, "error", err)
		}
	})
}

// news is what there is to tell of a run.
func (w *worker) news(ctx context.Context, r event.Run) (notify.Report, error) {
	report := notify.Report{Run: r}
	var err error
	if report.Jobs, err = w.store.Jobs(ctx, r.ID); err != nil {
		return report, err
	}
	before, err := w.store.Runs(ctx, store.Filter{GitDir: r.GitDir, Ref: r.Ref, Before: r.Number, Limit: 20})
	if err != nil {
		return report, err
	}
	for _, b := range before {
		if b.State.Final() && b.State != event.RunReplaced && b.State != event.RunCanceled {
			report.Before = b.State
			break
		}
	}
	if r.Interrupted {
		if report.After, err = AfterInterruption(ctx, w.cfg, w.store, r); err != nil {
			return report, err
		}
	}
	report.Link = w.page(r)
	return report, nil
}

// page is where `quire serve` shows a run, "" if nobody said how it is reached.
func (w *worker) page(r event.Run) string {
	if w.cfg.Web.BaseURL == "" {
		return ""
	}
	return fmt.Sprintf("%s/run/%d", strings.TrimRight(w.cfg.Web.BaseURL, "/"), r.Number)
}

// rules are the configuration's, with their keys. A rule whose key is not to be
// had is left out: an unsigned message would not be believed anyway.
func rules(ctx context.Context, cfg *config.Config, r event.Run) ([]notify.Rule, error) {
	vault := secret.Open(cfg)
	var out []notify.Rule
	var errs []error
	for _, n := range cfg.Notify {
		rule := notify.Rule{Repos: n.Repos, Refs: n.Refs, On: n.On, Mail: n.Mail, Webhook: n.Webhook}
		if n.Secret != "" {
			key, err := vault.Reveal(ctx, n.Secret, secret.Scope{GitDir: r.GitDir, Ref: r.Ref, Protected: true})
			if err != nil {
				errs = append(errs, err)
				continue
			}
			rule.Key = []byte(key.Reveal())
		}
		out = append(out, rule)
	}
	return out, errors.Join(errs...)
}
