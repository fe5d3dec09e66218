package secret

// tracker follows one stream through one automaton. Places are offsets in the
// stream.
type tracker struct {
	index
	encoded bool // whether it reads encoded text: folded, and across line breaks

	pos    int64 // of the next byte
	state  uint32
	broken broken // encoded only
	marks  []mark // found since they were last taken; in order and apart

	stay  int    // how far to go on without asking the filter, which did not help
	seen  uint32 // the state found belongs to; 0: none
	found found
}

// A filter that skips less than useful bytes costs more than it saves; after
// each such answer the automaton goes on alone for longer.
const (
	useful  = 4 * stride
	maxStay = 1 << 10
)

// scan reads the stream's next bytes.
func (t *tracker) scan(data []byte) {
	base := t.pos
	i, limit := 0, base
	for {
		i = t.follow(data, base, i, limit)
		if i == len(data) {
			break
		}
		// Every candidate that is left begins at or after from, which is in data.
		from := int(t.candidate() - base)
		start, at := t.filter.next(data, from+window)
		if at-from < useful {
			t.stay = min(2*t.stay+stride, maxStay)
		} else {
			t.stay = 0
		}
		limit = base + int64(at+t.stay) + 1
		if start == len(data) { // nothing found; the last bytes may still begin something
			start = at - window
			limit = base + int64(len(data)) + 1
		}
		if start > i {
			t.pos = base + int64(start)
			t.forget()
			i = start
		}
	}
	t.pos = base + int64(len(data))
}

// forget drops all candidates.
func (t *tracker) forget() {
	t.state = 0
	t.broken.clear()
}

func (t *tracker) depth() int { return t.nodes[t.state].depth() }

// candidate is where the first text begins that may yet become a secret; pos
// if none does.
func (t *tracker) candidate() int64 {
	if t.broken.any() {
		return t.broken.start
	}
	return t.pos - int64(t.depth())
}

// follow runs the automaton over data[i:] until no candidate begins before
// limit, or data ends, and returns where it stopped. base is data's place.
func (t *tracker) follow(data []byte, base int64, i int, limit int64) int {
	if t.encoded {
		return t.followEncoded(data, base, i, limit)
	}
	nodes, rows, wide := t.nodes, t.rows, t.wide
	s, until := t.state, int(limit-base)
	n := nodes[s].meta
	for i < len(data) && i-int(n>>depthBits) < until {
		c := data[i]
		i++
		if s < wide {
			s = rows[s<<8|uint32(c)]
		} else if byte(n) == c && n&flagLeaf == 0 {
			s++
		} else {
			s = t.fall(s, c)
		}
		n = nodes[s].meta
		if n&flagFound != 0 {
			end := base + int64(i)
			if k := len(t.marks) - 1; s == t.seen && k >= 0 && t.marks[k].end > end-int64(t.found.length) {
				t.marks[k].end = end // a flood of one find; the mark has its name already
			} else {
				t.find(s, end, 0)
			}
		}
	}
	t.pos, t.state = base+int64(i), s
	return i
}

// followEncoded is follow for encoded text. White space does not reach the
// automaton.
func (t *tracker) followEncoded(data []byte, base int64, i int, limit int64) int {
	nodes, rows, wide := t.nodes, t.rows, t.wide
	s, until := t.state, int(limit-base)
	n := nodes[s].meta
	for i < len(data) {
		if i-int(n>>depthBits) >= until && (!t.broken.any() || t.broken.start >= limit) {
			break
		}
		raw := data[i]
		i++
		c := foldTable[raw]
		if c <= lineSpace {
			if s != 0 && !(c == lineSpace && t.broken.skip(raw, base+int64(i)-1, int(n>>depthBits))) {
				s, n = 0, nodes[0].meta
				t.broken.clear()
			}
			continue
		}
		if s < wide {
			s = rows[s<<8|uint32(c)]
		} else if byte(n) == c && n&flagLeaf == 0 {
			s++
		} else {
			s = t.fall(s, c)
		}
		before := int(n >> depthBits)
		n = nodes[s].meta
		if t.broken.any() {
			t.broken.step(before, int(n>>depthBits))
		}
		if n&flagFound != 0 {
			t.find(s, base+int64(i), int(n>>depthBits))
		}
	}
	t.pos, t.state = base+int64(i), s
	return i
}

// find marks what is found at state s, whose depth is given, and which ends at end.
func (t *tracker) find(s uint32, end int64, depth int) {
	if s != t.seen {
		t.seen, t.found = s, t.at(s)
	}
	start := end - int64(t.found.length)
	if t.broken.any() {
		start = t.broken.after(depth - t.found.length)
	}
	t.marks = addMark(t.marks, mark{start, end, t.found.name})
}
