package worker

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/notify"
)

// A repository in which quire makes run after run of its own accord is in a loop
// that nobody meant: something that a run starts moves refs in a way that cannot be
// told from a lost push. Whatever it is, it is stopped after so many.
const (
	maxOwnRuns    = 10
	ownRunsWithin = 10 * time.Minute
)

// tooManyOwnRuns stops looking for unreported pushes to a repository that had too
// many of them, until a person removes the note of it.
func (w *worker) tooManyOwnRuns(ctx context.Context, gitDir string) (stopped bool, err error) {
	n, err := w.store.OwnRuns(ctx, gitDir, time.Now().Add(-ownRunsWithin))
	if err != nil || n < maxOwnRuns {
		return false, err
	}
	text := fmt.Sprintf("quire made %d runs within %v of refs whose move nobody reported: no more are made. Find out what moves refs in %s, then remove %s",
		n, ownRunsWithin, gitDir, w.attempts.file(workStopped, gitDir))
	if err := w.attempts.stop(gitDir, text); err != nil {
		return false, err
	}
	w.Log.Error("looking for unreported pushes is stopped", "repository", gitDir, "reason", text)
	w.tellOfTrouble(w.cfg, gitDir, text)
	return true, nil
}

// tellOfTrouble tells those who want to hear of failures about a repository.
func (w *worker) tellOfTrouble(cfg *config.Config, gitDir, text string) {
	if len(cfg.Notify) == 0 {
		return
	}
	w.telling.Go(func() {
		ctx, cancel := context.WithTimeout(context.Background(), notifying)
		defer cancel()
		list, err := rules(ctx, cfg, event.Run{GitDir: gitDir})
		if err = errors.Join(err, sender(cfg).Repository(ctx, list, notify.Trouble{GitDir: gitDir, Text: text})); err != nil {
			w.Log.Error("tell of a repository", "repository", gitDir, "error", err)
		}
	})
}

// workStopped is the kind of the note that a repository was stopped. It is not of
// one boot, and not removed with age.
const workStopped = "stopped"

func (a attempts) stopped(gitDir string) bool {
	_, err := os.Lstat(a.file(workStopped, gitDir))
	return err == nil
}

func (a attempts) stop(gitDir, why string) error {
	err := os.MkdirAll(a.dir, 0o700)
	if err == nil {
		err = os.WriteFile(a.file(workStopped, gitDir), []byte(strconv.Quote(gitDir)+"\n"+why+"\n"), 0o600)
	}
	if err != nil {
		return fmt.Errorf("stop looking for unreported pushes: %w", err)
	}
	return nil
}

// Stopped lists the repositories in which unreported pushes are not looked for any
// more, because there was a loop: What is the repository, Why a sentence.
func Stopped(cfg *config.Config) (out []Aside) {
	a := attemptsIn(cfg.StateDir, "")
	entries, _ := os.ReadDir(a.dir) // none: nothing was ever noted
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), workStopped+"-") {
			continue
		}
		note := Aside{Kind: workStopped, Note: a.dir + "/" + e.Name()}
		text, _ := os.ReadFile(note.Note)
		quoted, why, _ := strings.Cut(string(text), "\n")
		note.What, _ = strconv.Unquote(quoted)
		note.Why = strings.TrimSpace(why)
		out = append(out, note)
	}
	return out
}
