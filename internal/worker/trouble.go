package worker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/notify"
	"quire/mirror"
)

// tellOfMirror tells of a mirror that needs a person: somebody changed it, it
// refuses what it is owed, or its credential ends soon.
func (w *worker) tellOfMirror(cfg *config.Config, n mirror.Notice) {
	text := mirrorTrouble(n)
	if len(cfg.Notify) == 0 || text == "" {
		return
	}
	w.telling.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), notifying)
		defer cancel()
		list, err := rules(ctx, cfg, event.Run{GitDir: n.GitDir})
		t := notify.Trouble{GitDir: n.GitDir, Mirror: n.Target, Text: text}
		if err = errors.Join(err, sender(cfg).Mirror(ctx, list, t)); err != nil {
			w.Log.Error("tell of a mirror", "error", err)
		}
	})
}

// mirrorTrouble is what a person must see to, one thing a line: not what will be
// tried again by itself, or a night without network would be a hundred mails.
func mirrorTrouble(n mirror.Notice) string {
	var lines []string
	for _, x := range n.Report.Results {
		if !x.Earlier && (x.Status == mirror.Refused || x.Status == mirror.Diverged) {
			lines = append(lines, fmt.Sprintf("%s %s: %s; %s", event.ShortRef(x.Ref), x.Status, x.Detail, x.Advice))
		}
	}
	for _, d := range n.Drift {
		if d.There == "" {
			lines = append(lines, fmt.Sprintf("%s was deleted there: quire put %s", event.ShortRef(d.Ref), event.ShortOID(d.Put)))
			continue
		}
		lines = append(lines, fmt.Sprintf("%s was changed there: quire put %s, it is %s", event.ShortRef(d.Ref), event.ShortOID(d.Put), event.ShortOID(d.There)))
	}
	var target *mirror.TargetError
	if errors.As(n.Err, &target) && !n.Again && !target.Class.Transient() {
		lines = append(lines, fmt.Sprintf("it could not be looked at: %s: %s; %s", target.Class, target.Detail, target.Advice))
	}
	if !n.Expires.IsZero() {
		lines = append(lines, "its credential ends on "+n.Expires.Format(time.DateOnly))
	}
	return strings.Join(lines, "\n")
}
