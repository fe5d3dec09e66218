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
// tools print: URLs, JSON, shells, Go, XML. Most are the text itself for most
// secrets; the automaton holds equal ones once.
func escapes(text string) []string {
	var out []string
	for _, list := range [][]string{urlEscapes(text), jsonEscapes(text), shellEscapes(text), goEscapes(text), xmlEscapes(text)} {
		for _, e := range list {
			if e != text {
				out = append(out, e)
			}
		}
	}
	return out
}

// urlEscapes is percent-encoding in both cases of hex, over the sets of bytes
// left alone that are in use: by Go for queries and paths, by
// encodeURIComponent (ECMA-262), by Python's quote, with and without the
// slash, and by curl (RFC 3986's unreserved only).
func urlEscapes(text string) []string {
	upper := []string{
		url.QueryEscape(text), url.PathEscape(text),
		percent(text, "-_.~"), percent(text, "-_.~/"), percent(text, "-_.!~*'()"),
		percent(text, "-_.~!$&'()*+,;=:@/?"),
	}
	out := upper
	for _, u := range upper {
		out = append(out, lowerPercent(u))
	}
	return out
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

// jsonEscapes is the inside of a JSON string as Go writes it (with and without
// HTML escaping), as Python and PHP do (\uXXXX for all that is not ASCII, \/),
// and with bytes that are not UTF-8 as they are.
func jsonEscapes(text string) []string {
	var out []string
	if b, err := json.Marshal(text); err == nil {
		out = append(out, inside(string(b)))
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if e.Encode(text) == nil {
		out = append(out, inside(strings.TrimSuffix(b.String(), "\n")))
	}
	ascii := jsonEscape(text, true)
	raw := jsonEscape(text, false)
	return append(out, ascii, raw, strings.ReplaceAll(ascii, "/", `\/`), strings.ReplaceAll(raw, "/", `\/`))
}

// jsonEscape escapes what RFC 8259 section 7 demands, with the short escapes.
func jsonEscape(text string, ascii bool) string {
	var b strings.Builder
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch short := strings.IndexRune("\"\\\b\f\n\r\t", r); {
		case r == utf8.RuneError && n == 1:
			b.WriteByte(text[i])
		case short >= 0:
			b.WriteByte('\\')
			b.WriteByte(`"\bfnrt`[short])
		case r < 0x20 || ascii && r == 0x7f:
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

// shellEscapes is the inside of a word in single quotes (where a quote is four
// characters, or five from dash's set -x), in double quotes, in bash's $'…',
// and with backslashes (printf %q).
func shellEscapes(text string) []string {
	return []string{
		strings.ReplaceAll(text, `'`, `'\''`),
		strings.ReplaceAll(text, `'`, `'"'"'`),
		backslash(text, "\"$`\\"),
		backslash(text, "\"$`\\!"),
		backslash(text, " \t!\"#$&'()*,;<>?[\\]^`{|}"),
		backslash(text, " \t!\"#$&'()*,:;<=>?@[\\]^`{|}~"),
		ansiC(text, true), ansiC(text, false),
	}
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

// goEscapes is the inside of %q and %+q.
func goEscapes(text string) []string {
	return []string{inside(strconv.Quote(text)), inside(strconv.QuoteToASCII(text))}
}

// xmlEscapes is text and attribute values of XML and HTML: Go's two, and the
// named entities others use.
func xmlEscapes(text string) []string {
	out := []string{html.EscapeString(text)}
	var b bytes.Buffer
	if xml.EscapeText(&b, []byte(text)) == nil {
		out = append(out, b.String())
	}
	entities := []string{"&", "&amp;", "<", "&lt;", ">", "&gt;"}
	return append(out,
		strings.NewReplacer(entities...).Replace(text),
		strings.NewReplacer(append(entities, `"`, "&quot;")...).Replace(text),
		strings.NewReplacer(append(entities, `"`, "&quot;", "'", "&apos;")...).Replace(text),
		strings.NewReplacer(append(entities, `"`, "&quot;", "'", "&#39;")...).Replace(text),
		strings.NewReplacer(append(entities, `"`, "&quot;", "'", "&#x27;")...).Replace(text),
	)
}

// inside is a quoted text without its quotes.
func inside(quoted string) string { return quoted[1 : len(quoted)-1] }
