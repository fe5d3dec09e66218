package fennel

import (
	"math"
	"strconv"
	"strings"
)

// parseNumber reads a number as Lua's tonumber does, without the spellings of infinity and NaN which C's strtod would
// also take: in Fennel those are symbols.
func parseNumber(s string) (float64, bool) {
	body := s
	neg := false
	if body != "" && (body[0] == '-' || body[0] == '+') {
		neg = body[0] == '-'
		body = body[1:]
	}
	if body == "" {
		return 0, false
	}
	if len(body) > 2 && body[0] == '0' && (body[1] == 'x' || body[1] == 'X') {
		f, ok := parseHex(body[2:])
		if neg {
			f = -f
		}
		return f, ok
	}
	if c := body[0]; c != '.' && (c < '0' || c > '9') {
		return 0, false
	}
	for i := 0; i < len(body); i++ {
		switch c := body[i]; {
		case c >= '0' && c <= '9', c == '.', c == 'e', c == 'E':
		case (c == '+' || c == '-') && i > 0 && (body[i-1] == 'e' || body[i-1] == 'E'):
		default:
			return 0, false
		}
	}
	f, err := strconv.ParseFloat(body, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	if neg {
		f = -f
	}
	return f, true
}

func parseHex(digits string) (float64, bool) {
	if u, err := strconv.ParseUint(digits, 16, 64); err == nil {
		return float64(u), true
	}
	spelled := "0x" + digits
	if !strings.ContainsAny(digits, "pP") {
		spelled += "p0"
	}
	if strings.Contains(spelled, "_") {
		return 0, false
	}
	f, err := strconv.ParseFloat(spelled, 64)
	if err != nil && !math.IsInf(f, 0) {
		return 0, false
	}
	return f, true
}

// formatG is C's %.{precision}g.
func formatG(f float64, precision int) string {
	if f == 0 {
		if math.Signbit(f) {
			return "-0"
		}
		return "0"
	}
	exp := int(math.Floor(math.Log10(math.Abs(f))))
	// Log10 is off by one near powers of ten; the rounded scientific form is right.
	sci := strconv.FormatFloat(f, 'e', precision-1, 64)
	if i := strings.IndexByte(sci, 'e'); i >= 0 {
		exp, _ = strconv.Atoi(sci[i+1:])
	}
	if exp < -4 || exp >= precision {
		mantissa, e := sci, ""
		if i := strings.IndexByte(sci, 'e'); i >= 0 {
			mantissa, e = sci[:i], sci[i:]
		}
		if strings.IndexByte(mantissa, '.') >= 0 {
			mantissa = strings.TrimRight(strings.TrimRight(mantissa, "0"), ".")
		}
		return mantissa + e
	}
	fixed := strconv.FormatFloat(f, 'f', precision-1-exp, 64)
	if strings.IndexByte(fixed, '.') >= 0 {
		fixed = strings.TrimRight(strings.TrimRight(fixed, "0"), ".")
	}
	return fixed
}

// luaNumber writes a number literal which reads back as the same number.
func luaNumber(f float64) string {
	if s := formatG(f, 14); sameNumber(s, f) {
		return s
	}
	if s := formatG(f, 16); sameNumber(s, f) {
		return s
	}
	return formatG(f, 17)
}

func sameNumber(s string, f float64) bool {
	g, err := strconv.ParseFloat(s, 64)
	return err == nil && g == f
}
