package vm

import (
	"fmt"
	"math"

	lua "github.com/yuin/gopher-lua"
)

// The functions here read arguments with Lua 5.1's conversions (a number where
// a string is wanted, a numeral where a number is) and raise its messages:
//
//	bad argument #1 to 'rep' (number expected, got no value)
//
// gopher-lua's own Check functions neither quote the name nor convert.

func argError(L *lua.LState, n int, fname, msg string) {
	raisef(L, "bad argument #%d to '%s' (%s)", n, fname, msg)
}

func typeError(L *lua.LState, n int, fname, want string) {
	argError(L, n, fname, fmt.Sprintf("%s expected, got %s", want, typeNameAt(L, n)))
}

func typeNameAt(L *lua.LState, n int) string {
	if n > L.GetTop() {
		return "no value"
	}
	return L.Get(n).Type().String()
}

func argAny(L *lua.LState, n int, fname string) lua.LValue {
	if n > L.GetTop() {
		argError(L, n, fname, "value expected")
	}
	return L.Get(n)
}

func argString(L *lua.LState, n int, fname string) string {
	switch v := L.Get(n).(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return FormatNumber(float64(v))
	}
	typeError(L, n, fname, "string")
	return ""
}

func optString(L *lua.LState, n int, def, fname string) string {
	if L.Get(n) == lua.LNil {
		return def
	}
	return argString(L, n, fname)
}

func argNumber(L *lua.LState, n int, fname string) float64 {
	switch v := L.Get(n).(type) {
	case lua.LNumber:
		return float64(v)
	case lua.LString:
		if f, ok := ParseNumber(string(v)); ok {
			return f
		}
	}
	typeError(L, n, fname, "number")
	return 0
}

func argInt(L *lua.LState, n int, fname string) int {
	return toInt(argNumber(L, n, fname))
}

func optInt(L *lua.LState, n, def int, fname string) int {
	if L.Get(n) == lua.LNil {
		return def
	}
	return argInt(L, n, fname)
}

func argTable(L *lua.LState, n int, fname string) *lua.LTable {
	if t, ok := L.Get(n).(*lua.LTable); ok {
		return t
	}
	typeError(L, n, fname, "table")
	return nil
}

func argFunction(L *lua.LState, n int, fname string) *lua.LFunction {
	if f, ok := L.Get(n).(*lua.LFunction); ok {
		return f
	}
	typeError(L, n, fname, "function")
	return nil
}

// toInt cuts a float to an int as C's cast does on amd64, except that values
// out of range saturate: Go leaves those to the machine.
func toInt(f float64) int {
	switch {
	case f != f:
		return math.MinInt
	case f >= math.MaxInt:
		return math.MaxInt
	case f <= math.MinInt:
		return math.MinInt
	}
	return int(f)
}
