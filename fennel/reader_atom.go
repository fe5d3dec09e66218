package fennel

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// symChar marks the bytes a symbol may hold. Everything from 128 up may, so UTF-8 needs no decoding.
var symChar = func() (t [256]bool) {
	for b := 33; b < 256; b++ {
		t[b] = true
	}
	for _, b := range "()[]{}\"'~;,@`\x7f" {
		t[b] = false
	}
	return t
}()

// readAtom reads what is neither bracket, string nor prefix: symbols, numbers, :strings, true, false, ...
func (r *reader) readAtom(b byte) {
	spaced := r.spaced
	at := r.here()
	start := r.off - 1
	for {
		c, ok := r.get()
		if !ok {
			break
		}
		if !symChar[c] {
			r.unget(c)
			break
		}
	}
	raw := string(r.buf[start:r.off])
	r.finish(&at)
	if !spaced && r.strict != nil {
		r.strict("expected whitespace before token", r.line, r.col-int32(utf8.RuneCountInString(raw)))
	}
	r.dispatch(r.atom(raw, at))
}

func (r *reader) atom(raw string, at Pos) Node {
	switch raw {
	case "true":
		return &Bool{Pos: at, Val: true}
	case "false":
		return &Bool{Pos: at}
	case "...":
		return &Varg{Pos: at}
	case ".inf", "+.inf":
		return &Num{Pos: at, Val: math.Inf(1)}
	case "-.inf":
		return &Num{Pos: at, Val: math.Inf(-1)}
	case ".nan", "+.nan":
		return &Num{Pos: at, Val: math.Copysign(math.NaN(), 1)}
	case "-.nan":
		return &Num{Pos: at, Val: math.Copysign(math.NaN(), -1)}
	}
	c := raw[0]
	if c == ':' && len(raw) > 1 {
		return &Str{Pos: at, Val: raw[1:]}
	}
	if (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' {
		digits := raw
		if strings.IndexByte(raw, '_') >= 0 {
			digits = strings.ReplaceAll(raw, "_", "")
		}
		if f, ok := parseNumber(digits); ok {
			return &Num{Pos: at, Val: f}
		}
		if c >= '0' && c <= '9' {
			r.fail(fmt.Sprintf("could not read number %q", raw), -len(raw), true)
		}
	}
	r.checkSym(raw)
	return newSym(raw, at)
}

func (r *reader) checkSym(raw string) {
	if raw[0] == '~' && raw != "~=" {
		r.fail("invalid character: ~", -1, false)
	}
	runes := utf8.RuneCountInString(raw)
	special := func(c byte) bool { return c == '.' || c == ':' }
	colon := strings.IndexByte(raw, ':')
	if strings.Count(raw, ".") > maxDepth {
		r.fail("malformed multisym: "+raw, -1, true)
	}
	if colon < 0 && !strings.Contains(raw, "..") {
		return
	}
	if raw != ".." && raw != "$..." {
		for i := 0; i+1 < len(raw); i++ {
			if special(raw[i]) && special(raw[i+1]) {
				r.fail("malformed multisym: "+raw, i+1-runes-1, true)
			}
		}
	}
	if raw != ":" && raw[len(raw)-1] == ':' {
		r.fail("malformed multisym: "+raw, len(raw)-runes-1, true)
	}
	if colon >= 0 {
		for i := colon + 2; i < len(raw); i++ {
			if special(raw[i]) {
				r.fail("method must be last component of multisym: "+raw, colon+1-runes-1, true)
			}
		}
	}
}
