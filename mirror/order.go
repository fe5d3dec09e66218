package mirror

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"quire/internal/event"
	"quire/internal/gitrepo"
)

// Order is a standing order: a copy that is kept of some repositories for every
// push, whatever their pipelines say ([[mirror]] in the configuration).
type Order struct {
	Target   // URL may hold {repo} and {owner}
	Repos    []string
	Refs     []string // none: branches and tags
	Exclude  []string
	Statuses bool // jobs are reported as commit statuses
}

// For is the order's target for one repository; ok says whether the order is
// meant for it. A malformed pattern matches nothing.
func (o Order) For(gitDir string) (t Target, ok bool) {
	for _, pattern := range o.Repos {
		if yes, err := event.MatchRepo(pattern, gitDir); yes && err == nil {
			ok = true
		}
	}
	if !ok {
		return Target{}, false
	}
	t = o.Target
	repo, owner := event.RepoName(gitDir), filepath.Base(filepath.Dir(strings.TrimSuffix(gitDir, "/.git")))
	if strings.Contains(t.URL, "://") {
		repo, owner = escaped(repo), escaped(owner)
	}
	t.URL = strings.NewReplacer("{repo}", repo, "{owner}", owner).Replace(t.URL)
	if r, err := parseRemote(t.URL); err == nil {
		t.URL = r.url // as the ledger has it
		// One name for many repositories would not say which.
		if t.Name == "" || strings.Contains(o.URL, "{") && t.Name == r.host {
			t.Name = r.display()
		}
	}
	return t, true
}

// escaped is a name as a part of a URL's path (RFC 3986): c#.git and q?x.git are
// names of directories. Letters of all languages stay as they are, which servers
// take.
func escaped(name string) string {
	var out strings.Builder
	for i := range len(name) {
		if c := name[i]; c <= ' ' || c == 0x7f || strings.IndexByte("\"#%<>?[\\]^`{|}", c) >= 0 {
			fmt.Fprintf(&out, "%%%02X", c)
		} else {
			out.WriteByte(c)
		}
	}
	return out.String()
}

// ordersOf are those of the orders that are for a target.
func ordersOf(orders []Order, gitDir, url string) (out []Order) {
	for _, o := range orders {
		if t, ok := o.For(gitDir); ok && t.URL == url {
			out = append(out, o)
		}
	}
	return out
}

// ordered reports whether one of the orders is for a target.
func ordered(orders []Order, gitDir, url string) bool {
	return len(ordersOf(orders, gitDir, url)) > 0
}

// usualRefs are what a mirror takes without being told: notes and the forges'
// own names (refs/pull/…) only on request.
var usualRefs = []string{"refs/heads/*", "refs/tags/*"}

// Takes reports whether the order is for a ref.
func (o Order) Takes(ref string) bool {
	refs := o.Refs
	if len(refs) == 0 {
		refs = usualRefs
	}
	// What keeps the commits of runs is this machine's own affair.
	return matches(refs, ref) && !matches(o.Exclude, ref) && !strings.HasPrefix(ref, "refs/quire/")
}

// taken reports whether one of the orders is for a ref.
func taken(orders []Order, ref string) bool {
	return slices.ContainsFunc(orders, func(o Order) bool { return o.Takes(ref) })
}

func matches(patterns []string, ref string) bool {
	for _, p := range patterns {
		if yes, err := event.MatchRef(p, ref); yes && err == nil {
			return true
		}
	}
	return false
}

// newTarget is a target of an order that is in no ledger yet.
type newTarget struct {
	gitDir string
	target Target
}

// unknown are the targets that orders have of repositories which are known, or
// of the one, and of which nothing is recorded yet.
func (e *Engine) unknown(ctx context.Context, orders []Order, gitDir string) ([]newTarget, error) {
	repos := []string{gitDir}
	var err error
	if gitDir == "" {
		if repos, err = e.store.Repositories(ctx); err != nil {
			return nil, err
		}
	}
	recorded, err := e.store.Targets(ctx, gitDir, "")
	if err != nil {
		return nil, err
	}
	known := map[targetKey]bool{}
	for _, t := range recorded {
		known[targetKey{t.GitDir, t.URL}] = true
	}
	var out []newTarget
	for _, dir := range repos {
		if gitrepo.Gone(dir) || otherRunner(dir) != nil {
			continue
		}
		for _, o := range orders {
			t, ok := o.For(dir)
			if key := (targetKey{dir, t.URL}); ok && !known[key] {
				known[key] = true
				out = append(out, newTarget{dir, t})
			}
		}
	}
	return out, nil
}

// wants is what a push means for the order.
func (o Order) wants(updates []event.Update) []Want {
	var out []Want
	for _, u := range updates {
		if o.Takes(u.Ref) {
			out = append(out, Want{u.Ref, u.New})
		}
	}
	return out
}

// state is what the order wants of the repository as it is now, by ref. broken says
// which refs cannot be read: where there are some, none that is missing counts as
// deleted.
func (o Order) state(ctx context.Context, gitDir string) (here map[string]string, broken error, err error) {
	r, err := gitrepo.Open(ctx, gitDir)
	if err != nil {
		return nil, nil, err
	}
	defer r.Close()
	refs, err := r.Refs("refs/")
	if _, readable := gitrepo.Broken(err); !readable {
		return nil, nil, err
	}
	broken = err
	out := map[string]string{}
	for _, ref := range refs {
		if o.Takes(ref.Name) {
			out[ref.Name] = ref.OID
		}
	}
	return out, broken, nil
}
