package vm

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The string library, bytes in the C locale. string.format, find, match,
// gmatch and gsub have files of their own.

func stringLen(L *lua.LState) int {
	L.Push(lua.LNumber(len(argString(L, 1, "len"))))
	return 1
}

func stringSub(L *lua.LState) int {
	s := argString(L, 1, "sub")
	i, j := byteRange(argInt(L, 2, "sub"), optInt(L, 3, -1, "sub"), len(s))
	if i > j {
		L.Push(lua.LString(""))
	} else {
		L.Push(lua.LString(s[i-1 : j]))
	}
	return 1
}

// byteRange clips Lua's [i, j], counted from 1 or from the end if negative, to
// a string of n bytes.
func byteRange(i, j, n int) (int, int) {
	if i < 0 {
		i = max(i+n+1, 0)
	}
	if j < 0 {
		j = max(j+n+1, 0)
	}
	return max(i, 1), min(j, n)
}

// stringLower and stringUpper change ASCII letters only, as in the C locale;
// Go's own functions would change the bytes of UTF-8.
func stringLower(L *lua.LState) int {
	return mapBytes(L, argString(L, 1, "lower"), 'A', 'Z')
}

func stringUpper(L *lua.LState) int {
	return mapBytes(L, argString(L, 1, "upper"), 'a', 'z')
}

func mapBytes(L *lua.LState, s string, from, to byte) int {
	b := []byte(s)
	for i, c := range b {
		if c >= from && c <= to {
			b[i] = c ^ 0x20
		}
	}
	L.Push(lua.LString(b))
	return 1
}

func stringReverse(L *lua.LState) int {
	s := argString(L, 1, "reverse")
	b := make([]byte, len(s))
	for i := range b {
		b[i] = s[len(s)-1-i]
	}
	L.Push(lua.LString(b))
	return 1
}

// stringRep puts a separator between the copies, as Lua 5.2 and later do.
func stringRep(L *lua.LState) int {
	s := argString(L, 1, "rep")
	n := argInt(L, 2, "rep")
	sep := optString(L, 3, "", "rep")
	if n <= 0 || s == "" && sep == "" {
		L.Push(lua.LString(""))
		return 1
	}
	limit := limitsOf(L).String
	if n > limit/(len(s)+len(sep)) && n > 1 {
		// Not the product, which may not fit 64 bits.
		raisef(L, "string too long: %d times %d bytes, limit %d", n, len(s)+len(sep), limit)
	}
	checkLength(L, int64(len(s)), limit)
	L.Push(lua.LString(strings.Repeat(s+sep, n-1) + s))
	return 1
}

func stringByte(L *lua.LState) int {
	s := argString(L, 1, "byte")
	first := optInt(L, 2, 1, "byte")
	i, j := byteRange(first, optInt(L, 3, first, "byte"), len(s))
	if i > j {
		return 0
	}
	if j-i >= limitsOf(L).Unpack {
		raisef(L, "string slice too long: %d bytes, limit %d", j-i+1, limitsOf(L).Unpack)
	}
	for _, c := range []byte(s[i-1 : j]) {
		L.Push(lua.LNumber(c))
	}
	return j - i + 1
}

func stringChar(L *lua.LState) int {
	b := make([]byte, L.GetTop())
	for i := range b {
		c := argInt(L, i+1, "char")
		if c < 0 || c > 255 {
			argError(L, i+1, "char", "invalid value")
		}
		b[i] = byte(c)
	}
	L.Push(lua.LString(b))
	return 1
}

// stringDump: gopher-lua has no binary chunks.
func stringDump(L *lua.LState) int {
	argFunction(L, 1, "dump")
	raisef(L, "unable to dump given function")
	return 0
}

// stringGfind is the name of gmatch in Lua 5.0, which 5.1 keeps as a signpost.
func stringGfind(L *lua.LState) int {
	raisef(L, "'string.gfind' was renamed to 'string.gmatch'")
	return 0
}
