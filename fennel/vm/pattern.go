package vm

import (
	"fmt"
	"strings"
)

// A pattern is Lua 5.1's, compiled to a list of items that are matched one
// after another; there are no alternatives in a Lua pattern, so that which
// capture an item opens or closes is known before matching.
//
// Lua finds fault with a pattern only when matching arrives at the fault:
// ("a"):find("b[") is nil. Such a fault is an item as well.
type pattern struct {
	items    []item
	ncapture int
	open     []bool // captures that the pattern never closes
	literal  bool   // no magic character at all
	source   string
}

type itemKind uint8

const (
	itemDone itemKind = iota
	itemByte
	itemAny
	itemSet
	itemOpen     // (
	itemClose    // )
	itemPosition // ()
	itemBackref  // %1
	itemBalance  // %bxy
	itemFrontier // %f[set]
	itemEnd      // $
	itemFault
)

type item struct {
	kind  itemKind
	rep   byte // 0, '*', '+', '-' or '?'
	c     byte // the byte; the opening one of %b
	d     byte // the closing one of %b
	n     int  // capture
	set   *byteSet
	fault string
}

type byteSet [4]uint64

func (s *byteSet) has(c byte) bool { return s[c>>6]&(1<<(c&63)) != 0 }
func (s *byteSet) add(c byte)      { s[c>>6] |= 1 << (c & 63) }
func (s *byteSet) addAll(o *byteSet) {
	for i := range s {
		s[i] |= o[i]
	}
}
func (s *byteSet) invert() {
	for i := range s {
		s[i] = ^s[i]
	}
}

// maxCaptures is LUA_MAXCAPTURES.
const maxCaptures = 32

// magic are the characters that mean more than themselves.
const magic = "^$*+?.([%-"

// compilePattern compiles all of src. A leading ^ is the caller's business:
// gmatch takes it as a character, the others as an anchor.
func compilePattern(src string) *pattern {
	p := &pattern{source: src, literal: !strings.ContainsAny(src, magic)}
	c := patternCompiler{p: p, src: src}
	for c.i < len(c.src) && !c.faulty {
		c.next()
	}
	if !c.faulty {
		p.items = append(p.items, item{kind: itemDone})
	}
	p.open = make([]bool, p.ncapture)
	for _, n := range c.stack {
		p.open[n] = true
	}
	return p
}

type patternCompiler struct {
	p      *pattern
	src    string
	i      int
	stack  []int // captures that are open here
	closed [maxCaptures]bool
	faulty bool
}

func (c *patternCompiler) emit(it item) { c.p.items = append(c.p.items, it) }

func (c *patternCompiler) fault(msg string) {
	c.emit(item{kind: itemFault, fault: msg})
	c.faulty = true
}

func (c *patternCompiler) next() {
	switch ch := c.src[c.i]; ch {
	case '(':
		c.openCapture()
	case ')':
		c.i++
		if len(c.stack) == 0 {
			c.fault("invalid pattern capture")
			return
		}
		n := c.stack[len(c.stack)-1]
		c.stack = c.stack[:len(c.stack)-1]
		c.closed[n] = true
		c.emit(item{kind: itemClose, n: n})
	case '$':
		if c.i+1 == len(c.src) {
			c.i++
			c.emit(item{kind: itemEnd})
			return
		}
		c.single()
	case '%':
		if c.i+1 < len(c.src) {
			switch d := c.src[c.i+1]; {
			case d == 'b':
				c.balance()
				return
			case d == 'f':
				c.frontier()
				return
			case d >= '0' && d <= '9':
				c.i += 2
				n := int(d) - '1'
				if n < 0 || n >= c.p.ncapture || !c.closed[n] {
					c.fault("invalid capture index")
					return
				}
				c.emit(item{kind: itemBackref, n: n})
				return
			}
		}
		c.single()
	default:
		c.single()
	}
}

func (c *patternCompiler) openCapture() {
	c.i++
	n := c.p.ncapture
	if n >= maxCaptures {
		c.fault("too many captures")
		return
	}
	c.p.ncapture++
	if c.i < len(c.src) && c.src[c.i] == ')' {
		c.i++
		c.closed[n] = true
		c.emit(item{kind: itemPosition, n: n})
		return
	}
	c.stack = append(c.stack, n)
	c.emit(item{kind: itemOpen, n: n})
}

func (c *patternCompiler) balance() {
	if c.i+3 >= len(c.src) {
		c.fault("unbalanced pattern")
		return
	}
	c.emit(item{kind: itemBalance, c: c.src[c.i+2], d: c.src[c.i+3]})
	c.i += 4
}

func (c *patternCompiler) frontier() {
	c.i += 2
	if c.i >= len(c.src) || c.src[c.i] != '[' {
		c.fault("missing '[' after '%f' in pattern")
		return
	}
	set, ok := c.set()
	if !ok {
		return
	}
	c.emit(item{kind: itemFrontier, set: set})
}

// single reads what matches one byte, and the repetition behind it.
func (c *patternCompiler) single() {
	it := item{kind: itemByte, c: c.src[c.i]}
	switch it.c {
	case '.':
		it.kind = itemAny
		c.i++
	case '[':
		set, ok := c.set()
		if !ok {
			return
		}
		it.kind, it.set = itemSet, set
	case '%':
		if c.i+1 == len(c.src) {
			c.fault("malformed pattern (ends with '%')")
			return
		}
		it.c = c.src[c.i+1]
		if set := classSet(it.c); set != nil {
			it.kind, it.set = itemSet, set
		}
		c.i += 2
	default:
		c.i++
	}
	if c.i < len(c.src) {
		switch r := c.src[c.i]; r {
		case '*', '+', '-', '?':
			it.rep = r
			c.i++
		}
	}
	c.emit(it)
}

// set reads [...]. Its end is looked for first, as Lua does: a range may not
// swallow the closing bracket.
func (c *patternCompiler) set() (*byteSet, bool) {
	i := c.i + 1
	negated := i < len(c.src) && c.src[i] == '^'
	if negated {
		i++
	}
	first := i
	for {
		if i >= len(c.src) {
			c.fault("malformed pattern (missing ']')")
			return nil, false
		}
		ch := c.src[i]
		i++
		if ch == '%' && i < len(c.src) {
			i++
		}
		if i < len(c.src) && c.src[i] == ']' {
			break
		}
	}
	end := i
	c.i = end + 1
	set := new(byteSet)
	for i = first; i < end; i++ {
		switch {
		case c.src[i] == '%' && i+1 < end:
			i++
			if cl := classSet(c.src[i]); cl != nil {
				set.addAll(cl)
			} else {
				set.add(c.src[i])
			}
		case i+2 < end && c.src[i+1] == '-':
			for b := int(c.src[i]); b <= int(c.src[i+2]); b++ {
				set.add(byte(b))
			}
			i += 2
		default:
			set.add(c.src[i])
		}
	}
	if negated {
		set.invert()
	}
	return set, true
}

// classes holds the character classes of the C locale, by their letter.
var classes = buildClasses()

func classSet(letter byte) *byteSet { return classes[letter] }

func buildClasses() (out [256]*byteSet) {
	between := func(lo, hi byte) func(byte) bool {
		return func(c byte) bool { return c >= lo && c <= hi }
	}
	lower, upper, digit := between('a', 'z'), between('A', 'Z'), between('0', '9')
	alpha := func(c byte) bool { return lower(c) || upper(c) }
	alnum := func(c byte) bool { return alpha(c) || digit(c) }
	for letter, in := range map[byte]func(byte) bool{
		'a': alpha,
		'c': func(c byte) bool { return c < 32 || c == 127 },
		'd': digit,
		'l': lower,
		'p': func(c byte) bool { return c > 32 && c < 127 && !alnum(c) },
		's': func(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' },
		'u': upper,
		'w': alnum,
		'x': func(c byte) bool { return digit(c) || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F' },
		'z': func(c byte) bool { return c == 0 },
	} {
		set := new(byteSet)
		for c := 0; c < 256; c++ {
			if in(byte(c)) {
				set.add(byte(c))
			}
		}
		out[letter] = set
		not := *set
		not.invert()
		out[letter-'a'+'A'] = &not
	}
	return out
}

// faultError is what is wrong with a pattern, found while matching.
type faultError string

func (e faultError) Error() string { return string(e) }

// tooComplexError says that matching was given up.
type tooComplexError struct{ steps int }

func (e tooComplexError) Error() string {
	return fmt.Sprintf("pattern too complex: gave up after %d steps", e.steps)
}
