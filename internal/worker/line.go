package worker

import "quire/internal/event"

// queuedPush is a push in the spool, as far as its turn depends on it.
type queuedPush struct {
	name    string
	gitDir  string // "" if the file cannot be read
	updates []event.Update
}

// manyUpdates is how many updates of a push are kept in memory to find its turn.
// A push with more is taken in the order of its id.
const manyUpdates = 1000

// holdTries is how often a push fails to be taken, in some eight minutes, before
// the later pushes to its repository go on without it.
const holdTries = 20

// line is the order in which waiting pushes are taken: that of their ids, which
// is that of the clock, except where one push moved a ref away from where another
// put it. That one is later, whatever the clock said.
func (w *worker) line(names []string) []queuedPush {
	line := make([]queuedPush, 0, len(names))
	for _, name := range names {
		q := queuedPush{name: name}
		if len(names) > 1 { // with one there is no order
			if p, err := w.spool.Read(name); err == nil {
				q.gitDir = p.GitDir
				if len(p.Updates) <= manyUpdates {
					q.updates = p.Updates
				}
			}
		}
		line = append(line, q)
	}
	return inOrder(line)
}

// inOrder moves each push before those of its repository that follow it.
func inOrder(line []queuedPush) []queuedPush {
	type ref struct{ gitDir, name string }
	moved := map[ref][]step{}
	for i, q := range line {
		for _, u := range q.updates {
			r := ref{q.gitDir, u.Ref}
			moved[r] = append(moved[r], step{i, u.Old, u.New})
		}
	}
	before := make([][]int, len(line))
	for _, steps := range moved {
		for _, pair := range followers(steps) {
			before[pair[1]] = append(before[pair[1]], pair[0])
		}
	}
	out := make([]queuedPush, 0, len(line))
	seen := make([]bool, len(line))
	var put func(i int)
	put = func(i int) {
		if seen[i] {
			return // also where two refs contradict each other: the ids decide then
		}
		seen[i] = true
		for _, j := range before[i] {
			put(j)
		}
		out = append(out, line[i])
	}
	for i := range line {
		put(i)
	}
	return out
}

// step is what the push at a place in the line did to a ref.
type step struct {
	place    int
	old, new string
}

// followers are the pairs of places of which the second push moved a ref on from
// where the first put it. A ref that was at one commit twice (it was set back)
// tells no order: none are returned.
func followers(steps []step) (pairs [][2]int) {
	from, to := map[string]step{}, map[string]bool{}
	for _, s := range steps {
		from[s.old], to[s.new] = s, true
	}
	if len(from) < len(steps) || len(to) < len(steps) {
		return nil
	}
	walked := 0
	for _, s := range steps {
		if to[s.old] {
			continue // not a beginning
		}
		for walked++; ; walked++ {
			next, ok := from[s.new]
			if !ok {
				break
			}
			pairs = append(pairs, [2]int{s.place, next.place})
			s = next
		}
	}
	if walked < len(steps) { // some go round in a circle
		return nil
	}
	return pairs
}

// holds reports whether a push that failed to be taken still holds back the later
// ones of its repository.
func (w *worker) holds(name string) bool {
	d := w.backoff[name]
	return d != nil && d.tries < holdTries
}
