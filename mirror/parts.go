package mirror

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// A remote refuses some pushes as a whole: its pre-receive hook judges all refs
// at once, so that one large file keeps a hundred branches back; and a pack may
// be too large for it, so that a long history never arrives. Such a push is
// made in parts: fewer refs, then less history. What can be known to be too
// large is not sent in the first place.

// maxParts bounds the steps in which one push's histories are brought up. What is
// left is tried again later, and goes on from there.
const maxParts = 64

// inParts pushes again, in parts, what was refused as a whole.
func (p *pusher) inParts(ctx context.Context, moves []*move) {
	p.halve(ctx, moves)
	budget := maxParts
	climbed := false
	for _, m := range moves {
		if m.tooLarge() && m.climbs() {
			p.climb(ctx, m, &budget)
			climbed = climbed || m.result.Status.Good()
		}
	}
	// A tag of a history that has arrived by now needs next to nothing.
	var rest []*move
	for _, m := range moves {
		if climbed && m.tooLarge() && !m.climbs() && ctx.Err() == nil {
			m.result = nil
			rest = append(rest, m)
		}
	}
	p.settle(ctx, rest)
}

func (m *move) tooLarge() bool { return m.result != nil && m.result.Class == ClassPackTooLarge }

// climbs reports whether the ref can be brought up its history step by step.
func (m *move) climbs() bool { return strings.HasPrefix(m.d.Ref, "refs/heads/") && !m.deletes() }

// ahead pushes in parts, from a large repository, what would be more than a
// forge takes in one push, and returns the moves that are left. Only branches
// that are new there are measured, and those that failed before: what a branch
// grows by from push to push is no such matter.
func (p *pusher) ahead(ctx context.Context, moves []*move) (rest []*move) {
	weighty := func(m *move) bool { return m.climbs() && (m.d.Put == "" || m.d.Attempts > 1) }
	if !slices.ContainsFunc(moves, weighty) || !p.large() {
		return moves
	}
	there, err := p.there()
	if err != nil {
		return moves // the push itself will meet what is wrong
	}
	budget := maxParts
	for _, m := range moves {
		if weighty(m) && p.weigh(ctx, m.d.Want, there) > p.limits.pack {
			p.climb(ctx, m, &budget)
			if m.d.Put != "" {
				there = append([]string{m.d.Put}, there...)
			}
		}
		if m.result == nil {
			rest = append(rest, m)
		}
	}
	return rest
}

// large reports whether the repository holds more than one push may. On this
// machine nothing is too large.
func (p *pusher) large() bool {
	if p.to.kind == "file" {
		return false
	}
	if p.size == 0 {
		filepath.WalkDir(objectsOf(p.sess.gitDir), func(_ string, e fs.DirEntry, err error) error {
			if err != nil || !e.Type().IsRegular() {
				return nil // what cannot be read will not be sent
			}
			if info, err := e.Info(); err == nil {
				p.size += info.Size()
			}
			return nil
		})
	}
	return p.size > p.limits.pack
}

// knownTips is how many of the objects that the target has are told to git, at
// most, when it weighs a push: they go into argv.
const knownTips = 1000

// weigh is how many bytes the objects take here that tip reaches and none of
// there does: about what a push of them sends. 0 if it cannot be told.
func (p *pusher) weigh(ctx context.Context, tip string, there []string) int64 {
	args := []string{"rev-list", "--disk-usage", "--objects", "--ignore-missing", tip, "--not"}
	out := p.sess.git(ctx, append(args, there...)...)
	n, err := strconv.ParseInt(strings.TrimSpace(out.stdout), 10, 64)
	if out.err != nil || out.exit != 0 || err != nil {
		return 0
	}
	return n
}

// halve finds the refs for which a push was refused as a whole: it pushes each half
// by itself, down to single refs, all halves of one size before smaller ones, so
// that what is well lands early. For b refs that are refused of n it makes some
// 2·b·log n pushes. What it does not come to before ctx ends stays owed; so does
// what is owed anyway, when nothing has landed for long: then it may be the remote
// that is unwell, and no ref.
func (p *pusher) halve(ctx context.Context, moves []*move) {
	barren := 0
	for todo := [][]*move{moves}; len(todo) > 0; todo = todo[1:] {
		g := todo[0]
		if len(g) < 2 || !asWhole(g) || g[0].result.Status == Pending && barren >= maxBarren {
			continue
		}
		for _, half := range [][]*move{g[:len(g)/2], g[len(g)/2:]} {
			if ctx.Err() != nil {
				for _, m := range half {
					p.interrupted(m, context.Cause(ctx))
				}
				continue
			}
			for _, m := range half {
				m.result, m.whole = nil, false
			}
			p.settle(ctx, half)
			barren++
			if slices.ContainsFunc(half, func(m *move) bool { return m.result.Status.Good() }) {
				barren = 0
			}
			todo = append(todo, half)
		}
	}
}

// maxBarren is after how many pushes in a row of which nothing landed the search for
// refs that do is given up until the next attempt.
const maxBarren = 64

// asWhole reports whether the remote refused all of the moves in one breath.
func asWhole(moves []*move) bool {
	for _, m := range moves {
		if m.result == nil || m.result.Status.Good() || !m.whole && !m.tooLarge() {
			return false
		}
	}
	return true
}

// climb pushes a branch's history from the bottom up, in steps that the remote
// takes: commits of its first-parent line are put on the branch one after the
// other. Each that lands is recorded, so that whoever goes on later starts there.
func (p *pusher) climb(ctx context.Context, m *move, budget *int) {
	want, last := m.d.Want, m.result
	line, err := p.lineOf(ctx, m.d.Put, want)
	if err != nil || line.n < 2 {
		return
	}
	step := line.n
	if last != nil {
		step /= 2 // all at once was too much
	}
	step = p.fitting(ctx, line, step)
	for line.n > 0 && *budget > 0 && ctx.Err() == nil {
		*budget--
		to, err := line.at(ctx, min(step, line.n))
		if err != nil {
			break
		}
		m.d.Want, m.result = to, nil
		if m.d.Put != "" {
			m.lease = &m.d.Put
		}
		p.settle(ctx, []*move{m})
		last = m.result
		if m.tooLarge() && step > 1 {
			step /= 2
			continue
		}
		if !last.Status.Good() {
			break
		}
		// If the ledger cannot be written now, the next attempt finds out by
		// itself what landed.
		p.progress(m)
		line.base, line.n = to, line.n-min(step, line.n)
		step = p.fitting(ctx, line, step)
	}
	m.d.Want, m.result = want, last
	if line.n > 0 && last != nil && last.Status.Good() {
		p.refuse(m, Pending, ClassPackTooLarge, "it is sent in parts, and the rest is still to come")
	}
}

// fitting is how many commits of a line may be put on top of its base in one
// push, at most most and at least one: as many as stay below the limit, where
// that can be known.
func (p *pusher) fitting(ctx context.Context, line line, most int) int {
	most = min(most, line.n)
	if most < 2 || !p.large() {
		return max(most, 1)
	}
	var there []string
	if line.base != "" {
		there = []string{line.base}
	}
	// The first number of commits, less one, that is too many.
	over := sort.Search(most, func(i int) bool {
		tip, err := line.at(ctx, i+1)
		return err != nil || ctx.Err() != nil || p.weigh(ctx, tip, there) > p.limits.pack
	})
	return max(over, 1)
}

// line is the first-parent line of commits from base (exclusive; "" for none) to
// tip. It may have millions, so they are asked of git one by one.
type line struct {
	sess      *session
	base, tip string
	n         int // commits
}

func (p *pusher) lineOf(ctx context.Context, base, tip string) (line, error) {
	l := line{p.sess, base, tip, 0}
	text, err := l.list(ctx, "--count")
	if err == nil {
		l.n, err = strconv.Atoi(text)
	}
	return l, err
}

// at is the nth commit of the line, counted from 1 at the bottom.
func (l line) at(ctx context.Context, n int) (string, error) {
	if n == l.n {
		return l.tip, nil
	}
	return l.list(ctx, "--max-count=1", "--skip="+strconv.Itoa(l.n-n))
}

func (l line) list(ctx context.Context, args ...string) (string, error) {
	args = append([]string{"rev-list", "--first-parent"}, append(args, l.tip)...)
	if l.base != "" {
		args = append(args, "^"+l.base)
	}
	out := l.sess.git(ctx, args...)
	if out.err != nil {
		return "", out.err
	}
	if out.exit != 0 {
		return "", &commandError{"list the commits", out.stderr}
	}
	return strings.TrimSpace(out.stdout), nil
}
