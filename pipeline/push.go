package pipeline

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"time"

	"quire/internal/event"
)

// Push is the push that started a run, as the run's jobs see it.
type Push struct {
	SHA           string
	Ref           string // full name
	PreviousSHA   string // "" for a new ref
	Pusher        string
	CommitMessage string
	PushedAt      time.Time
	GitDir        string
	Options       []string // of git push -o, verbatim

	// FilesChanged lists the paths that differ between PreviousSHA and SHA. It is
	// a function because it costs a walk of two trees, and most pipelines never
	// ask; it is called once a run at most. nil: the list is empty.
	FilesChanged func(context.Context) ([]string, error)
}

// pushOutputs is what (runtime.jobs :quire/push) gives, made when it is first
// asked for and the same for all jobs of a run.
type pushOutputs struct {
	push  Push
	mu    sync.Mutex
	value plain
}

func (o *pushOutputs) get(c *clock) (plain, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.value != nil {
		return o.value, nil
	}
	var files []string
	if o.push.FilesChanged != nil {
		var err error
		if files, err = o.push.FilesChanged(c.ctx); err != nil {
			return nil, fmt.Errorf("list the changed files: %w", err)
		}
	}
	o.value = o.push.table(files)
	return o.value, nil
}

// table has exactly the fields of the manual. Those that do not apply (the
// branch of a tag) are absent, which Lua reads as nil.
func (p Push) table(files []string) *plainTable {
	t := &plainTable{}
	set := func(name string, v plain) {
		if v != "" {
			t.keys = append(t.keys, name)
			t.values = append(t.values, v)
		}
	}
	ref := event.Update{Ref: p.Ref}
	set("sha", p.SHA)
	set("ref", p.Ref)
	set("branch", ref.Branch())
	set("tag", ref.Tag())
	if !event.IsZero(p.PreviousSHA) {
		set("previous-sha", p.PreviousSHA)
	}
	set("files-changed", plainList(files))
	set("pusher", p.Pusher)
	set("commit-message", p.CommitMessage)
	set("pushed-at", p.PushedAt.UTC().Format(time.RFC3339))
	set("git-dir", p.GitDir)
	set("options", p.options())
	return t
}

// options is the list of push options as given. The value of ci.var=NAME=VALUE
// is at the key NAME besides, since to pass one to a job is what it is for.
func (p Push) options() *plainTable {
	t := plainList(p.Options)
	vars := map[string]int{}
	for _, o := range p.Options {
		v, ok := strings.CutPrefix(o, "ci.var=")
		name, value, hasValue := strings.Cut(v, "=")
		if !ok || !hasValue || name == "" {
			continue
		}
		if i, again := vars[name]; again {
			t.values[i] = value // as in git, the last one counts
			continue
		}
		vars[name] = len(t.keys)
		t.keys = append(t.keys, name)
		t.values = append(t.values, value)
	}
	return t
}

func plainList(items []string) *plainTable {
	t := &plainTable{}
	for _, s := range items {
		t.list = append(t.list, s)
	}
	return t
}
