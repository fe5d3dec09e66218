package fennel

import (
	"bytes"
)

func (r *reader) readString() {
	if !r.spaced && r.strict != nil {
		r.strict("expected whitespace before string", r.line, r.col-1)
	}
	at := r.here()
	start := r.off
	r.stack = append(r.stack, openForm{Pos: at, closer: '"'})
	escaped := false
	for {
		b, ok := r.get()
		if !ok {
			r.unclosed()
		}
		if b == '"' {
			break
		}
		if b == '\\' {
			escaped = true
			if _, ok = r.get(); !ok {
				r.unclosed()
			}
		}
	}
	r.stack = r.stack[:len(r.stack)-1]
	raw := r.buf[start : r.off-1]
	r.finish(&at)
	s := ""
	if escaped {
		s = r.unescape(raw)
	} else {
		s = string(raw)
	}
	r.dispatch(&Str{Pos: at, Val: s})
}

var simpleEscapes = map[byte]byte{'a': 7, 'b': 8, 'f': 12, 'n': 10, 'r': 13, 't': 9, 'v': 11,
	'\\': '\\', '"': '"', '\'': '\'', '\n': '\n'}

func (r *reader) unescape(raw []byte) string {
	out := make([]byte, 0, len(raw))
	for i := 0; i < len(raw); {
		c := raw[i]
		if c != '\\' {
			out = append(out, c)
			i++
			continue
		}
		i++
		c = raw[i] // the scan for the closing quote saw a byte after every backslash
		if e, ok := simpleEscapes[c]; ok {
			out = append(out, e)
			i++
			continue
		}
		switch {
		case c == '\r' && i+1 < len(raw) && raw[i+1] == '\n':
			out = append(out, '\r', '\n')
			i += 2
		case c == 'x' && i+2 < len(raw) && isHex(raw[i+1]) && isHex(raw[i+2]):
			out = append(out, hexVal(raw[i+1])<<4|hexVal(raw[i+2]))
			i += 3
		case c == 'u':
			var n int
			out, n = r.unicodeEscape(out, raw[i:])
			i += n
		case c == 'z':
			i++
			for i < len(raw) && (raw[i] == ' ' || (raw[i] >= 9 && raw[i] <= 13)) {
				i++
			}
		case c >= '0' && c <= '9':
			v, n := 0, 0
			for n < 3 && i < len(raw) && raw[i] >= '0' && raw[i] <= '9' {
				v = v*10 + int(raw[i]-'0')
				i++
				n++
			}
			if v > 255 {
				r.fail("invalid decimal escape", -1, false)
			}
			out = append(out, byte(v))
		default:
			r.fail("invalid escape sequence", -1, false)
		}
	}
	return string(out)
}

// unicodeEscape reads u{XXX}. Values beyond Unicode are encoded as Lua encodes them, up to 2^31.
func (r *reader) unicodeEscape(out, raw []byte) ([]byte, int) {
	end := bytes.IndexByte(raw, '}')
	if len(raw) < 4 || raw[1] != '{' || end < 3 {
		r.fail("invalid escape sequence", -1, false)
	}
	v := uint64(0)
	for _, c := range raw[2:end] {
		if !isHex(c) {
			r.fail("invalid escape sequence", -1, false)
		}
		v = v<<4 | uint64(hexVal(c))
		if v > 0x7FFFFFFF {
			r.fail("utf8 value too large: \\"+string(raw[:end+1]), -1, false)
		}
	}
	return appendUTF8(out, uint32(v)), end + 1
}

func appendUTF8(out []byte, v uint32) []byte {
	if v < 0x80 {
		return append(out, byte(v))
	}
	n, limit := 1, uint32(0x800)
	for v >= limit && n < 5 {
		n++
		limit <<= 5
	}
	lead := byte(0xFF << (7 - n)) // n+1 leading ones, then a zero
	out = append(out, lead|byte(v>>(6*n)))
	for n--; n >= 0; n-- {
		out = append(out, 0x80|byte(v>>(6*n))&0x3F)
	}
	return out
}

func isHex(c byte) bool {
	return c >= '0' && c <= '9' || c >= 'a' && c <= 'f' || c >= 'A' && c <= 'F'
}

func hexVal(c byte) byte {
	switch {
	case c <= '9':
		return c - '0'
	case c <= 'F':
		return c - 'A' + 10
	}
	return c - 'a' + 10
}
