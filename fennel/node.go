package fennel

import (
	"math"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// A Node is one piece of Fennel syntax: *List, *Sym, *Seq, *Table, *Str, *Num, *Bool, *Varg, *Comment or *Foreign.
// The literal nil is the symbol named "nil", as in the reference.
type Node interface {
	position() *Pos
	String() string
}

// sourceFile is shared by all nodes read from one text.
type sourceFile struct {
	name string
	text []byte
}

// Pos says where a node was read. Lines count from 1, columns from 0 and in characters, byte offsets from 1 and
// inclusive at both ends, all as the reference counts them. Line 0 means that the place is not known, which is so for
// nodes that a macro made out of nothing.
type Pos struct {
	file               *sourceFile
	Line, Col          int32
	EndLine, EndCol    int32
	ByteStart, ByteEnd int32
}

func (p *Pos) position() *Pos { return p }

func (p *Pos) filename() string {
	if p.file == nil {
		return ""
	}
	return p.file.name
}

func (p *Pos) known() bool { return p.Line != 0 || p.file != nil }

// List is a form in round brackets: a call.
type List struct {
	Pos
	Items []Node
}

// Sym is a symbol. Quoted symbols come from a quasi-quote and may not be bound.
type Sym struct {
	Pos
	Name    string
	quoted  bool
	trusted bool // a global that a built-in macro refers to, allowed whatever the program may use
	closed  bool // bound by with-open under Lua 5.4's to-be-closed variables
	multi   *multiSym
}

// Seq is a form in square brackets.
type Seq struct {
	Pos
	Items []Node
}

// Table is a form in curly brackets. Its keys stay in the order they were written.
type Table struct {
	Pos
	Keys, Vals []Node
	comments   *tableComments
}

// Str is a string literal.
type Str struct {
	Pos
	Val string
}

// Num is a number literal.
type Num struct {
	Pos
	Val float64
}

// Bool is true or false.
type Bool struct {
	Pos
	Val bool
}

// Varg is `...`.
type Varg struct{ Pos }

// Comment is a comment, read only when asked for.
type Comment struct {
	Pos
	Text string
}

// Foreign is a Lua value which a macro left in the tree and which has no syntax: a function, a userdata.
type Foreign struct {
	Pos
	Val lua.LValue
}

// tableComments keeps the comments inside curly brackets, which have no place among keys and values.
type tableComments struct {
	keys, values []attachedComment
	last         []Node
}

type attachedComment struct {
	to  Node
	all []Node
}

// multiSym is a symbol with several segments: a.b.c, or a.b:c when the last is a method.
type multiSym struct {
	parts  []string
	method bool
}

func newSym(name string, at Pos) *Sym {
	return &Sym{Pos: at, Name: name, multi: splitMulti(name)}
}

// splitMulti divides a name at its periods and colons, or gives nil for a name with one segment.
func splitMulti(name string) *multiSym {
	if strings.IndexByte(name, '.') < 0 && strings.IndexByte(name, ':') < 0 {
		return nil
	}
	if len(name) == 0 || strings.Contains(name, "..") {
		return nil
	}
	if c := name[0]; c == '.' || c == ':' {
		return nil
	}
	if name[len(name)-1] == '.' || name[len(name)-1] == ':' {
		// a trailing colon is refused by the reader, and a name made by a macro is one segment
		return nil
	}
	m := &multiSym{parts: make([]string, 0, 2)}
	start := 0
	for i := 0; i < len(name); i++ {
		if c := name[i]; c == '.' || c == ':' {
			if i > start {
				m.parts = append(m.parts, name[start:i])
				if c == ':' {
					m.method = true
				}
			}
			start = i + 1
		}
	}
	m.parts = append(m.parts, name[start:])
	return m
}

func isSym(n Node, name string) bool {
	s, ok := n.(*Sym)
	return ok && s.Name == name
}

func isNil(n Node) bool { return n == nil || isSym(n, "nil") }

// callOf is the list n when it is a call of the named form.
func callOf(n Node, name string) (*List, bool) {
	l, ok := n.(*List)
	if !ok || len(l.Items) == 0 || !isSym(l.Items[0], name) {
		return nil, false
	}
	return l, true
}

func isTable(n Node) bool {
	switch n.(type) {
	case *Seq, *Table:
		return true
	}
	return false
}

func isAmp(n Node) bool {
	s, ok := n.(*Sym)
	return ok && strings.HasPrefix(s.Name, "&")
}

// sequential gives the values at 1, 2, 3 … of a table in either kind of bracket.
func sequential(n Node) []Node {
	switch t := n.(type) {
	case *Seq:
		return t.Items
	case *Table:
		return sequentialPart(t)
	}
	return nil
}

func (t *Table) get(key Node) Node {
	for i, k := range t.Keys {
		if sameScalar(k, key) {
			return t.Vals[i]
		}
	}
	return nil
}

// set puts a value under a key, in the place of an equal scalar key or at the end.
func (t *Table) set(key, val Node) {
	for i, k := range t.Keys {
		if sameScalar(k, key) {
			t.Vals[i] = val
			return
		}
	}
	t.Keys = append(t.Keys, key)
	t.Vals = append(t.Vals, val)
}

func sameScalar(a, b Node) bool {
	switch x := a.(type) {
	case *Str:
		y, ok := b.(*Str)
		return ok && x.Val == y.Val
	case *Num:
		y, ok := b.(*Num)
		return ok && x.Val == y.Val
	case *Bool:
		y, ok := b.(*Bool)
		return ok && x.Val == y.Val
	}
	return false
}

// isIdempotent holds for what may be evaluated twice without anybody noticing.
func isIdempotent(n Node) bool {
	switch x := n.(type) {
	case *Str, *Num, *Bool:
		return true
	case *Sym:
		return x.multi == nil
	}
	return false
}

// luaTypeName is what Lua's type() says of the node in a macro; error messages use it.
func luaTypeName(n Node) string {
	switch x := n.(type) {
	case nil:
		return "nil"
	case *Str:
		return "string"
	case *Num:
		return "number"
	case *Bool:
		return "boolean"
	case *Foreign:
		return x.Val.Type().String()
	}
	return "table"
}

// scalarText is what Lua's tostring() says of a scalar, and the name of a symbol.
func nodeText(n Node) string {
	switch x := n.(type) {
	case nil:
		return "nil"
	case *Str:
		return x.Val
	case *Num:
		return formatNumber(x.Val)
	case *Bool:
		if x.Val {
			return "true"
		}
		return "false"
	case *Sym:
		return x.Name
	case *Varg:
		return "..."
	case *Comment:
		return x.Text
	case *Foreign:
		return x.Val.String()
	case *List:
		return viewNode(x)
	}
	return "table"
}

// formatNumber writes a number as Lua 5.1's tostring does (%.14g).
func formatNumber(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return "inf"
	case math.IsInf(f, -1):
		return "-inf"
	case math.IsNaN(f):
		return "nan"
	}
	return formatG(f, 14)
}
