package secret

// tracker follows one text through one automaton. Places are offsets in that
// text.
type tracker struct {
	index

	pos   int64 // of the next byte
	state uint32
	marks []mark // found since they were last taken; in order and apart

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

// scan reads the text's next bytes.
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
func (t *tracker) forget() { t.state = 0 }

func (t *tracker) depth() int { return t.nodes[t.state].depth() }

// candidate is where the first text begins that may yet become a secret; pos
// if none does.
func (t *tracker) candidate() int64 { return t.pos - int64(t.depth()) }

// follow runs the automaton over data[i:] until no candidate begins before
// limit, or data ends, and returns where it stopped. base is data's place.
func (t *tracker) follow(data []byte, base int64, i int, limit int64) int {
	nodes, rows, wide, fold := t.nodes, t.rows, t.wide, t.fold
	s, until := t.state, int(limit-base)
	n := nodes[s].meta
	for i < len(data) && i-int(n>>depthBits) < until {
		c := fold[data[i]]
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
				t.find(s, end)
			}
		}
	}
	t.pos, t.state = base+int64(i), s
	return i
}

// find marks what is found at state s, which ends at end.
func (t *tracker) find(s uint32, end int64) {
	if s != t.seen {
		t.seen, t.found = s, t.at(s)
	}
	t.marks = addMark(t.marks, mark{end - int64(t.found.length), end, t.found.name})
}
