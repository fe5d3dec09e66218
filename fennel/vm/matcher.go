package vm

// A matcher runs a pattern over one subject. All of one library call (every
// match of a gsub) shares one, so that its steps add up.
type matcher struct {
	p       *pattern
	src     string
	capture [maxCaptures]span

	steps    int // single comparisons left
	limit    int
	untilAsk int          // comparisons until ask is called again
	ask      func() error // tells whether to go on
	depth    int
	err      error // set once; matching then only unwinds
}

// span is a capture: the bytes [start, end), or a position if end is capPosition.
type span struct{ start, end int }

const capPosition = -1

const (
	// maxMatchDepth bounds Go's stack: every repetition in a pattern may be one
	// level deeper. No pattern that a person wrote has so many.
	maxMatchDepth = 20_000
	// stepsPerAsk comparisons take some hundred microseconds.
	stepsPerAsk = 1 << 16
)

func newMatcher(p *pattern, src string, steps int, ask func() error) *matcher {
	return &matcher{p: p, src: src, steps: steps, limit: steps, untilAsk: stepsPerAsk, ask: ask}
}

// spend takes n steps and reports whether there were as many.
func (m *matcher) spend(n int) bool {
	m.steps -= n
	m.untilAsk -= n
	if m.steps < 0 {
		m.fail(tooComplexError{m.limit})
		return false
	}
	if m.untilAsk < 0 {
		m.untilAsk = stepsPerAsk
		if err := m.ask(); err != nil {
			m.fail(err)
			return false
		}
	}
	return m.err == nil
}

func (m *matcher) fail(err error) {
	if m.err == nil {
		m.err = err
	}
}

// at matches the pattern at byte s of the subject: the end of the match, or -1.
// Captures are never undone on backtracking: an item that matches again writes
// again, and everything behind a choice is matched after it.
func (m *matcher) at(s int) int { return m.match(s, 0) }

func (m *matcher) match(s, i int) int {
	if m.depth >= maxMatchDepth {
		m.fail(faultError("pattern too complex: too many repetitions"))
		return -1
	}
	m.depth++
	end := m.run(s, i)
	m.depth--
	return end
}

func (m *matcher) run(s, i int) int {
	for {
		if !m.spend(1) {
			return -1
		}
		it := &m.p.items[i]
		switch it.kind {
		case itemDone:
			return s
		case itemOpen:
			m.capture[it.n].start = s
		case itemClose:
			m.capture[it.n].end = s
		case itemPosition:
			m.capture[it.n] = span{s, capPosition}
		case itemEnd:
			if s != len(m.src) {
				return -1
			}
		case itemBackref:
			if s = m.backref(it, s); s < 0 {
				return -1
			}
		case itemBalance:
			if s = m.balance(it, s); s < 0 {
				return -1
			}
		case itemFrontier:
			if !m.frontier(it, s) {
				return -1
			}
		case itemFault:
			m.fail(faultError(it.fault))
			return -1
		default:
			switch it.rep {
			case 0:
				if s >= len(m.src) || !it.matches(m.src[s]) {
					return -1
				}
				s++
			case '?':
				if s < len(m.src) && it.matches(m.src[s]) {
					if end := m.match(s+1, i+1); end >= 0 || m.err != nil {
						return end
					}
				}
			case '-':
				for {
					if end := m.match(s, i+1); end >= 0 || m.err != nil {
						return end
					}
					if s >= len(m.src) || !it.matches(m.src[s]) {
						return -1
					}
					s++
				}
			case '*', '+':
				return m.longest(it, s, i)
			}
		}
		i++
	}
}

func (it *item) matches(c byte) bool {
	switch it.kind {
	case itemByte:
		return it.c == c
	case itemSet:
		return it.set.has(c)
	}
	return true
}

func (m *matcher) longest(it *item, s, i int) int {
	least := s
	if it.rep == '+' {
		least++
	}
	e := s
	if it.kind == itemAny {
		e = len(m.src)
	} else {
		for e < len(m.src) && it.matches(m.src[e]) {
			e++
		}
	}
	// Eight bytes of a run cost about as much as one step elsewhere.
	if !m.spend((e - s) / 8) {
		return -1
	}
	if e >= least && m.p.items[i+1].kind == itemDone {
		return e
	}
	for ; e >= least; e-- {
		if end := m.match(e, i+1); end >= 0 || m.err != nil {
			return end
		}
	}
	return -1
}

func (m *matcher) backref(it *item, s int) int {
	c := m.capture[it.n]
	if c.end == capPosition {
		// lua5.1 compares with a length of minus two and never matches.
		return -1
	}
	want := m.src[c.start:c.end]
	if !m.spend(len(want) / 8) {
		return -1
	}
	if len(m.src)-s < len(want) || m.src[s:s+len(want)] != want {
		return -1
	}
	return s + len(want)
}

func (m *matcher) balance(it *item, s int) int {
	if s >= len(m.src) || m.src[s] != it.c {
		return -1
	}
	depth := 1
	for e := s + 1; e < len(m.src); e++ {
		switch m.src[e] {
		case it.d:
			if depth--; depth == 0 {
				m.spend((e - s) / 4)
				return e + 1
			}
		case it.c:
			depth++
		}
	}
	m.spend((len(m.src) - s) / 4)
	return -1
}

func (m *matcher) frontier(it *item, s int) bool {
	var before, after byte // NUL outside the subject
	if s > 0 {
		before = m.src[s-1]
	}
	if s < len(m.src) {
		after = m.src[s]
	}
	return !it.set.has(before) && it.set.has(after)
}
