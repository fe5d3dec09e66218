package luacode

import (
	"strconv"
	"strings"
)

var keywords = map[string]bool{
	"and": true, "break": true, "do": true, "else": true, "elseif": true, "end": true, "false": true, "for": true,
	"function": true, "goto": true, "if": true, "in": true, "local": true, "nil": true, "not": true, "or": true,
	"repeat": true, "return": true, "then": true, "true": true, "until": true, "while": true,
}

// Keyword reports a word that Lua reserves; goto is one, since gopher-lua and every later Lua reserve it.
func Keyword(s string) bool { return keywords[s] }

// Identifier reports a name that Lua text may use for a variable or field.
func Identifier(s string) bool {
	if s == "" || keywords[s] {
		return false
	}
	for i := 0; i < len(s); i++ {
		c := s[i]
		if !(c == '_' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || i > 0 && c >= '0' && c <= '9') {
			return false
		}
	}
	return true
}

var named = map[byte]string{7: `\a`, 8: `\b`, 9: `\t`, 10: `\n`, 11: `\v`, 12: `\f`, 13: `\r`, '"': `\"`, '\\': `\\`}

// Quote writes a string literal in ASCII, with decimal escapes of three digits for the rest: Lua 5.1 knows no others.
func Quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := 0; i < len(s); i++ {
		c := s[i]
		if e, ok := named[c]; ok {
			b.WriteString(e)
		} else if c < 32 || c >= 127 {
			d := strconv.Itoa(int(c))
			b.WriteString(`\` + "000"[:3-len(d)] + d)
		} else {
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
