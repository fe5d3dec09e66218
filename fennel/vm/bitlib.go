package vm

import (
	"math"
	"math/bits"
	"strconv"

	lua "github.com/yuin/gopher-lua"
)

// The bit library is LuaJIT's (https://bitop.luajit.org/semantics.html), since
// Lua 5.1 has no operators on bits: numbers wrap to 32 bits, results are signed.
// Fennel's band, bor, bxor, bnot, lshift and rshift use it.

func toBits(L *lua.LState, n int, fname string) uint32 {
	f := argNumber(L, n, fname)
	if f != f || math.IsInf(f, 0) {
		return 0
	}
	// Round to the nearest even, wrap modulo 2^32.
	m := math.Mod(math.RoundToEven(f), 1<<32)
	return uint32(int64(m))
}

func pushBits(L *lua.LState, v uint32) int {
	L.Push(lua.LNumber(int32(v)))
	return 1
}

func bitFold(name string, f func(a, b uint32) uint32) lua.LGFunction {
	return func(L *lua.LState) int {
		v := toBits(L, 1, name)
		for i := 2; i <= L.GetTop(); i++ {
			v = f(v, toBits(L, i, name))
		}
		return pushBits(L, v)
	}
}

func bitUnary(name string, f func(uint32) uint32) lua.LGFunction {
	return func(L *lua.LState) int { return pushBits(L, f(toBits(L, 1, name))) }
}

// bitShift uses the lower five bits of the distance.
func bitShift(name string, f func(v uint32, n int) uint32) lua.LGFunction {
	return func(L *lua.LState) int {
		v := toBits(L, 1, name)
		return pushBits(L, f(v, int(toBits(L, 2, name)&31)))
	}
}

// bitTohex writes so many digits (8 if not said), upper case if negative.
func bitTohex(L *lua.LState) int {
	v := toBits(L, 1, "tohex")
	n := optInt(L, 2, 8, "tohex")
	upper := n < 0
	if upper {
		n = -n
	}
	if n < 0 || n > 8 {
		n = 8
	}
	digits := "00000000" + strconv.FormatUint(uint64(v), 16)
	b := []byte(digits[len(digits)-n:])
	if upper {
		for i, c := range b {
			if c >= 'a' {
				b[i] = c - 'a' + 'A'
			}
		}
	}
	L.Push(lua.LString(b))
	return 1
}

var bitFuncs = library{
	{"tobit", bitUnary("tobit", func(v uint32) uint32 { return v })},
	{"bnot", bitUnary("bnot", func(v uint32) uint32 { return ^v })},
	{"bswap", bitUnary("bswap", bits.ReverseBytes32)},
	{"band", bitFold("band", func(a, b uint32) uint32 { return a & b })},
	{"bor", bitFold("bor", func(a, b uint32) uint32 { return a | b })},
	{"bxor", bitFold("bxor", func(a, b uint32) uint32 { return a ^ b })},
	{"lshift", bitShift("lshift", func(v uint32, n int) uint32 { return v << n })},
	{"rshift", bitShift("rshift", func(v uint32, n int) uint32 { return v >> n })},
	{"arshift", bitShift("arshift", func(v uint32, n int) uint32 { return uint32(int32(v) >> n) })},
	{"rol", bitShift("rol", func(v uint32, n int) uint32 { return bits.RotateLeft32(v, n) })},
	{"ror", bitShift("ror", func(v uint32, n int) uint32 { return bits.RotateLeft32(v, -n) })},
	{"tohex", bitTohex},
}
