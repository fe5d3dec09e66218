package vm

import (
	"math"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// stringFormat is C's printf as Lua 5.1 allows it. Two things are taken from
// later Luas, because gopher-lua's own format accepted them: %s makes a string
// of any value as tostring does, and %q of any string reads back in gopher-lua,
// whose lexer knows no \x escape.
func stringFormat(L *lua.LState) int {
	f := formatter{
		L:     L,
		limit: limitsOf(L).String,
		arg:   1,
	}
	f.run(argString(L, 1, "format"))
	L.Push(lua.LString(f.out))
	return 1
}

type formatter struct {
	L     *lua.LState
	out   []byte
	limit int
	arg   int // the last argument that was used
}

// directive is one %… of a format.
type directive struct {
	minus, plus, space, alt, zero bool
	width                         int
	prec                          int // -1 if there is none
}

func (f *formatter) run(format string) {
	for i := 0; i < len(format); i++ {
		k := strings.IndexByte(format[i:], '%')
		if k < 0 {
			f.append(format[i:])
			return
		}
		f.append(format[i : i+k])
		i += k + 1
		if i < len(format) && format[i] == '%' {
			f.append("%")
			continue
		}
		i = f.directive(format, i)
	}
}

func (f *formatter) append(s string) {
	checkLength(f.L, int64(len(f.out))+int64(len(s)), f.limit)
	f.out = append(f.out, s...)
}

// directive formats the directive whose flags start at format[i]; it returns the
// place of its conversion character.
func (f *formatter) directive(format string, i int) int {
	if f.arg++; f.arg > f.L.GetTop() {
		argError(f.L, f.arg, "format", "no value")
	}
	start := i
	d := directive{prec: -1}
flags:
	for ; i < len(format); i++ {
		switch format[i] {
		case '-':
			d.minus = true
		case '+':
			d.plus = true
		case ' ':
			d.space = true
		case '#':
			d.alt = true
		case '0':
			d.zero = true
		default:
			break flags
		}
	}
	if i-start > 5 {
		raisef(f.L, "invalid format (repeated flags)")
	}
	digits := func() (n int) {
		for k := 0; k < 2 && i < len(format) && isDigit(format[i]); k++ {
			n = n*10 + int(format[i]-'0')
			i++
		}
		return n
	}
	d.width = digits()
	if i < len(format) && format[i] == '.' {
		i++
		d.prec = digits()
	}
	if i < len(format) && isDigit(format[i]) {
		raisef(f.L, "invalid format (width or precision too long)")
	}
	var verb byte
	if i < len(format) {
		verb = format[i]
	}
	f.convert(d, verb, format[start:min(i+1, len(format))])
	return i
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (f *formatter) convert(d directive, verb byte, spec string) {
	switch verb {
	case 'c':
		f.pad(d, string([]byte{byte(argInt(f.L, f.arg, "format"))}))
	case 'd', 'i':
		n := toInt(argNumber(f.L, f.arg, "format"))
		f.integer(d, n < 0, strconv.FormatUint(magnitude(n), 10), "")
	case 'u':
		f.unsigned(d, 10, false)
	case 'o':
		f.unsigned(d, 8, false)
	case 'x':
		f.unsigned(d, 16, false)
	case 'X':
		f.unsigned(d, 16, true)
	case 'e', 'E', 'f', 'g', 'G', 'a', 'A':
		f.float(d, verb, argNumber(f.L, f.arg, "format"))
	case 'q':
		f.append(Quote(argString(f.L, f.arg, "format")))
	case 's':
		s := ToString(f.L, argAny(f.L, f.arg, "format"))
		if d.prec >= 0 && d.prec < len(s) {
			s = s[:d.prec]
		}
		f.pad(d, s)
	default:
		raisef(f.L, "invalid option '%%%s' to 'format'", spec)
	}
}

func magnitude(n int) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func (f *formatter) unsigned(d directive, base int, upper bool) {
	v := argNumber(f.L, f.arg, "format")
	var n uint64
	if v >= math.MaxInt64 && v < math.MaxUint64 {
		n = uint64(v)
	} else {
		n = uint64(toInt(v)) // a negative number wraps, as in C
	}
	s := strconv.FormatUint(n, base)
	prefix := ""
	if d.alt && n != 0 {
		switch base {
		case 8:
			s = "0" + s
		case 16:
			prefix = "0x"
		}
	}
	if upper {
		s, prefix = strings.ToUpper(s), strings.ToUpper(prefix)
	}
	d.plus, d.space = false, false
	f.integer(d, false, s, prefix)
}

// integer writes digits with sign, prefix, precision (least digits) and width.
func (f *formatter) integer(d directive, neg bool, digits, prefix string) {
	if d.prec == 0 && digits == "0" {
		digits = ""
	}
	if n := d.prec - len(digits); n > 0 {
		digits = strings.Repeat("0", n) + digits
	}
	if d.prec >= 0 {
		d.zero = false // C: a precision switches the 0 flag off
	}
	f.number(d, sign(d, neg)+prefix, digits)
}

func sign(d directive, neg bool) string {
	switch {
	case neg:
		return "-"
	case d.plus:
		return "+"
	case d.space:
		return " "
	}
	return ""
}

// number writes a head (sign and prefix) and a body, zeros between them if the
// 0 flag says so.
func (f *formatter) number(d directive, head, body string) {
	if n := d.width - len(head) - len(body); n > 0 && d.zero && !d.minus {
		body = strings.Repeat("0", n) + body
	}
	f.pad(d, head+body)
}

func (f *formatter) pad(d directive, s string) {
	if n := d.width - len(s); n > 0 {
		if d.minus {
			s += strings.Repeat(" ", n)
		} else {
			s = strings.Repeat(" ", n) + s
		}
	}
	f.append(s)
}

func (f *formatter) float(d directive, verb byte, v float64) {
	neg := math.Signbit(v)
	v = math.Abs(v)
	prec := d.prec
	if prec < 0 && verb != 'a' && verb != 'A' {
		prec = 6
	}
	var body string
	switch {
	case math.IsInf(v, 0):
		body, d.zero = "inf", false
	case v != v:
		body, d.zero = "nan", false
	default:
		switch verb {
		case 'f':
			body = strconv.FormatFloat(v, 'f', prec, 64)
		case 'e', 'E':
			body = strconv.FormatFloat(v, 'e', prec, 64)
		case 'g', 'G':
			body = string(appendG(nil, v, prec, d.alt))
		case 'a', 'A':
			body = hexFloat(v, prec)
		}
		if d.alt && prec == 0 && verb != 'g' && verb != 'G' {
			// '#' keeps the point even with nothing behind it.
			if k := strings.IndexByte(body, 'e'); k >= 0 {
				body = body[:k] + "." + body[k:]
			} else {
				body += "."
			}
		}
	}
	head := sign(d, neg)
	if (verb == 'a' || verb == 'A') && strings.HasPrefix(body, "0x") {
		head, body = head+"0x", body[2:]
	}
	if verb >= 'A' && verb <= 'Z' {
		head, body = strings.ToUpper(head), strings.ToUpper(body)
	}
	f.number(d, head, body)
}

// hexFloat is C's %a; Go writes at least two digits of the exponent, C as few
// as it needs.
func hexFloat(v float64, prec int) string {
	s := strconv.FormatFloat(v, 'x', prec, 64)
	k := strings.IndexByte(s, 'p')
	exp := s[k+2:]
	if len(exp) == 2 && exp[0] == '0' {
		exp = exp[1:]
	}
	return s[:k+2] + exp
}

// Quote writes a string so that Lua reads it back: Lua 5.1's %q, with every
// other control byte in decimal too.
func Quote(s string) string {
	b := make([]byte, 0, len(s)+2)
	b = append(b, '"')
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"', '\\', '\n':
			b = append(b, '\\', c)
		case '\r':
			b = append(b, `\r`...)
		case 0:
			b = append(b, `\000`...)
		default:
			b = append(b, c)
		}
	}
	return string(append(b, '"'))
}
