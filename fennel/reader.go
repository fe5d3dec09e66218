package fennel

import (
	"fmt"
	"strings"
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
