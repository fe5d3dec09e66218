package mirror

import (
	"context"
	"slices"
	"strings"
)

// A remote refuses some pushes as a whole: its pre-receive hook judges all refs
// at once, so that one large file keeps a hundred branches back; and a pack may
// be too large for it, so that a long history never arrives. Such a push is
// made in parts: fewer refs, then less history.

// maxParts bounds the further pushes that one push may be cut into.
const maxParts = 64

// inParts pushes again, in parts, what was refused as a whole.
func (p *pusher) inParts(ctx context.Context, moves []*move) {
	budget := maxParts
	p.halve(ctx, moves, &budget)
	for _, m := range moves {
		if m.tooLarge() && strings.HasPrefix(m.d.Ref, "refs/heads/") && !m.deletes() {
			p.climb(ctx, m, &budget)
		}
	}
}

func (m *move) tooLarge() bool { return m.result != nil && m.result.Class == ClassPackTooLarge }

// halve pushes each half by itself, down to single refs. Refs whose half is
// well have landed; what is left is refused for a reason of its own.
func (p *pusher) halve(ctx context.Context, moves []*move, budget *int) {
	if len(moves) < 2 || !asWhole(moves) {
		return
	}
	for _, half := range [][]*move{moves[:len(moves)/2], moves[len(moves)/2:]} {
		if *budget == 0 || ctx.Err() != nil {
			return
		}
		*budget--
		for _, m := range half {
			m.result = nil
		}
		p.settle(ctx, half)
		p.halve(ctx, half, budget)
	}
}

// asWhole reports whether the remote refused all of the moves in one breath.
func asWhole(moves []*move) bool {
	for _, m := range moves {
		if m.result == nil || m.result.Status != Refused || !m.whole && !m.tooLarge() {
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
	line, err := p.firstParents(ctx, m.d.Put, want)
	if err != nil || len(line) < 2 {
		return
	}
	landed, step := 0, len(line)/2 // in commits of line
	for landed < len(line) && *budget > 0 && ctx.Err() == nil {
		*budget--
		to := min(landed+step, len(line))
		m.d.Want, m.result = line[to-1], nil
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
		landed = to
		// If the ledger cannot be written now, the next attempt finds out by
		// itself what landed.
		p.progress(m)
	}
	m.d.Want, m.result = want, last
	if landed < len(line) && last.Status.Good() {
		p.refuse(m, Pending, ClassPackTooLarge, "it is sent in parts, and the rest is still to come")
	}
}

// firstParents lists the commits from base (exclusive, "" for none) to tip, the
// oldest first, along first parents.
func (p *pusher) firstParents(ctx context.Context, base, tip string) ([]string, error) {
	args := []string{"rev-list", "--first-parent", tip}
	if base != "" {
		args = append(args, "^"+base)
	}
	out := p.sess.git(ctx, args...)
	if out.err != nil {
		return nil, out.err
	}
	if out.exit != 0 {
		return nil, &commandError{"list the commits", out.stderr}
	}
	line := strings.Fields(out.stdout)
	slices.Reverse(line)
	return line, nil
}
