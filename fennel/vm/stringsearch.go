package vm

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// search is one library call over a subject.
type search struct {
	*matcher
	L        *lua.LState
	fname    string
	anchored bool
}

func newSearch(L *lua.LState, fname, src, pat string, anchors bool) *search {
	s := &search{L: L, fname: fname}
	if anchors && strings.HasPrefix(pat, "^") {
		s.anchored = true
		pat = pat[1:]
	}
	s.matcher = newMatcher(patternFor(pat), src, limitsOf(L).PatternSteps, func() error {
		if ctx := L.Context(); ctx != nil {
			return ctx.Err()
		}
		return nil
	})
	return s
}

// matchAt is at, with the faults of the pattern raised.
func (s *search) matchAt(i int) int {
	end := s.at(i)
	if s.err != nil {
		raisef(s.L, "%s", s.err.Error())
	}
	return end
}

// from finds the first match at or behind byte i: its bounds, or -1.
func (s *search) from(i int) (start, end int) {
	first := s.p.items[0]
	for ; i <= len(s.src); i++ {
		if first.kind == itemByte && first.rep == 0 && !s.anchored {
			// Nothing can match before the byte that the pattern starts with.
			k := strings.IndexByte(s.src[i:], first.c)
			if k < 0 {
				return -1, -1
			}
			i += k
		}
		if e := s.matchAt(i); e >= 0 {
			return i, e
		}
		if s.anchored {
			break
		}
	}
	return -1, -1
}

// value is capture n of a match at [start, end). A pattern without captures has
// the whole match as its first.
func (s *search) value(n, start, end int) lua.LValue {
	if n >= s.p.ncapture {
		if n == 0 {
			return lua.LString(s.src[start:end])
		}
		raisef(s.L, "invalid capture index")
	}
	if s.p.open[n] {
		raisef(s.L, "unfinished capture")
	}
	c := s.capture[n]
	if c.end == capPosition {
		return lua.LNumber(c.start + 1)
	}
	return lua.LString(s.src[c.start:c.end])
}

// push pushes all captures, or the whole match if there are none and whole.
func (s *search) push(start, end int, whole bool) int {
	n := s.p.ncapture
	if n == 0 && whole {
		n = 1
	}
	for i := 0; i < n; i++ {
		s.L.Push(s.value(i, start, end))
	}
	return n
}

func stringFind(L *lua.LState) int  { return findOrMatch(L, "find", true) }
func stringMatch(L *lua.LState) int { return findOrMatch(L, "match", false) }

func findOrMatch(L *lua.LState, fname string, find bool) int {
	src := argString(L, 1, fname)
	pat := argString(L, 2, fname)
	init := startIndex(optInt(L, 3, 1, fname), len(src))
	if find && (lua.LVAsBool(L.Get(4)) || !strings.ContainsAny(pat, magic)) {
		k := strings.Index(src[init:], pat)
		if k < 0 {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LNumber(init + k + 1))
		L.Push(lua.LNumber(init + k + len(pat)))
		return 2
	}
	s := newSearch(L, fname, src, pat, true)
	start, end := s.from(init)
	if start < 0 {
		L.Push(lua.LNil)
		return 1
	}
	if !find {
		return s.push(start, end, true)
	}
	L.Push(lua.LNumber(start + 1))
	L.Push(lua.LNumber(end))
	return 2 + s.push(start, end, false)
}

// startIndex turns Lua's init (from 1, or from the end if negative) into a byte
// offset inside the subject.
func startIndex(init, n int) int {
	if init < 0 {
		init += n + 1
	}
	return min(max(init-1, 0), n)
}

func stringGmatch(L *lua.LState) int {
	src := argString(L, 1, "gmatch")
	pat := argString(L, 2, "gmatch")
	pos := 0
	L.Push(L.NewFunction(func(L *lua.LState) int {
		// Each step has a budget of its own: between steps Lua code runs, which
		// the context can stop.
		s := newSearch(L, "gmatch", src, pat, false)
		if pos > len(src) {
			return 0
		}
		start, end := s.from(pos)
		if start < 0 {
			pos = len(src) + 1
			return 0
		}
		pos = end
		if end == start {
			pos++
		}
		return s.push(start, end, true)
	}))
	return 1
}
