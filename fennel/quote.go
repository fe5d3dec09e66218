package fennel

import (
	"strconv"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

// At compile time a quoted form is code that makes the form: calls of the functions below, which the environment of
// macros holds under names nobody types. They take a place first, so that the form knows where it was written.
const (
	quoteList  = "fnl/list"
	quoteSym   = "fnl/sym"
	quoteSeq   = "fnl/sequence"
	quoteTable = "fnl/table"
)

func specialQuote(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 {
		failAt(x, "expected one argument")
	}
	q := &quoting{c: c, s: s, b: b, runtime: !s.compiler}
	return c.single(q.quote(x.Items[1]), valueExpr), false
}

func specialUnquote(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	failAt(x, "tried to use unquote outside quote")
	return nil, false
}

// quoting is one quoted form at work. At run time there are no symbols or lists, so only tables can be quoted.
type quoting struct {
	c       *compilation
	s       *Scope
	b       *block
	runtime bool
}

func (q *quoting) quote(n Node) ast.Expr {
	c := q.c
	line := c.lineOf(n)
	switch x := n.(type) {
	case *Varg:
		if q.runtime {
			failAt(x, "quoted ... may only be used at compile time")
		}
		return c.ident("_VARARG", line)
	case *Sym:
		if q.runtime {
			failAt(x, "symbols may only be used at compile time")
		}
		return q.symbol(x)
	case *List:
		if u, ok := callOf(x, "unquote"); ok {
			if len(u.Items) != 2 {
				failAt(u, "expected one argument")
			}
			list := c.compile(u.Items[1], q.s, q.b, want{nval: anyValues})
			if len(list) == 0 {
				return c.nilAt(line)
			}
			return list[0].x
		}
		items := q.all(x.Items)
		if q.runtime {
			failAt(x, "lists may only be used at compile time")
		}
		return q.make(quoteList, &x.Pos, items)
	case *Seq:
		if q.runtime {
			return q.plain(x.Items)
		}
		return q.make(quoteSeq, &x.Pos, q.all(x.Items))
	case *Table:
		return q.table(x)
	case *Str:
		return c.str(x.Val, line)
	case *Num:
		return c.number(x.Val, line)
	case *Bool:
		return c.boolean(x.Val, line)
	}
	return c.nilAt(line)
}

func (q *quoting) all(items []Node) []ast.Expr {
	out := make([]ast.Expr, len(items))
	for i, n := range items {
		out[i] = q.quote(n)
	}
	return out
}

func (q *quoting) plain(items []Node) ast.Expr {
	t := &ast.TableExpr{}
	t.SetLine(q.c.line)
	for _, e := range q.all(items) {
		t.Fields = append(t.Fields, &ast.Field{Value: e})
	}
	return t
}

func (q *quoting) helper(name string, line int) ast.Expr {
	return q.c.field(q.c.ident("_G", line), name, line)
}

// place gives the arguments which say where a node was written: for code that runs at once the number of a place the
// compiler remembers, for text the place itself.
func (q *quoting) place(p *Pos) []ast.Expr {
	c, line := q.c, int(p.Line)
	if p.Line == 0 {
		line = c.line
	}
	n := func(v int) ast.Expr { return c.numeral(strconv.Itoa(v), line) }
	if !c.text {
		c.k.places = append(c.k.places, p)
		return c.one(n(len(c.k.places) - 1))
	}
	file := ast.Expr(c.boolean(false, line))
	if p.file != nil {
		file = c.str(p.file.name, line)
	}
	return []ast.Expr{file, n(int(p.Line)), n(int(p.Col)), n(int(p.ByteStart)), n(int(p.ByteEnd)), n(int(p.EndLine)), n(int(p.EndCol))}
}

func (q *quoting) make(fn string, p *Pos, rest []ast.Expr) ast.Expr {
	line := int(p.Line)
	if line == 0 {
		line = q.c.line
	}
	return q.c.call(q.helper(fn, line), line, append(q.place(p), rest...)...)
}

// symbol quotes a name. One that ends in # is fresh, and the same throughout its quote; any other may not be bound.
func (q *quoting) symbol(x *Sym) ast.Expr {
	c := q.c
	line := c.lineOf(x)
	name, quoted := x.Name, true
	if isAutoGensym(name) {
		name, quoted = c.autogensym(name, q.s), false
	}
	return q.make(quoteSym, &x.Pos, []ast.Expr{c.str(name, line), c.boolean(quoted, line)})
}

func isAutoGensym(name string) bool {
	for i := 0; i < len(name); i++ {
		if name[i] == '#' && i > 0 && (i == len(name)-1 || name[i+1] == '.' || name[i+1] == ':') {
			return true
		}
	}
	return false
}

func (q *quoting) table(x *Table) ast.Expr {
	c := q.c
	line := c.lineOf(x)
	if q.runtime {
		t := &ast.TableExpr{}
		t.SetLine(line)
		for i, k := range x.Keys {
			t.Fields = append(t.Fields, &ast.Field{Key: q.quote(k), Value: q.quote(x.Vals[i])})
		}
		return t
	}
	var cells []ast.Expr
	for i, k := range x.Keys {
		cells = append(cells, q.quote(k), singleValue(q.quote(x.Vals[i])))
	}
	return q.make(quoteTable, &x.Pos, cells)
}

// singleValue keeps a call at the end of arguments from giving more than one.
func singleValue(e ast.Expr) ast.Expr {
	switch x := e.(type) {
	case *ast.FuncCallExpr:
		x.AdjustRet = true
	case *ast.Comma3Expr:
		x.AdjustRet = true
	}
	return e
}

// quoteFunctions are what quoted forms call.
func (k *Compiler) quoteFunctions(env *lua.LTable) {
	L, t := k.L, k.types
	// read gives the place and the number of the argument before the first item.
	read := func(L *lua.LState) (*Pos, int) {
		if i, ok := L.Get(1).(lua.LNumber); ok && int(i) >= 0 && int(i) < len(k.places) {
			return k.places[int(i)], 1
		}
		p := &Pos{}
		if f, ok := L.Get(1).(lua.LString); ok {
			p.file = k.fileNamed(string(f))
		}
		n := func(i int) int32 {
			v, _ := L.Get(i).(lua.LNumber)
			return int32(v)
		}
		p.Line, p.Col, p.ByteStart, p.ByteEnd, p.EndLine, p.EndCol = n(2), n(3), n(4), n(5), n(6), n(7)
		return p, 7
	}
	collect := func(L *lua.LState, from, extra int) *lua.LTable {
		n := L.GetTop()
		v := L.CreateTable(max(n-from, 0), extra)
		for i := from + 1; i <= n; i++ {
			v.RawSetInt(i-from, L.Get(i))
		}
		return v
	}
	env.RawSetString(quoteList, L.NewFunction(func(L *lua.LState) int {
		p, from := read(L)
		v := collect(L, from, 1)
		t.setSource(v, p)
		v.Metatable = t.list
		L.Push(v)
		return 1
	}))
	env.RawSetString(quoteSeq, L.NewFunction(func(L *lua.LState) int {
		p, from := read(L)
		v := collect(L, from, 0)
		v.Metatable = t.sequenceMeta(L, p)
		L.Push(v)
		return 1
	}))
	env.RawSetString(quoteSym, L.NewFunction(func(L *lua.LState) int {
		p, from := read(L)
		v := L.CreateTable(1, 2)
		v.RawSetInt(1, L.Get(from+1))
		t.setSource(v, p)
		if L.Get(from+2) == lua.LTrue {
			v.RawSetString("quoted", lua.LTrue)
		}
		v.Metatable = t.sym
		L.Push(v)
		return 1
	}))
	env.RawSetString(quoteTable, L.NewFunction(func(L *lua.LState) int {
		v, mt, keys := L.NewTable(), L.CreateTable(0, 4), L.NewTable()
		p, from := read(L)
		for i := from + 1; i <= L.GetTop(); i += 2 {
			k := L.Get(i)
			if k == lua.LNil {
				L.RaiseError("table index is nil")
			}
			keys.Append(k)
			v.RawSet(k, L.Get(i+1))
		}
		t.setSource(mt, p)
		mt.Metatable = t.placed
		mt.RawSetString("keys", keys)
		v.Metatable = mt
		L.Push(v)
		return 1
	}))
}
