package secret

// scanner follows one stream through a matcher and says what in it is secret,
// and up to where that is decided. Places are offsets in the stream.
type scanner struct {
	m   *matcher
	pos int64 // of the next byte

	plain   uint32 // state
	encoded uint32 // state
	enc     broken // where the encoded candidate lies

	marks []mark // found and not yet taken; in order and apart
	floor int64  // marks do not reach below: that has been written
}

// mark is a stretch of the stream that becomes {{ name }}.
type mark struct {
	start, end int64
	name       string
}

// scan reads the stream's next bytes.
func (s *scanner) scan(data []byte) {
	base := s.pos
	i, limit := 0, base
	for {
		i = s.follow(data, base, i, limit)
		if i == len(data) {
			break
		}
		// Every candidate that is left begins at or after from, which is in data.
		from := int(s.candidate() - base)
		p := s.m.filter.next(data, from+window)
		if restart := p - window; restart > i {
			s.pos = base + int64(restart)
			s.forget()
			i = restart
		}
		limit = base + int64(p) + 1
		if p+window > len(data) {
			limit = base + int64(len(data)) + 1 // to the end
		}
	}
	s.pos = base + int64(len(data))
}

// forget drops all candidates.
func (s *scanner) forget() {
	s.plain, s.encoded = 0, 0
	s.enc.clear()
}

// candidate is where the first text begins that may yet become a secret; pos
// if none does.
func (s *scanner) candidate() int64 {
	return min(s.pos-int64(s.m.plain.nodes[s.plain].depth()), s.encodedStart())
}

func (s *scanner) encodedStart() int64 {
	if s.enc.any() {
		return s.enc.start
	}
	return s.pos - int64(s.m.encoded.nodes[s.encoded].depth())
}

// undecided is the place up to which the stream may be written. It is
// candidate, with one exception: a line end after fewer than breakDepth
// characters that could begin an encoded secret. Nearly every line of text ends
// so, and who watches would get each line's end only with the next line. If it
// does turn out to be a secret, and a write ended exactly there, these
// characters (at most 2 bytes of the value) have been written.
func (s *scanner) undecided() int64 {
	plain := s.pos - int64(s.m.plain.nodes[s.plain].depth())
	if s.enc.any() && s.m.encoded.nodes[s.encoded].depth() < breakDepth {
		return plain
	}
	return min(plain, s.encodedStart())
}

const breakDepth = 4

// follow runs both automata over data[i:] until no candidate begins before
// limit, or data ends, and returns where it stopped. base is data's place.
func (s *scanner) follow(data []byte, base int64, i int, limit int64) int {
	plain, encoded := s.m.plain, s.m.encoded
	p, e := s.plain, s.encoded
	for i < len(data) {
		pos := base + int64(i)
		if pos-int64(plain.nodes[p].depth()) >= limit && pos-int64(encoded.nodes[e].depth()) >= limit {
			s.pos, s.plain, s.encoded = pos, p, e
			if s.encodedStart() >= limit {
				return i
			}
		}
		c := data[i]
		i++

		if p < plain.wide {
			p = plain.rows[p<<8|uint32(c)]
		} else if n := plain.nodes[p].meta; byte(n) == c && n&flagLeaf == 0 {
			p++
		} else {
			p = plain.next(p, c)
		}
		if plain.nodes[p].meta&flagFound != 0 {
			f := plain.found(p)
			s.mark(mark{pos + 1 - int64(f.length), pos + 1, f.name})
		}

		c = foldTable[c]
		if c <= lineSpace {
			if e != 0 && !(c == lineSpace && s.enc.skip(data[i-1], pos, encoded.nodes[e].depth())) {
				e = 0
				s.enc.clear()
			}
			continue
		}
		before := e
		if e < encoded.wide {
			e = encoded.rows[e<<8|uint32(c)]
		} else if n := encoded.nodes[e].meta; byte(n) == c && n&flagLeaf == 0 {
			e++
		} else {
			e = encoded.next(e, c)
		}
		if s.enc.any() {
			s.enc.step(pos, encoded.nodes[before].depth(), encoded.nodes[e].depth())
		}
		if encoded.nodes[e].meta&flagFound != 0 {
			f := encoded.found(e)
			start := pos + 1 - int64(f.length)
			if s.enc.any() {
				start = s.enc.after(encoded.nodes[e].depth() - f.length)
			}
			s.mark(mark{start, pos + 1, f.name})
		}
	}
	s.pos, s.plain, s.encoded = base+int64(i), p, e
	return i
}

// mark adds a find, and makes one of it and those it overlaps.
func (s *scanner) mark(m mark) {
	m.start = max(m.start, s.floor)
	for n := len(s.marks); n > 0; n = len(s.marks) {
		last := s.marks[n-1]
		if last.end <= m.start {
			break
		}
		m.start, m.end = min(m.start, last.start), max(m.end, last.end)
		m.name = betterName(m.name, last.name)
		s.marks = s.marks[:n-1]
	}
	s.marks = append(s.marks, m)
}
