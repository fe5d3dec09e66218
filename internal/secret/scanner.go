package secret

// scanner follows one stream through a matcher, and says what in it is secret
// and up to where that is decided.
type scanner struct {
	m      *matcher
	plain  tracker
	joined joined

	marks []mark // found and not yet taken; in order and apart
	spare []mark
	floor int64 // marks do not reach below: that has been written
}

// use sets out to look for what m knows, from pos on.
func (s *scanner) use(m *matcher, pos int64) {
	s.m = m
	s.plain = tracker{index: m.plain, pos: pos}
	s.joined = joined{tracker: tracker{index: m.joined, pos: pos}, pos: pos}
}

// scan reads the stream's next bytes.
func (s *scanner) scan(data []byte) {
	s.plain.scan(data)
	s.joined.scan(data)
	s.marks = s.collect(s.marks, s.plain.marks)
	s.marks = s.collect(s.marks, s.joined.marks)
	s.plain.marks, s.joined.marks = s.plain.marks[:0], s.joined.marks[:0]
}

// forget drops all candidates: the stream ends, or goes on elsewhere.
func (s *scanner) forget() {
	s.plain.forget()
	s.joined.forget()
}

// undecided is the place up to which the stream may be written: where the first
// candidate begins, with one exception. A line end after fewer than breakDepth
// characters that could begin a secret does not hold them: nearly every line of
// text ends so, and who watches would get each line's end only with the next
// line. If it does turn out to be a secret, and a write ended just behind that
// line end, these characters have been written.
func (s *scanner) undecided() int64 {
	joined := s.joined.candidate()
	if s.joined.atBreak() && s.joined.depth() < breakDepth {
		joined = s.joined.pos
	}
	return min(s.plain.candidate(), joined)
}

const breakDepth = 4

// mark is a stretch of the stream that becomes {{ name }}.
type mark struct {
	start, end int64
	name       string
}

// addMark adds a mark that ends after all of marks do, and makes one of it and
// those it overlaps.
func addMark(marks []mark, m mark) []mark {
	for n := len(marks); n > 0; n = len(marks) {
		last := marks[n-1]
		if last.end <= m.start {
			break
		}
		m.start, m.end = min(m.start, last.start), max(m.end, last.end)
		m.name = betterName(m.name, last.name)
		marks = marks[:n-1]
	}
	return append(marks, m)
}

// collect merges two lists of marks. The result is in a's place or in spare's.
func (s *scanner) collect(a, b []mark) []mark {
	if len(b) == 0 {
		return a
	}
	out := s.spare[:0]
	for i, j := 0, 0; i < len(a) || j < len(b); {
		var m mark
		if j == len(b) || i < len(a) && a[i].end <= b[j].end {
			m = a[i]
			i++
		} else {
			m = b[j]
			j++
		}
		m.start = max(m.start, s.floor)
		out = addMark(out, m)
	}
	s.spare = a
	return out
}
