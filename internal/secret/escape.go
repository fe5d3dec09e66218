package secret

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf8"
)

// escapes lists what text looks like between the quotes of the notations that
// tools print: URLs, JSON, shells, Go, XML, SQL; with all, in the rarer dialects of
// each too. Most are the text itself for most secrets; the automaton holds
// equal ones once.
func escapes(text string, all bool) []string {
	var out []string
	for _, dialects := range []func(string) (common, rare []string){urlEscapes, jsonEscapes, mailEscapes, shellEscapes, goEscapes, xmlEscapes, doubledQuotes, displayEscapes} {
		list, rare := dialects(text)
		if all {
			list = append(list, rare...)
		}
		for _, e := range list {
			if e != text {
				out = append(out, e)
			}
		}
	}
	return out
}

// urlEscapes is percent-encoding in both cases of hex, over the sets of bytes
// left alone that are in use: by Go's QueryEscape and by RFC 3986 (curl,
// Python's quote_plus); rarer by Python's quote, encodeURIComponent and
// encodeURI (ECMA-262), and Go's PathEscape.
func urlEscapes(text string) (common, rare []string) {
	common = bothCases(url.QueryEscape(text), percent(text, "-_.~"))
	rare = bothCases(percent(text, "-_.~/"), percent(text, "-_.!~*'()"), percent(text, "-_.!~*'();/?:@&=+$,#"), url.PathEscape(text))
	return common, rare
}

func bothCases(escaped ...string) []string {
	for _, e := range escaped {
		escaped = append(escaped, lowerPercent(e))
	}
	return escaped
}

// percent escapes all but ASCII letters, digits and the bytes of keep.
func percent(text, keep string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= '0' && c <= '9' || c >= 'A' && c <= 'Z' || c >= 'a' && c <= 'z' || strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
		} else {
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}

func lowerPercent(s string) string {
	b := []byte(s)
	for i := 0; i+2 < len(b); i++ {
		if b[i] == '%' {
			copy(b[i+1:], bytes.ToLower(b[i+1:i+3]))
			i += 2
		}
	}
	return string(b)
}

// jsonEscapes is the inside of a JSON string as Go writes it, with and without
// HTML escaping; rarer as Python and PHP do (\uXXXX for all that is not ASCII,
// \/), as Gson and .NET do, which escape more, and with bytes that are not UTF-8 as
// they are; each with hex in either case.
func jsonEscapes(text string) (common, rare []string) {
	if b, err := json.Marshal(text); err == nil {
		common = append(common, inside(string(b)))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(text) == nil {
		common = append(common, inside(strings.TrimSuffix(b.String(), "\n")))
	}
	raw, ascii := jsonEscape(text, ""), jsonEscape(text, beyondASCII)
	rare = []string{
		raw, ascii, strings.ReplaceAll(raw, "/", `\/`), strings.ReplaceAll(ascii, "/", `\/`),
		jsonEscape(text, "<>&='"),                                                    // Gson
		jsonEscape(text, beyondASCII+"<>&'"), jsonEscape(text, beyondASCII+"<>&'\""), // PHP's JSON_HEX_…
		jsonEscape(text, beyondASCII+"<>&'\"+`"), // .NET
	}
	for _, list := range [][]string{common, rare} {
		for _, e := range list {
			rare = append(rare, upperU(e))
		}
	}
	return common, rare
}

// beyondASCII stands, among the characters that jsonEscape is to write as \uXXXX,
// for all that are not ASCII, and DEL.
const beyondASCII = "\x7f"

// jsonEscape escapes what RFC 8259 section 7 demands, with the short escapes, and
// the characters of more.
func jsonEscape(text, more string) string {
	ascii := strings.Contains(more, beyondASCII)
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch short := strings.IndexRune("\"\\\b\f\n\r\t", r); {
		case r == utf8.RuneError && n == 1:
			b.WriteByte(text[i])
		case strings.ContainsRune(more, r):
			fmt.Fprintf(&b, `\u%04x`, r)
		case short >= 0:
			b.WriteByte('\\')
			b.WriteByte(`"\bfnrt`[short])
		case r < 0x20:
			fmt.Fprintf(&b, `\u%04x`, r)
		case ascii && r > 0xffff:
			r -= 0x10000
			fmt.Fprintf(&b, `\u%04x\u%04x`, 0xd800+r>>10, 0xdc00+r&0x3ff)
		case ascii && r > 0x7f:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			b.WriteString(text[i : i+n])
		}
		i += n
	}
	return b.String()
}

// upperU writes the hex digits of \uXXXX in upper case.
func upperU(s string) string {
	b := []byte(s)
	for i := 0; i+1 < len(b); i++ {
		if b[i] != '\\' {
			continue
		}
		if i++; b[i] == 'u' && i+4 < len(b) {
			copy(b[i+1:], bytes.ToUpper(b[i+1:i+5]))
			i += 4
		}
	}
	return string(b)
}

// mailEscapes is quoted-printable (RFC 2045, 6.7). Its soft line breaks are left out
// before it is looked for.
func mailEscapes(text string) (common, rare []string) { return nil, []string{quotedPrintable(text)} }

// quotedPrintable leaves blanks alone, as its writers do but at a line's end.
func quotedPrintable(text string) string {
	var b strings.Builder
	for i := range len(text) {
		switch c := text[i]; {
		case c >= ' ' && c <= '~' && c != '=', c == '\t', c == '\n', c == '\r':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "=%02X", c)
		}
	}
	return b.String()
}

// shellEscapes is the inside of a word in single quotes and in bash's $'…';
// rarer in double quotes, with backslashes (printf %q), as dash's set -x
// writes a single quote, and as coreutils and zsh quote a tab.
func shellEscapes(text string) (common, rare []string) {
	common = []string{strings.ReplaceAll(text, `'`, `'\''`), ansiC(text, true)}
	rare = []string{
		strings.ReplaceAll(text, `'`, `'"'"'`),
		backslash(text, "\"$`\\"),
		backslash(text, "\"$`\\!"),
		backslash(text, " \t!\"#$&'()*,;<>?[\\]^`{|}"),
		backslash(text, " \t!\"#$&'()*,:;<=>?@[\\]^`{|}~"),
		ansiC(text, false),
		quotedRuns(text, true), quotedRuns(text, false),
		zshWord(text, "!=~"), zshWord(text, "=~"), zshWord(text, "!~"), zshWord(text, ""),
		strings.ReplaceAll(ansiC(text, true), "!", `\!`),
	}
	return common, rare
}

func backslash(text, special string) string {
	var b strings.Builder
	for i := range len(text) {
		if strings.IndexByte(special, text[i]) >= 0 {
			b.WriteByte('\\')
		}
		b.WriteByte(text[i])
	}
	return b.String()
}

// ansiC is bash's $'…' (ANSI-C quoting in its manual). What is valid UTF-8 and
// printable is left alone in a UTF-8 locale; in the C locale all above ASCII is
// octal.
func ansiC(text string, utf8Locale bool) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch short := strings.IndexRune("\a\b\x1b\f\n\r\t\v\\'", r); {
		case short >= 0:
			b.WriteByte('\\')
			b.WriteByte(`abEfnrtv\'`[short])
		case r >= 0x20 && r < 0x7f, r > 0x7f && utf8Locale && strconv.IsPrint(r) && !(r == utf8.RuneError && n == 1):
			b.WriteString(text[i : i+n])
		default:
			for _, c := range []byte(text[i : i+n]) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		}
		i += n
	}
	return b.String()
}

// displayEscapes is text as programs show what cannot be printed: git its paths (core.quotePath)
// and ls -Q, ls -b, sed's l, all as C strings do with differences; cat -v, with and without tabs.
func displayEscapes(text string) (common, rare []string) {
	return nil, []string{
		cEscape(text, `"\`), cEscape(text, `\`), cEscape(text, ` \`),
		caretEscape(text, "\t\n"), caretEscape(text, "\n"),
	}
}

// cEscape puts a backslash before the characters of special, and writes what is no
// printable ASCII as C does, bytes in octal.
func cEscape(text, special string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		switch short := strings.IndexByte("\a\b\f\n\r\t\v", c); {
		case short >= 0:
			b.WriteByte('\\')
			b.WriteByte("abfnrtv"[short])
		case strings.IndexByte(special, c) >= 0:
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < 0x20 || c >= 0x7f:
			fmt.Fprintf(&b, `\%03o`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// caretEscape writes control characters but those of keep as ^X, and bytes above ASCII
// as M- and what is left of them without the highest bit.
func caretEscape(text, keep string) string {
	var b strings.Builder
	for i := range len(text) {
		c := text[i]
		if c >= 0x80 {
			b.WriteString("M-")
			c -= 0x80
		} else if strings.IndexByte(keep, c) >= 0 {
			b.WriteByte(c)
			continue
		}
		switch {
		case c < 0x20:
			b.WriteByte('^')
			b.WriteByte(c + 0x40)
		case c == 0x7f:
			b.WriteString("^?")
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// quotedRuns is the inside of what coreutils' printf %q, ls and stat write
// (gnulib's shell-escape): single quotes, and $'…' for each run of what cannot be
// printed.
func quotedRuns(text string, utf8Locale bool) string {
	var b strings.Builder
	open := false // a $'…'
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		plain := r >= 0x20 && r < 0x7f || r > 0x7f && utf8Locale && strconv.IsPrint(r) && !(r == utf8.RuneError && n == 1)
		switch {
		case plain && open:
			b.WriteString("''")
		case !plain && !open:
			b.WriteString("'$'")
		}
		open = !plain
		switch short := strings.IndexRune("\a\b\f\n\r\t\v", r); {
		case r == '\'':
			b.WriteString(`'\''`)
		case plain:
			b.WriteString(text[i : i+n])
		case short >= 0:
			b.WriteByte('\\')
			b.WriteByte(`abfnrtv`[short])
		default:
			for _, c := range []byte(text[i : i+n]) {
				fmt.Fprintf(&b, `\%03o`, c)
			}
		}
		i += n
	}
	return b.String()
}

// zshWord is zsh's ${(q)…} and printf %q: backslashes, and $'…' for each character
// that cannot be printed. Of special, versions and
// places in the word differ: an exclamation mark counts where there is history, an
// equals sign and a tilde at the beginning of a word.
func zshWord(text, special string) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r > 0x7f && strconv.IsPrint(r) && !(r == utf8.RuneError && n == 1):
			b.WriteString(text[i : i+n])
		case r < 0x20 || r >= 0x7f:
			for _, c := range []byte(text[i : i+n]) {
				b.WriteString("$'" + ansiC(string(rune(c)), false) + "'")
			}
		default:
			if strings.ContainsRune(" \"#$&'()*;<>?[\\]^`{|}"+special, r) {
				b.WriteByte('\\')
			}
			b.WriteByte(text[i])
		}
		i += n
	}
	return b.String()
}

// goEscapes is the inside of %q; rarer of %+q.
func goEscapes(text string) (common, rare []string) {
	return []string{inside(strconv.Quote(text))}, []string{inside(strconv.QuoteToASCII(text))}
}

// xmlEscapes is text and attribute values of XML and HTML: Go's, and with the
// named entities that others use.
func xmlEscapes(text string) (common, rare []string) {
	var b bytes.Buffer
	if xml.EscapeText(&b, []byte(text)) == nil {
		common = append(common, b.String())
	}
	entities := []string{"&", "&amp;", "<", "&lt;", ">", "&gt;"}
	with := func(more ...string) string {
		return strings.NewReplacer(append(entities[:len(entities):len(entities)], more...)...).Replace(text)
	}
	common = append(common, html.EscapeString(text), with())
	return common, []string{
		with(`"`, "&quot;"),
		with(`"`, "&quot;", "'", "&apos;"),
		with(`"`, "&quot;", "'", "&#39;"),
		with(`"`, "&quot;", "'", "&#x27;"),
		with(`"`, "&quot;", "\n", "&#10;", "\r", "&#13;", "\t", "&#9;"),
		with("\n", "&#10;", "\r", "&#13;", "\t", "&#9;"),
	}
}

// doubledQuotes is the inside of a string of SQL, YAML or CSV.
func doubledQuotes(text string) (common, rare []string) {
	return nil, []string{strings.ReplaceAll(text, `'`, `''`), strings.ReplaceAll(text, `"`, `""`)}
}

// inside is a quoted text without its quotes.
func inside(quoted string) string { return quoted[1 : len(quoted)-1] }
