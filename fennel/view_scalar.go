package fennel

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

func (p *viewer) number(f float64, opts *lua.LTable) string {
	switch {
	case f != f && math.Signbit(f):
		return p.special(opts, "negative-nan", "-.nan")
	case f != f:
		return p.special(opts, "nan", ".nan")
	case math.IsInf(f, 1):
		return p.special(opts, "infinity", ".inf")
	case math.IsInf(f, -1):
		return p.special(opts, "negative-infinity", "-.inf")
	case f == math.Floor(f):
		return viewInteger(f)
	}
	return vm.FormatNumber(f)
}

func (p *viewer) special(opts *lua.LTable, name, def string) string {
	if v := opts.RawGetString(name); lua.LVAsBool(v) {
		return strings.ReplaceAll(vm.ToString(p.L, v), ",", ".")
	}
	return def
}

// viewInteger writes an integer as tostring does, unless that loses digits: then
// with as many as it takes, if Lua would use an exponent at all.
func viewInteger(f float64) string {
	plain := vm.FormatNumber(f)
	if plain == strconv.FormatFloat(f, 'f', 0, 64) {
		return plain
	}
	shortest := strconv.FormatFloat(f, 'e', -1, 64)
	if e := strings.IndexByte(shortest, 'e'); shortest[e+1] == '+' {
		if exp, err := strconv.Atoi(shortest[e+2:]); err == nil && exp > 14 {
			return shortest
		}
	}
	return plain
}

// isColonString tells a string that can be written as a :keyword.
func isColonString(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') &&
			strings.IndexByte("-?^_!$&*+./|<=>", c) < 0 {
			return false
		}
	}
	return s != ""
}

// str quotes a string. A newline stays one where that reads better, which is
// everywhere but in a string of one byte or when escape-newlines? is on and the
// string would fit the line.
func (p *viewer) str(s string, opts *lua.LTable, indent int) string {
	escapeNewlines := len(s) < 2 ||
		optionTrue(opts, "escape-newlines?") && len(s) < optionInt(p.L, opts, "line-length")-indent
	isUTF8 := optionTrue(opts, "utf8?")
	var b strings.Builder
	b.Grow(len(s) + 2)
	b.WriteByte('"')
	for i := 0; i < len(s); {
		c := s[i]
		switch {
		case c == '\n' && !escapeNewlines:
			b.WriteByte(c)
		case letterEscapes[c] != 0:
			b.WriteByte('\\')
			b.WriteByte(letterEscapes[c])
		case c < ' ' || c == 0x7f:
			b.WriteString(p.byteEscape(c, opts))
		case c >= utf8.RuneSelf && isUTF8:
			// As Lua: no surrogates, nothing too long or beyond U+10FFFF.
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n > 1 {
				b.WriteString(s[i : i+n])
				i += n
				continue
			}
			b.WriteString(p.byteEscape(c, opts))
		default:
			b.WriteByte(c)
		}
		i++
	}
	b.WriteByte('"')
	return b.String()
}

// letterEscapes are the escapes of one letter, by the byte they stand for.
var letterEscapes = [256]byte{
	'\a': 'a', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't', '\v': 'v', '\\': '\\', '"': '"',
}

func (p *viewer) byteEscape(c byte, opts *lua.LTable) string {
	fn := option(opts, "byte-escape")
	if !lua.LVAsBool(fn) {
		return fmt.Sprintf("\\%03d", c)
	}
	v := p.call(fn, lua.LNumber(c), opts)
	if !lua.LVCanConvToString(v) {
		p.L.RaiseError("option 'byte-escape' must return a string: got %s", v.Type().String())
	}
	return vm.ToString(p.L, v)
}
