package fennel

import (
	"bytes"
	"fmt"
	"math"
	"strings"
	"unicode/utf8"
)

// maxDepth bounds how deep brackets may nest. Everything after the reader recurses on the tree, and a hostile file of
// ten million opening brackets must end in an error. The reference on Lua 5.1 gives up at about 200 levels (the limit
// of C calls), so nothing written for it comes near.
const maxDepth = 1000

// reader turns bytes into nodes, one top-level form at a time. It keeps a stack of its own instead of recursing.
type reader struct {
	file     *sourceFile
	buf      []byte
	off      int // offset of the next byte
	line     int32
	col      int32
	prevCol  int32
	stack    []openForm
	comments bool
	spaced   bool // whitespace or a bracket was seen since the last form
	done     bool
	result   Node
	strict   func(msg string, line, col int32)
	// more gives further bytes of a stream; depth is how many forms are open.
	more       func(depth int) ([]byte, bool)
	hooks      parserHooks
	unfinished string // advice for a text that ends too early
	white      map[byte]bool
}

// parserHooks are the places where plugins take part in reading.
type parserHooks struct {
	parseError  func(err *Error)
	parseForm   func(n Node) Node
	illegalChar func(b byte) bool
}

// openForm is a bracket or a prefix that waits for what it holds.
type openForm struct {
	Pos
	closer byte // 0 for a prefix
	prefix string
	items  []Node
}

func newReader(src []byte, name string) *reader {
	if len(src) >= 2 && src[0] == '#' && src[1] == '!' {
		src = append([]byte(";;"), src[2:]...)
	}
	return &reader{
		file: &sourceFile{name: name, text: src},
		buf:  src, line: 1, spaced: true,
	}
}

// parseAll reads every form of a text.
func parseAll(src []byte, name string) (forms []Node, err error) {
	defer catch(&err)
	r := newReader(src, name)
	for {
		n, ok := r.next()
		if !ok {
			return forms, nil
		}
		forms = append(forms, n)
	}
}

// next reads one form. It panics with *Error; callers catch.
func (r *reader) next() (Node, bool) {
	r.spaced = true
	r.done = false
	r.result = nil
	for {
		b, ok := r.skipWhitespace()
		if !ok {
			if len(r.stack) > 0 {
				r.unclosed()
			}
			return nil, false
		}
		r.readForm(b)
		if r.done {
			return r.result, true
		}
	}
}

func starter(b byte) bool { return (b > 1 && b < 127) || (b > 192 && b < 247) }

func (r *reader) get() (byte, bool) {
	if r.off >= len(r.buf) && !r.fill() {
		return 0, false
	}
	b := r.buf[r.off]
	r.off++
	if starter(b) {
		r.col++
	}
	if b == '\n' {
		r.line++
		r.prevCol = r.col
		r.col = 0
	}
	return b, true
}

func (r *reader) fill() bool {
	if r.more == nil {
		return false
	}
	chunk, ok := r.more(len(r.stack))
	if !ok || len(chunk) == 0 {
		r.more = nil
		return false
	}
	if r.off == 0 && len(r.buf) == 0 && len(chunk) >= 2 && chunk[0] == '#' && chunk[1] == '!' {
		chunk = append([]byte(";;"), chunk[2:]...)
	}
	r.buf = append(r.buf, chunk...)
	r.file.text = r.buf
	return true
}

func (r *reader) unget(b byte) {
	r.off--
	if starter(b) {
		r.col--
	}
	if b == '\n' {
		r.line--
		r.col = r.prevCol
	}
}

func (r *reader) skipWhitespace() (byte, bool) {
	for {
		b, ok := r.get()
		if !ok {
			return 0, false
		}
		if !r.isWhite(b) {
			return b, true
		}
		r.spaced = true
	}
}

func (r *reader) isWhite(b byte) bool {
	return b == ' ' || (b >= 9 && b <= 13) || (r.white != nil && r.white[b])
}

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

func (r *reader) readForm(b byte) {
	switch b {
	case ';':
		r.readComment()
	case '(', '[', '{':
		r.open(b)
	case ')', ']', '}':
		r.close(b)
	case '"':
		r.readString()
	case '#', '\'', ',', '`':
		r.readPrefix(b)
	default:
		if symChar[b] || b == '~' {
			r.readAtom(b)
			return
		}
		if r.hooks.illegalChar != nil && r.hooks.illegalChar(b) {
			return
		}
		r.fail("invalid character: "+string([]byte{b}), -1, false)
	}
}

// here is the place of the byte just read.
func (r *reader) here() Pos {
	return Pos{file: r.file, Line: r.line, Col: r.col - 1, ByteStart: int32(r.off)}
}

func (r *reader) finish(p *Pos) {
	p.ByteEnd, p.EndCol, p.EndLine = int32(r.off), r.col-1, r.line
}

// dispatch hands a finished form to the bracket that holds it, wrapping it in the prefixes before it.
func (r *reader) dispatch(n Node) {
	r.spaced = false
	for {
		if r.hooks.parseForm != nil {
			if m := r.hooks.parseForm(n); m != nil {
				n = m
			}
		}
		if len(r.stack) == 0 {
			r.done, r.result = true, n
			return
		}
		top := &r.stack[len(r.stack)-1]
		if top.prefix == "" {
			top.items = append(top.items, n)
			return
		}
		at := top.Pos
		r.finish(&at)
		r.stack = r.stack[:len(r.stack)-1]
		n = &List{Pos: at, Items: []Node{&Sym{Pos: at, Name: top.prefix}, n}}
	}
}

func (r *reader) push(f openForm) {
	if len(r.stack) >= maxDepth {
		r.fail(fmt.Sprintf("forms nested more than %d deep", maxDepth), -1, false)
	}
	r.stack = append(r.stack, f)
}

var closers = map[byte]byte{'(': ')', '[': ']', '{': '}'}

func (r *reader) open(b byte) {
	if !r.spaced {
		r.fail("expected whitespace before opening delimiter "+string(b), -1, false)
	}
	r.push(openForm{Pos: r.here(), closer: closers[b]})
}

func (r *reader) close(b byte) {
	if len(r.stack) == 0 {
		r.fail("unexpected closing delimiter "+string(b), -1, false)
	}
	top := r.stack[len(r.stack)-1]
	if top.closer != b {
		if top.closer == 0 {
			r.fail("unexpected closing delimiter "+string(b), -1, false)
		}
		r.fail(fmt.Sprintf("mismatched closing delimiter %c, expected %c", b, top.closer), -1, false)
	}
	r.stack = r.stack[:len(r.stack)-1]
	r.finish(&top.Pos)
	switch b {
	case ')':
		r.dispatch(&List{Pos: top.Pos, Items: top.items})
	case ']':
		r.dispatch(&Seq{Pos: top.Pos, Items: top.items})
	default:
		r.dispatch(r.table(&top))
	}
}

func (r *reader) table(f *openForm) Node {
	items := f.items
	var kept *tableComments
	if r.comments {
		items, kept = extractComments(items)
	}
	if len(items)%2 != 0 {
		r.fail("expected even number of values in table literal", -1, false)
	}
	n := len(items) / 2
	t := &Table{Pos: f.Pos, comments: kept}
	if n == 0 {
		return t
	}
	cells := make([]Node, 2*n)
	t.Keys, t.Vals = cells[:0:n], cells[n:n]
	var seen map[any]int
	for i := 0; i < len(items); i += 2 {
		k, v := items[i], items[i+1]
		if s, ok := v.(*Sym); ok && isSym(k, ":") {
			k = &Str{Pos: *k.position(), Val: s.Name}
		}
		id, scalar := scalarKey(k)
		if scalar {
			if seen == nil {
				seen = make(map[any]int, n)
			}
			if at, dup := seen[id]; dup {
				t.Vals[at] = v
				continue
			}
			seen[id] = len(t.Keys)
		}
		t.Keys = append(t.Keys, k)
		t.Vals = append(t.Vals, v)
	}
	return t
}

// scalarKey gives a value that is equal for equal scalar keys.
func scalarKey(n Node) (any, bool) {
	switch x := n.(type) {
	case *Str:
		return x.Val, true
	case *Num:
		return x.Val, true
	case *Bool:
		return x.Val, true
	}
	return nil, false
}

func extractComments(items []Node) ([]Node, *tableComments) {
	c := &tableComments{}
	for len(items) > 0 {
		last, ok := items[len(items)-1].(*Comment)
		if !ok {
			break
		}
		c.last = append([]Node{last}, c.last...)
		items = items[:len(items)-1]
	}
	// A comment belongs to the key or the value that follows it.
	var rest []Node
	afterKey := false
	for i, n := range items {
		if _, ok := n.(*Comment); !ok {
			afterKey = !afterKey
			rest = append(rest, n)
			continue
		}
		to := nextNonComment(items, i)
		if afterKey {
			c.values = attach(c.values, to, n)
		} else {
			c.keys = attach(c.keys, to, n)
		}
	}
	return rest, c
}

func nextNonComment(items []Node, i int) Node {
	for ; i < len(items); i++ {
		if _, ok := items[i].(*Comment); ok {
			continue
		}
		if isSym(items[i], ":") && i+1 < len(items) {
			return &Str{Val: nodeText(items[i+1])}
		}
		return items[i]
	}
	return nil
}

func attach(list []attachedComment, to, c Node) []attachedComment {
	for i := range list {
		if list[i].to == to || sameScalar(list[i].to, to) {
			list[i].all = append(list[i].all, c)
			return list
		}
	}
	return append(list, attachedComment{to, []Node{c}})
}

func (r *reader) readComment() {
	start, line := r.off-1, r.line
	for {
		b, ok := r.get()
		if !ok {
			break
		}
		if b == '\n' {
			if r.comments {
				r.unget(b)
			}
			break
		}
	}
	if r.comments {
		text := strings.TrimSuffix(string(r.buf[start:r.off]), "\n")
		r.dispatch(&Comment{Pos: Pos{file: r.file, Line: line}, Text: text})
	}
}

func (r *reader) readPrefix(b byte) {
	name := "quote"
	switch b {
	case '#':
		name = "hashfn"
	case ',':
		name = "unquote"
	}
	at := r.here()
	next, ok := r.get()
	trailing := !ok || r.isWhite(next) || next == ')' || next == ']' || next == '}'
	if trailing && b != '#' {
		r.fail("invalid whitespace after quoting prefix", -1, false)
	}
	if ok {
		r.unget(next)
	}
	if trailing { // a lone # is a symbol, the old name of length
		r.finish(&at)
		r.dispatch(newSym("#", at))
		return
	}
	r.push(openForm{Pos: at, prefix: name})
	r.spaced = true
}

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
	if colon < 0 && strings.Index(raw, "..") < 0 {
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

func (r *reader) unclosed() {
	var b strings.Builder
	for i := range r.stack {
		if c := r.stack[i].closer; c != 0 {
			b.WriteByte(c)
		}
	}
	plural := "s"
	if len(r.stack) == 1 {
		plural = ""
	}
	msg := b.String()
	open := &r.stack[len(r.stack)-1]
	r.unfinished = fmt.Sprintf("closing the form that begins at line %d, column %d", open.Line, open.Col)
	r.fail(fmt.Sprintf("expected closing delimiter%s %s", plural, msg), 0, true)
}

// longestMessage keeps a token of megabytes out of an error.
const longestMessage = 500

// fail raises a parse error adjust columns from the reader's place; with span the mark reaches to that place.
func (r *reader) fail(msg string, adjust int, span bool) {
	if len(msg) > longestMessage {
		msg = strings.ToValidUTF8(msg[:longestMessage], "") + "…"
	}
	e := &Error{
		Kind: ParseError, File: r.file.name, Line: int(r.line), Col: int(r.col) + adjust,
		Message: msg, Advice: advise(msg),
	}
	if r.unfinished != "" {
		e.Advice = append(e.Advice, r.unfinished)
		r.unfinished = ""
	}
	e.EndCol = e.Col
	if span {
		e.EndCol = int(r.col)
	}
	e.setSource(r.file, e.Line)
	r.stack = r.stack[:0]
	if r.hooks.parseError != nil {
		r.hooks.parseError(e)
	}
	panic(e)
}

// reset forgets what is open and what is left of the current line, as a person at a prompt starts over.
func (r *reader) reset() {
	r.stack = nil
	r.buf, r.off = nil, 0
	r.line, r.col = 1, 0
}
