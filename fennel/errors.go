package fennel

import (
	"bytes"
	"fmt"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

// ErrorKind says which phase refused the program.
type ErrorKind string

// The phases. An error that a macro raised is a compile error whose Form names the macro.
const (
	ParseError   ErrorKind = "Parse"
	CompileError ErrorKind = "Compile"
)

// Error is what is wrong with a program, and where. Columns count characters from 0, as the reference counts them.
type Error struct {
	Kind       ErrorKind
	File       string
	Line       int // from 1; 0 when the place is not known
	Col        int
	EndCol     int // the last column of the form at fault, when it ends on Line
	Form       string
	Message    string
	Advice     []string // each completes "Try …."
	SourceLine string

	noSource bool
	raised   lua.LValue // what a plugin or a module raised, which goes on as it is
	node     Node
	told     bool // plugins know
}

// Error gives the message as the reference lays it out: position and message, the source line with the place marked
// below it, and advice.
func (e *Error) Error() string {
	if e.raised != nil {
		return e.raised.String()
	}
	var b strings.Builder
	b.WriteString(e.headline(false))
	if !e.noSource && e.Line > 0 {
		b.WriteString("\n\n")
		b.WriteString(excerptLine(e.SourceLine, e.Col, e.EndCol))
	}
	for _, a := range e.Advice {
		b.WriteString("\n* Try ")
		b.WriteString(a)
		b.WriteByte('.')
	}
	return b.String()
}

// Terse gives one line which names the form, as the reference does with its option "unfriendly".
func (e *Error) Terse() string { return e.headline(true) }

// Marked lays the error out with the place inside the source line between open and close, for which the reference
// uses a terminal's inverse video. With both empty the line is left as it is.
func (e *Error) Marked(open, close string) string {
	var b strings.Builder
	b.WriteString(e.headline(false))
	b.WriteByte('\n')
	if !e.noSource && e.Line > 0 {
		b.WriteByte('\n')
		runes := []rune(e.SourceLine)
		if e.Col < 0 || e.Col > len(runes) || (open == "" && close == "") {
			b.WriteString(e.SourceLine)
		} else {
			end := min(max(e.EndCol+1, e.Col+1), len(runes))
			end = max(end, e.Col)
			b.WriteString(string(runes[:e.Col]) + open + string(runes[e.Col:end]) + close + string(runes[end:]))
		}
	}
	for _, a := range e.Advice {
		b.WriteString("\n* Try ")
		b.WriteString(a)
		b.WriteByte('.')
	}
	return b.String()
}

func (e *Error) headline(terse bool) string {
	in := ""
	if terse && e.Kind == CompileError {
		in = " in '" + e.Form + "'"
	}
	return fmt.Sprintf("%s: %s error%s: %s", e.place(), e.Kind, in, e.Message)
}

func (e *Error) place() string {
	file, line, col := e.File, "?", "?"
	if file == "" {
		file = "unknown"
	}
	if e.Line > 0 {
		line, col = fmt.Sprint(e.Line), fmt.Sprint(e.Col)
	}
	return file + ":" + line + ":" + col
}

func (e *Error) setSource(f *sourceFile, line int) {
	if f == nil || f.text == nil || line <= 0 {
		e.noSource = true
		return
	}
	text, ok := sourceLine(f.text, line)
	e.SourceLine, e.noSource = text, !ok
}

// sourceLine cuts one line out of a text. Lines longer than a terminal would bear are cut short.
func sourceLine(src []byte, line int) (string, bool) {
	for ; line > 1; line-- {
		i := bytes.IndexByte(src, '\n')
		if i < 0 {
			return "", false
		}
		src = src[i+1:]
	}
	if i := bytes.IndexByte(src, '\n'); i >= 0 {
		src = src[:i]
	}
	const longest = 4096
	if len(src) > longest {
		src = src[:longest]
	}
	return strings.ToValidUTF8(strings.TrimSuffix(string(src), "\r"), "\uFFFD"), true
}

// Excerpt draws the given line of a text and, below it, carets under the characters from col to endCol (both counted
// from 0). It is empty when there is no such line.
func Excerpt(source []byte, line, col, endCol int) string {
	text, ok := sourceLine(source, line)
	if !ok {
		return ""
	}
	return excerptLine(text, col, endCol)
}

func excerptLine(text string, col, endCol int) string {
	n := utf8.RuneCountInString(text)
	if col < 0 {
		col = 0
	}
	if endCol < col {
		endCol = col
	}
	if endCol > n-1 {
		endCol = max(n-1, col)
	}
	if col > n {
		return text
	}
	var pad strings.Builder
	for i, r := range []rune(text) {
		if i == col {
			break
		}
		if r == '\t' { // a tab stays a tab, so that the caret stands under its character
			pad.WriteByte('\t')
		} else {
			pad.WriteByte(' ')
		}
	}
	return text + "\n" + pad.String() + strings.Repeat("^", endCol-col+1)
}

// catch turns a raised *Error into an ordinary one. Any other panic goes on.
func catch(err *error) {
	switch e := recover().(type) {
	case nil:
	case *Error:
		*err = e
	default:
		panic(e)
	}
}

// failAt raises a compile error about a node; form is the text that names the form in terse messages.
func failAt(at Node, format string, args ...any) {
	failIn(at, nil, format, args...)
}

// failIn is failAt with a second node to take the place from when the first has none.
func failIn(at, fallback Node, format string, args ...any) {
	msg := format
	if len(args) > 0 {
		msg = fmt.Sprintf(format, args...)
	}
	if len(msg) > 64*longestMessage {
		msg = strings.ToValidUTF8(msg[:64*longestMessage], "") + "…"
	}
	where := at
	if where == nil || !where.position().known() {
		if fallback != nil {
			where = fallback
		}
	}
	panic(compileErrorAt(where, msg))
}

func compileErrorAt(at Node, msg string) *Error {
	e := &Error{Kind: CompileError, Message: msg, Advice: advise(msg), Form: formName(at), noSource: true, node: at}
	if at != nil {
		e.placeAt(at.position())
	}
	return e
}

func (e *Error) placeAt(p *Pos) {
	e.File = p.filename()
	e.Line, e.Col = int(p.Line), int(p.Col)
	e.noSource = false
	e.setSource(p.file, e.Line)
	switch {
	case p.EndLine == p.Line:
		e.EndCol = int(p.EndCol)
	default:
		e.EndCol = utf8.RuneCountInString(e.SourceLine) - 1
	}
}

// locate gives an error the place of a form if it has none of its own: a macro may complain without a form, or about
// one that it made out of nothing.
func (e *Error) locate(n Node) {
	if n != nil && e.Line <= 0 && e.raised == nil {
		e.placeAt(n.position())
	}
}

// formName is how a terse message names the form at fault: its first element.
func formName(n Node) string {
	switch x := n.(type) {
	case *List:
		if len(x.Items) > 0 {
			return nodeText(x.Items[0])
		}
	case *Seq:
		if len(x.Items) > 0 {
			return nodeText(x.Items[0])
		}
	case *Sym:
		return x.Name
	case *Varg:
		return "..."
	}
	return "()"
}
