package secret

import (
	"cmp"
	"slices"
)

// automaton finds all of its patterns at once in one pass over a text (Aho and
// Corasick, "Efficient string matching", CACM 18/6, 1975). Its state after a
// byte is the longest end of the text so far that begins a pattern; so the
// state's depth is exactly what must be held back, and no less would do.
//
// Nodes are numbered in the order of the sorted patterns, which makes most of
// them the successor of their parent: the 8 bytes of a node say where such a
// child is without a pointer to it. What has more children finds them in a hash
// table. The root and its children, where ordinary text stays, have whole rows.
type automaton struct {
	nodes []node
	rows  []uint32 // rows[s<<8|b] is the next state, for s < wide
	wide  uint32   // the root and its children have the states below wide
	table table
}

// node is a state. meta holds its depth, its flags, and the byte that leads to
// its first child.
type node struct {
	fail uint32 // the longest proper end of this state's text that is a state too
	meta uint32
}

const (
	nextMask  = 1<<8 - 1
	flagLeaf  = 1 << 8  // there is no first child
	flagMany  = 1 << 9  // further children are in the table
	flagFound = 1 << 10 // a pattern ends here; which one is in the table
	depthBits = 12      // meta>>depthBits is the depth, so a pattern has at most 1 MiB
)

func (n node) depth() int { return int(n.meta >> depthBits) }

// found is what ends at a state: the longest pattern, and the best name of all
// patterns that end there.
type found struct {
	length int
	name   string
}

// betterName chooses between the names of two secrets that overlap: the longer,
// and of equally long ones the first in order, so that it does not depend on
// which was revealed first.
func betterName(a, b string) string {
	if len(a) > len(b) || len(a) == len(b) && a <= b {
		return a
	}
	return b
}

type pattern struct {
	text, name string
}

// newAutomaton compiles patterns, of which none may be empty or longer than a
// node can count (MaxLength sees to that).
func newAutomaton(patterns []pattern) *automaton {
	patterns = sortedPatterns(patterns)
	b := newBuilder(patterns)
	for _, p := range patterns {
		b.insert(p.text)
	}
	b.link(patterns)
	return b.automaton
}

// sortedPatterns orders the patterns and keeps of equal texts the best name.
func sortedPatterns(patterns []pattern) []pattern {
	patterns = slices.Clone(patterns)
	slices.SortFunc(patterns, func(a, b pattern) int {
		if c := cmp.Compare(a.text, b.text); c != 0 {
			return c
		}
		if a.name == b.name {
			return 0
		}
		if betterName(a.name, b.name) == a.name {
			return -1
		}
		return 1
	})
	return slices.CompactFunc(patterns, func(a, b pattern) bool { return a.text == b.text })
}

// builder holds what is needed only while an automaton is made.
type builder struct {
	*automaton
	parent []uint32
	in     []byte   // the byte that leads to the state
	firsts uint32   // children of the root so far
	path   []uint32 // the states of the pattern inserted last, by depth
	last   string
}

func newBuilder(patterns []pattern) *builder {
	total, firsts, before := 1, 0, -1
	last := ""
	for _, p := range patterns {
		total += len(p.text) - common(last, p.text)
		last = p.text
		if int(p.text[0]) != before {
			firsts++
			before = int(p.text[0])
		}
	}
	a := &automaton{wide: uint32(1 + firsts)}
	a.nodes = make([]node, a.wide, total)
	a.rows = make([]uint32, int(a.wide)<<8)
	b := &builder{automaton: a, path: []uint32{0}}
	b.parent = make([]uint32, a.wide, total)
	b.in = make([]byte, a.wide, total)
	for i := range a.nodes {
		a.nodes[i].meta = flagLeaf
	}
	return b
}

// common is the length of the longest common beginning.
func common(a, b string) int {
	n := min(len(a), len(b))
	for i := range n {
		if a[i] != b[i] {
			return i
		}
	}
	return n
}

// insert adds the next pattern in order: it shares with the one before it all
// that it shares with any.
func (b *builder) insert(text string) {
	shared := common(b.last, text)
	b.last = text
	b.path = b.path[:shared+1]
	for d := shared; d < len(text); d++ {
		b.path = append(b.path, b.child(b.path[d], text[d], uint32(d+1)))
	}
}

// child makes the new state after s on c.
func (b *builder) child(s uint32, c byte, depth uint32) uint32 {
	if s == 0 {
		b.firsts++
		b.nodes[b.firsts].meta = depth<<depthBits | flagLeaf
		b.in[b.firsts] = c
		b.rows[c] = b.firsts
		return b.firsts
	}
	t := uint32(len(b.nodes))
	b.nodes = append(b.nodes, node{meta: depth<<depthBits | flagLeaf})
	b.parent = append(b.parent, s)
	b.in = append(b.in, c)
	switch {
	case s < b.wide:
		b.rows[s<<8|uint32(c)] = t
	case t == s+1:
		b.nodes[s].meta = b.nodes[s].meta&^(flagLeaf|nextMask) | uint32(c)
	default:
		b.nodes[s].meta |= flagMany
		b.table.put(s, int(c), t)
	}
	return t
}

// link sets the fail links, breadth first, and says what ends where.
func (b *builder) link(patterns []pattern) {
	a := b.automaton
	for s := uint32(1); s < a.wide; s++ {
		for c := range uint32(256) {
			if a.rows[s<<8|c] == 0 {
				a.rows[s<<8|c] = a.rows[c]
			}
		}
	}
	ends := b.ends(patterns)
	for _, s := range b.byDepth() {
		if s >= a.wide {
			p := b.parent[s]
			if p < a.wide {
				// Its parent's row leads back to s: ask the parent's own fail,
				// which is the root.
				a.nodes[s].fail = a.rows[b.in[s]]
			} else {
				a.nodes[s].fail = a.next(a.nodes[p].fail, b.in[s])
			}
		}
		b.finish(s, ends)
	}
}

// ends lists the states where a pattern ends, in order.
func (b *builder) ends(patterns []pattern) map[uint32]string {
	ends := make(map[uint32]string, len(patterns))
	for _, p := range patterns {
		s := uint32(0)
		for i := range len(p.text) {
			s = b.forward(s, p.text[i])
		}
		ends[s] = p.name
	}
	return ends
}

// forward is the child of s on c, which must exist.
func (b *builder) forward(s uint32, c byte) uint32 {
	if s < b.wide {
		return b.rows[s<<8|uint32(c)]
	}
	if m := b.nodes[s].meta; byte(m) == c && m&flagLeaf == 0 {
		return s + 1
	}
	t, _ := b.table.get(s, int(c))
	return t
}

// finish records what ends at s: its own pattern, if it is one, and what ends
// at the state it fails to, whose depth is less and which is finished already.
func (b *builder) finish(s uint32, ends map[uint32]string) {
	n := &b.nodes[s]
	name, own := ends[s]
	out := found{length: n.depth(), name: name}
	if b.nodes[n.fail].meta&flagFound != 0 {
		inner := b.at(n.fail)
		if own {
			out.name = betterName(name, inner.name)
		} else {
			out = inner
		}
	} else if !own {
		return
	}
	n.meta |= flagFound
	b.table.put(s, keyFound, uint32(len(b.table.finds)))
	b.table.finds = append(b.table.finds, out)
}

// byDepth lists all states but the root in the order of their depth.
func (b *builder) byDepth() []uint32 {
	var starts []int
	for _, n := range b.nodes {
		for len(starts) < n.depth()+2 {
			starts = append(starts, 0)
		}
		starts[n.depth()+1]++
	}
	for d := 1; d < len(starts); d++ {
		starts[d] += starts[d-1]
	}
	order := make([]uint32, len(b.nodes))
	for s, n := range b.nodes {
		order[starts[n.depth()]] = uint32(s)
		starts[n.depth()]++
	}
	return order[1:]
}

// next is the state after s on c. Trackers have its first two cases inline.
func (a *automaton) next(s uint32, c byte) uint32 {
	if s < a.wide {
		return a.rows[s<<8|uint32(c)]
	}
	if m := a.nodes[s].meta; byte(m) == c && m&flagLeaf == 0 {
		return s + 1
	}
	return a.fall(s, c)
}

// fall is next for a state with neither a row nor a first child on c.
func (a *automaton) fall(s uint32, c byte) uint32 {
	for {
		n := a.nodes[s]
		if n.meta&flagMany != 0 {
			if t, ok := a.table.get(s, int(c)); ok {
				return t
			}
		}
		s = n.fail
		if s < a.wide {
			return a.rows[s<<8|uint32(c)]
		}
		if m := a.nodes[s].meta; byte(m) == c && m&flagLeaf == 0 {
			return s + 1
		}
	}
}

// at says what is found at s, which must have flagFound.
func (a *automaton) at(s uint32) found {
	i, _ := a.table.get(s, keyFound)
	return a.table.finds[i]
}
