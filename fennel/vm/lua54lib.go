package vm

import (
	"math"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// What later Luas have and programs written for them look for. A state has it
// only if its options say so: lua5.1's programs find out by it where they run.

var laterTableFuncs = library{
	{"move", tableMove},
	{"pack", tablePack},
	{"unpack", baseUnpack},
}

var laterMathFuncs = library{
	{"tointeger", mathTointeger},
}

var utf8Funcs = library{
	{"char", utf8Char},
	{"codepoint", utf8Codepoint},
	{"codes", utf8Codes},
	{"len", utf8Len},
	{"offset", utf8Offset},
}

// utf8CharPattern matches one character of a valid text.
const utf8CharPattern = "[\x00-\x7F\xC2-\xFD][\x80-\xBF]*"

var sharedLater = []struct {
	name string
	fns  []sharedFunction
}{
	{"table", laterTableFuncs.shared()},
	{"math", laterMathFuncs.shared()},
	{"utf8", utf8Funcs.shared()},
}

// openLater adds the functions of later Luas to the libraries of a state.
func (m *machine) openLater(L *lua.LState, loaded *lua.LTable) {
	for _, lib := range sharedLater {
		t, ok := L.G.Global.RawGetString(lib.name).(*lua.LTable)
		if !ok {
			t = L.CreateTable(0, len(lib.fns)+1)
			t.RawSetString("charpattern", lua.LString(utf8CharPattern))
			m.openLibrary(L, lib.name, t, loaded)
		}
		fill(t, lib.fns)
	}
}

func tablePack(L *lua.LState) int {
	n := L.GetTop()
	t := L.CreateTable(n, 1)
	for i := 1; i <= n; i++ {
		t.RawSetInt(i, L.Get(i))
	}
	t.RawSetString("n", lua.LNumber(n))
	L.Push(t)
	return 1
}

// tableMove copies a1[f…e] to a2[t…], by metamethods, in the order that lets the
// two overlap.
func tableMove(L *lua.LState) int {
	from := argTable(L, 1, "move")
	f, e, t := argInt(L, 2, "move"), argInt(L, 3, "move"), argInt(L, 4, "move")
	to := from
	if L.Get(5) != lua.LNil {
		to = argTable(L, 5, "move")
	}
	if e >= f {
		if f <= 0 && e >= math.MaxInt+f {
			argError(L, 3, "move", "too many elements to move")
		}
		if t > math.MaxInt-(e-f) {
			argError(L, 4, "move", "destination wrap around")
		}
		one := func(i int) {
			if i%contextSteps == 0 {
				checkContext(L)
			}
			L.SetTable(to, lua.LNumber(t+i), L.GetTable(from, lua.LNumber(f+i)))
		}
		if t > e || t <= f || to != from {
			for i := 0; i <= e-f; i++ {
				one(i)
			}
		} else {
			for i := e - f; i >= 0; i-- {
				one(i)
			}
		}
	}
	L.Push(to)
	return 1
}

// contextSteps is how many steps a loop of the library makes between two looks
// at the state's context.
const contextSteps = 4096

// mathTointeger gives a number that is an integer as it is, and nil for anything
// else.
func mathTointeger(L *lua.LState) int {
	n, ok := argAny(L, 1, "tointeger").(lua.LNumber)
	f := float64(n)
	if !ok || f != math.Trunc(f) || math.IsInf(f, 0) || f < -1<<63 || f >= 1<<63 {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(n)
	return 1
}

func utf8Char(L *lua.LState) int {
	var out []byte
	for i := 1; i <= L.GetTop(); i++ {
		c := argInt(L, i, "char")
		if c < 0 || c > math.MaxInt32 {
			argError(L, i, "char", "value out of range")
		}
		out = appendCode(out, uint32(c))
	}
	L.Push(lua.LString(out))
	return 1
}

// appendCode writes a code of up to 31 bits as UTF-8 first defined it: Lua has
// no quarrel with surrogates, nor with six bytes.
func appendCode(out []byte, c uint32) []byte {
	if c < utf8.RuneSelf {
		return append(out, byte(c))
	}
	var tail []byte
	first := uint32(0x3f) // what fits into the first byte
	for c > first {
		tail = append(tail, byte(0x80|c&0x3f))
		c >>= 6
		first >>= 1
	}
	out = append(out, byte(^first<<1|c))
	for i := len(tail) - 1; i >= 0; i-- {
		out = append(out, tail[i])
	}
	return out
}

// decodeCode reads a character at the start of s: its code and its length in
// bytes, 0 if there is none. Strict is without surrogates and what is above
// U+10FFFF.
func decodeCode(s string, strict bool) (code uint32, size int) {
	c := uint32(s[0])
	if c < utf8.RuneSelf {
		return c, 1
	}
	limits := [...]uint32{math.MaxUint32, 0x80, 0x800, 0x10000, 0x200000, 0x4000000} // the least of each length
	n := 0
	for ; c&0x40 != 0; c <<= 1 {
		n++
		if n >= len(s) || s[n]&0xc0 != 0x80 {
			return 0, 0
		}
		code = code<<6 | uint32(s[n]&0x3f)
	}
	code |= (c & 0x7f) << (n * 5)
	if n == 0 || n >= len(limits) || code > math.MaxInt32 || code < limits[n] {
		return 0, 0
	}
	if strict && (code > utf8.MaxRune || code >= 0xd800 && code <= 0xdfff) {
		return 0, 0
	}
	return code, n + 1
}

// textPosition turns a position that may count from the end into one from the
// start; 0 if it lies before the text.
func textPosition(i, length int) int {
	switch {
	case i >= 0:
		return i
	case -i > length:
		return 0
	}
	return length + i + 1
}

func continues(s string, i int) bool { return i < len(s) && s[i]&0xc0 == 0x80 }

func utf8Len(L *lua.LState) int {
	s := argString(L, 1, "len")
	i := textPosition(optInt(L, 2, 1, "len"), len(s))
	j := textPosition(optInt(L, 3, -1, "len"), len(s))
	if i < 1 || i > len(s)+1 {
		argError(L, 2, "len", "initial position out of bounds")
	}
	if j > len(s) {
		argError(L, 3, "len", "final position out of bounds")
	}
	strict := !lua.LVAsBool(L.Get(4))
	n := 0
	for p := i - 1; p < j; n++ {
		_, size := decodeCode(s[p:], strict)
		if size == 0 {
			L.Push(lua.LNil)
			L.Push(lua.LNumber(p + 1))
			return 2
		}
		p += size
	}
	L.Push(lua.LNumber(n))
	return 1
}

func utf8Codepoint(L *lua.LState) int {
	s := argString(L, 1, "codepoint")
	first := optInt(L, 2, 1, "codepoint")
	i := textPosition(first, len(s))
	j := textPosition(optInt(L, 3, first, "codepoint"), len(s))
	if i < 1 {
		argError(L, 2, "codepoint", "out of bounds")
	}
	if j > len(s) {
		argError(L, 3, "codepoint", "out of bounds")
	}
	if j-i >= limitsOf(L).Unpack {
		raisef(L, "string slice too long: %d bytes, limit %d", j-i+1, limitsOf(L).Unpack)
	}
	strict := !lua.LVAsBool(L.Get(4))
	n := 0
	for p := i - 1; p < j; n++ {
		code, size := decodeCode(s[p:], strict)
		if size == 0 {
			raisef(L, "invalid UTF-8 code")
		}
		L.Push(lua.LNumber(code))
		p += size
	}
	return n
}

// utf8Offset is where the n-th character from position i begins.
func utf8Offset(L *lua.LState) int {
	s := argString(L, 1, "offset")
	n := argInt(L, 2, "offset")
	i := 1
	if n <= 0 {
		i = len(s) + 1
	}
	i = textPosition(optInt(L, 3, i, "offset"), len(s))
	if i < 1 || i > len(s)+1 {
		argError(L, 3, "offset", "position out of bounds")
	}
	p := i - 1
	if n == 0 {
		for p > 0 && continues(s, p) {
			p--
		}
		L.Push(lua.LNumber(p + 1))
		return 1
	}
	if continues(s, p) {
		raisef(L, "initial position is a continuation byte")
	}
	if n < 0 {
		for ; n < 0 && p > 0; n++ {
			p--
			for p > 0 && continues(s, p) {
				p--
			}
		}
	} else {
		for n--; n > 0 && p < len(s); n-- {
			p++
			for continues(s, p) {
				p++
			}
		}
	}
	if n != 0 {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LNumber(p + 1))
	return 1
}

var (
	codesStrict = &lua.LFunction{IsG: true, GFunction: nextCode(true)}
	codesLax    = &lua.LFunction{IsG: true, GFunction: nextCode(false)}
)

// utf8Codes is an iterator of positions and codes. It keeps nothing: the text
// and the last position are handed to it.
func utf8Codes(L *lua.LState) int {
	s := argString(L, 1, "codes")
	if continues(s, 0) {
		argError(L, 1, "codes", "invalid UTF-8 code")
	}
	if lua.LVAsBool(L.Get(2)) {
		L.Push(codesLax)
	} else {
		L.Push(codesStrict)
	}
	L.Push(lua.LString(s))
	L.Push(lua.LNumber(0))
	return 3
}

func nextCode(strict bool) lua.LGFunction {
	return func(L *lua.LState) int {
		s := argString(L, 1, "for iterator")
		p := max(argInt(L, 2, "for iterator"), 0) // of the last character from 1, which is the next byte from 0
		for continues(s, p) {
			p++
		}
		if p >= len(s) {
			return 0
		}
		code, size := decodeCode(s[p:], strict)
		if size == 0 || continues(s, p+size) {
			raisef(L, "invalid UTF-8 code")
		}
		L.Push(lua.LNumber(p + 1))
		L.Push(lua.LNumber(code))
		return 2
	}
}
