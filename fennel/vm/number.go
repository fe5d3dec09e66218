package vm

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// FormatNumber writes a number as Lua 5.1 does: C's "%.14g", inf, -inf, nan,
// -nan. (gopher-lua prints 1e15 as an integer and infinity as +Inf.)
func FormatNumber(f float64) string {
	if f == math.Trunc(f) && math.Abs(f) < 1e14 {
		if f == 0 && math.Signbit(f) {
			return "-0"
		}
		return strconv.FormatInt(int64(f), 10)
	}
	return string(appendG(nil, f, 14, false))
}

// ParseNumber reads a numeral as Lua 5.1's tonumber does, which is C's strtod:
// decimal and hexadecimal, with fraction and exponent, inf and nan, white
// space around it.
func ParseNumber(s string) (float64, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	if s == "" || strings.IndexByte(s, '_') >= 0 {
		return 0, false
	}
	// Short decimal integers are nearly all that is ever asked for.
	if len(s) < 16 && s[0] != '-' && s[0] != '+' {
		n := 0
		for i := 0; i < len(s); i++ {
			d := s[i] - '0'
			if d > 9 {
				n = -1
				break
			}
			n = n*10 + int(d)
		}
		if n >= 0 {
			return float64(n), true
		}
	}
	body, neg := s, false
	switch s[0] {
	case '-':
		neg, body = true, s[1:]
	case '+':
		body = s[1:]
	}
	f, ok := parseUnsigned(body)
	if neg {
		f = -f
	}
	return f, ok
}

func parseUnsigned(s string) (float64, bool) {
	if s == "" {
		return 0, false
	}
	switch strings.ToLower(s) {
	case "inf", "infinity":
		return math.Inf(1), true
	case "nan":
		return math.NaN(), true
	}
	if s[0] != '.' && (s[0] < '0' || s[0] > '9') {
		return 0, false
	}
	if len(s) > 1 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		// ParseFloat wants an exponent behind hexadecimal digits; C does not.
		if !strings.ContainsAny(s, "pP") {
			s += "p0"
		}
	} else if strings.ContainsAny(s, "xXpPoObB") {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if err != nil {
		// Out of range is infinity, as in C; anything else is not a number.
		if ne, ok := err.(*strconv.NumError); !ok || ne.Err != strconv.ErrRange {
			return 0, false
		}
	}
	return f, true
}

// parseBase reads an unsigned numeral in a base from 2 to 36, as strtoul does.
func parseBase(s string, base int) (float64, bool) {
	s = strings.Trim(s, " \t\n\v\f\r")
	neg := false
	if s != "" && (s[0] == '-' || s[0] == '+') {
		neg, s = s[0] == '-', s[1:]
	}
	if base == 16 && len(s) > 2 && s[0] == '0' && (s[1] == 'x' || s[1] == 'X') {
		s = s[2:]
	}
	if strings.IndexByte(s, '_') >= 0 {
		return 0, false
	}
	n, err := strconv.ParseUint(s, base, 64)
	if err != nil {
		if ne, ok := err.(*strconv.NumError); !ok || ne.Err != strconv.ErrRange {
			return 0, false
		}
		return float64(uint64(math.MaxUint64)), true
	}
	if neg {
		n = -n // strtoul wraps: tonumber("-1", 16) is 2^64-1 in lua5.1
	}
	return float64(n), true
}

// appendG is C's %.{prec}g, alt its '#' flag.
func appendG(dst []byte, f float64, prec int, alt bool) []byte {
	switch {
	case math.IsInf(f, 1):
		return append(dst, "inf"...)
	case math.IsInf(f, -1):
		return append(dst, "-inf"...)
	case f != f:
		// glibc prints the sign of a NaN, and 0/0 has one on amd64.
		if math.Signbit(f) {
			return append(dst, "-nan"...)
		}
		return append(dst, "nan"...)
	}
	if prec == 0 {
		prec = 1
	}
	// %e decides which form: its exponent is the one after rounding.
	e := strconv.AppendFloat(make([]byte, 0, 32), f, 'e', prec-1, 64)
	ei := len(e) - 1
	for e[ei] != 'e' {
		ei--
	}
	exp, _ := strconv.Atoi(string(e[ei+1:]))
	if exp < -4 || exp >= prec {
		mant := e[:ei]
		if !alt {
			mant = trimZeros(mant)
		}
		dst = append(dst, mant...)
		return append(dst, e[ei:]...)
	}
	start := len(dst)
	dst = strconv.AppendFloat(dst, f, 'f', prec-1-exp, 64)
	switch {
	case !alt:
		dst = dst[:start+len(trimZeros(dst[start:]))]
	case prec-1-exp == 0:
		dst = append(dst, '.')
	}
	return dst
}

func trimZeros(b []byte) []byte {
	point := false
	for _, c := range b {
		if c == '.' {
			point = true
		}
	}
	if !point {
		return b
	}
	for b[len(b)-1] == '0' {
		b = b[:len(b)-1]
	}
	if b[len(b)-1] == '.' {
		b = b[:len(b)-1]
	}
	return b
}

// ToString is Lua's tostring: __tostring if there is one, numbers as
// FormatNumber writes them.
func ToString(L *lua.LState, v lua.LValue) string {
	switch v := v.(type) {
	case lua.LString:
		return string(v)
	case lua.LNumber:
		return FormatNumber(float64(v))
	}
	if fn := L.GetMetaField(v, "__tostring"); fn != lua.LNil {
		L.Push(fn)
		L.Push(v)
		L.Call(1, 1)
		r := L.Get(-1)
		L.Pop(1)
		switch r := r.(type) {
		case lua.LString:
			return string(r)
		case lua.LNumber:
			return FormatNumber(float64(r))
		}
		raisef(L, "'tostring' must return a string to 'print'")
	}
	return v.String()
}
