package fennel

import (
	"math"
	"strings"

	"quire/fennel/luacode"
)

// viewNode writes a node on one line, as it would be typed.
func viewNode(n Node) string {
	var b strings.Builder
	writeNode(&b, n, 0)
	return b.String()
}

// String writes the form as it would be typed, on one line. What it gives for anything that was read reads back as the
// same form; [Foreign] values have no syntax, and are shown as #<…>.
func (n *List) String() string { return viewNode(n) }

// String is as [List.String].
func (n *Seq) String() string { return viewNode(n) }

// String is as [List.String]. Keys stay in their order.
func (n *Table) String() string { return viewNode(n) }

// String is the symbol's name.
func (n *Sym) String() string { return viewNode(n) }

// String is the literal, with its quotes.
func (n *Str) String() string { return viewNode(n) }

// String is the literal.
func (n *Num) String() string { return viewNode(n) }

// String is the literal.
func (n *Bool) String() string { return viewNode(n) }

// String is "...".
func (n *Varg) String() string { return viewNode(n) }

// String is the comment, with its semicolons.
func (n *Comment) String() string { return viewNode(n) }

// String shows what the value is.
func (n *Foreign) String() string { return viewNode(n) }

func writeNode(b *strings.Builder, n Node, depth int) {
	if depth > maxExpansion {
		b.WriteString("...")
		return
	}
	items := func(open byte, list []Node, close byte) {
		b.WriteByte(open)
		for i, item := range list {
			if i > 0 {
				b.WriteByte(' ')
			}
			writeNode(b, item, depth+1)
		}
		b.WriteByte(close)
	}
	switch x := n.(type) {
	case nil:
		b.WriteString("nil")
	case *Str:
		b.WriteString(quoteFennel(x.Val))
	case *Num:
		b.WriteString(viewNumber(x.Val))
	case *List:
		items('(', x.Items, ')')
	case *Seq:
		items('[', x.Items, ']')
	case *Table:
		if len(x.Keys) > 0 && len(sequentialPart(x)) == len(x.Keys) {
			items('[', sequentialPart(x), ']')
			return
		}
		b.WriteByte('{')
		for i, k := range x.Keys {
			if i > 0 {
				b.WriteByte(' ')
			}
			if s, ok := k.(*Str); ok && bareKey(s.Val) {
				b.WriteString(":" + s.Val)
			} else {
				writeNode(b, k, depth+1)
			}
			b.WriteByte(' ')
			writeNode(b, x.Vals[i], depth+1)
		}
		b.WriteByte('}')
	case *Foreign:
		b.WriteString("#<" + x.Val.String() + ">")
	default:
		b.WriteString(nodeText(n))
	}
}

func bareKey(s string) bool {
	if s == "" {
		return false
	}
	for i := 0; i < len(s); i++ {
		if !symChar[s[i]] || s[i] >= 128 {
			return false
		}
	}
	return true
}

func viewNumber(f float64) string {
	switch {
	case math.IsInf(f, 1):
		return ".inf"
	case math.IsInf(f, -1):
		return "-.inf"
	case math.IsNaN(f):
		return ".nan"
	}
	return luaNumber(f)
}

// quoteFennel writes a string literal: Fennel reads the escapes that Lua text uses, and UTF-8 may stand as it is.
func quoteFennel(s string) string {
	plain := true
	for i := 0; i < len(s); i++ {
		if c := s[i]; c < 32 || c == '"' || c == '\\' || c >= 127 {
			plain = false
			break
		}
	}
	if plain {
		return `"` + s + `"`
	}
	var b strings.Builder
	b.WriteByte('"')
	for _, r := range strings.SplitAfter(s, "") {
		if len(r) > 1 {
			b.WriteString(r)
			continue
		}
		q := luacode.Quote(r)
		b.WriteString(q[1 : len(q)-1])
	}
	b.WriteByte('"')
	return b.String()
}
