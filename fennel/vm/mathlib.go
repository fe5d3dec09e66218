package vm

import (
	"math"
	"math/rand"

	lua "github.com/yuin/gopher-lua"
)

// float1 makes a library function of a function of one number.
func float1(name string, f func(float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		L.Push(lua.LNumber(f(argNumber(L, 1, name))))
		return 1
	}
}

func float2(name string, f func(a, b float64) float64) lua.LGFunction {
	return func(L *lua.LState) int {
		a := argNumber(L, 1, name)
		L.Push(lua.LNumber(f(a, argNumber(L, 2, name))))
		return 1
	}
}

func mathFrexp(L *lua.LState) int {
	frac, exp := math.Frexp(argNumber(L, 1, "frexp"))
	L.Push(lua.LNumber(frac))
	L.Push(lua.LNumber(exp))
	return 2
}

func mathLdexp(L *lua.LState) int {
	f := argNumber(L, 1, "ldexp")
	L.Push(lua.LNumber(math.Ldexp(f, argInt(L, 2, "ldexp"))))
	return 1
}

// mathModf keeps C's results for infinity: itself and zero.
func mathModf(L *lua.LState) int {
	f := argNumber(L, 1, "modf")
	whole, frac := math.Modf(f)
	if math.IsInf(f, 0) {
		whole, frac = f, math.Copysign(0, f)
	}
	L.Push(lua.LNumber(whole))
	L.Push(lua.LNumber(frac))
	return 2
}

func mathMax(L *lua.LState) int {
	best := argNumber(L, 1, "max")
	for i := 2; i <= L.GetTop(); i++ {
		if v := argNumber(L, i, "max"); v > best {
			best = v
		}
	}
	L.Push(lua.LNumber(best))
	return 1
}

func mathMin(L *lua.LState) int {
	best := argNumber(L, 1, "min")
	for i := 2; i <= L.GetTop(); i++ {
		if v := argNumber(L, i, "min"); v < best {
			best = v
		}
	}
	L.Push(lua.LNumber(best))
	return 1
}

// random is a state's generator. Each state starts with the same seed, as C's
// rand does: a program that does not call randomseed repeats itself.
type random struct{ *rand.Rand }

func (m *machine) rand() *random {
	if m.random == nil {
		m.random = &random{rand.New(rand.NewSource(1))}
	}
	return m.random
}

func mathRandom(L *lua.LState) int {
	m := machineOf(L)
	r := m.rand().Float64()
	switch L.GetTop() {
	case 0:
	case 1:
		hi := argInt(L, 1, "random")
		if hi < 1 {
			argError(L, 1, "random", "interval is empty")
		}
		r = math.Floor(r*float64(hi)) + 1
	case 2:
		lo, hi := argInt(L, 1, "random"), argInt(L, 2, "random")
		if lo > hi {
			argError(L, 2, "random", "interval is empty")
		}
		r = math.Floor(r*(float64(hi)-float64(lo)+1)) + float64(lo)
	default:
		raisef(L, "wrong number of arguments")
	}
	L.Push(lua.LNumber(r))
	return 1
}

func mathRandomseed(L *lua.LState) int {
	machineOf(L).rand().Seed(int64(argInt(L, 1, "randomseed")))
	return 0
}
