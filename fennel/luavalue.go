package fennel

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// luaTypes are what tells pieces of syntax from other tables in a Lua state: the metatables of lists, symbols, varargs
// and comments, and the mark in the metatable of a sequence.
type luaTypes struct {
	list, sym, varg, comment *lua.LTable
	sequence                 *lua.LTable
	seqView                  *lua.LFunction
	placed                   *lua.LTable // metatable of the metatables of sequences and tables
	place                    *lua.LTable // metatable of places
	// spelled writes places as fields: what a script's parser gives it may walk with pairs, and print.
	spelled bool
}

func newLuaTypes(L *lua.LState) *luaTypes {
	t := &luaTypes{list: L.NewTable(), sym: L.NewTable(), varg: L.NewTable(), comment: L.NewTable(), sequence: L.NewTable()}
	mark := func(mt *lua.LTable, name string) { mt.RawSetInt(1, lua.LString(name)) }
	mark(t.list, "LIST")
	mark(t.sym, "SYMBOL")
	mark(t.varg, "VARARG")
	mark(t.comment, "COMMENT")
	t.sequence.RawSetInt(1, lua.LString("SEQUENCE"))
	deref := L.NewFunction(func(L *lua.LState) int {
		L.Push(L.CheckTable(1).RawGetInt(1))
		return 1
	})
	same := L.NewFunction(func(L *lua.LState) int {
		a, b := L.CheckTable(1), L.CheckTable(2)
		L.Push(lua.LBool(a.RawGetInt(1) == b.RawGetInt(1) && a.Metatable == b.Metatable))
		return 1
	})
	less := L.NewFunction(func(L *lua.LState) int {
		a, b := L.CheckTable(1), L.CheckTable(2)
		L.Push(lua.LBool(a.RawGetInt(1).String() < b.RawGetInt(1).String()))
		return 1
	})
	for _, mt := range []*lua.LTable{t.sym, t.comment} {
		mt.RawSetString("__tostring", deref)
		mt.RawSetString("__eq", same)
		mt.RawSetString("__lt", less)
	}
	t.sym.RawSetString("__fennelview", deref)
	t.varg.RawSetString("__fennelview", deref)
	t.varg.RawSetString("__tostring", deref)
	t.comment.RawSetString("__fennelview", L.NewFunction(func(L *lua.LState) int {
		L.Push(L.Get(1))
		return 1
	}))
	listText := L.NewFunction(t.listText)
	t.list.RawSetString("__tostring", listText)
	t.list.RawSetString("__fennelview", listText)
	t.seqView = L.NewFunction(sequenceView)
	t.placed, t.place = L.NewTable(), L.NewTable()
	index := L.NewFunction(indexPlace)
	for _, mt := range []*lua.LTable{t.list, t.sym, t.varg, t.comment, t.placed} {
		mt.RawSetString("__index", index)
	}
	t.place.RawSetString("__eq", L.NewFunction(samePlace))
	placeText := L.NewFunction(func(L *lua.LState) int {
		p, _ := L.CheckUserData(1).Value.(*Pos)
		L.Push(lua.LString(fmt.Sprintf("#<%s:%d:%d>", p.filename(), p.Line, p.Col)))
		return 1
	})
	t.place.RawSetString("__tostring", placeText)
	t.place.RawSetString("__fennelview", placeText)
	return t
}

// listText writes a list, through the view function if the printer hands one over.
func (t *luaTypes) listText(L *lua.LState) int {
	self := L.CheckTable(1)
	var parts []string
	for i := 1; i <= self.MaxN(); i++ {
		v := self.RawGetInt(i)
		if view, ok := L.Get(2).(*lua.LFunction); ok {
			L.Push(view)
			L.Push(v)
			L.Push(L.Get(3))
			L.Push(L.Get(4))
			L.Call(3, 1)
			parts = append(parts, L.ToString(-1))
			L.Pop(1)
			continue
		}
		parts = append(parts, View(L, v, nil))
	}
	L.Push(lua.LString("(" + strings.Join(parts, " ") + ")"))
	return 1
}

// sequenceView asks the printer to write an empty sequence as [] and not to come back here for the same value.
func sequenceView(L *lua.LState) int {
	seq, view, inspector, indent := L.Get(1), L.Get(2), L.CheckTable(3), L.Get(4)
	once := func(name string, val lua.LBool) {
		o := L.NewTable()
		o.RawSetString("once", val)
		o.RawSetString("after", inspector.RawGetString(name))
		inspector.RawSetString(name, o)
	}
	once("empty-as-sequence?", lua.LTrue)
	once("metamethod?", lua.LFalse)
	L.Push(view)
	L.Push(seq)
	L.Push(inspector)
	L.Push(indent)
	L.Call(3, 1)
	return 1
}

// toLua makes the tables that macros see of a node.
func (t *luaTypes) toLua(L *lua.LState, n Node) lua.LValue {
	switch x := n.(type) {
	case nil:
		return lua.LNil
	case *Str:
		return lua.LString(x.Val)
	case *Num:
		return lua.LNumber(x.Val)
	case *Bool:
		return lua.LBool(x.Val)
	case *Foreign:
		return x.Val
	case *Sym:
		v := L.CreateTable(1, 1)
		v.RawSetInt(1, lua.LString(x.Name))
		t.setSource(v, &x.Pos)
		if x.quoted {
			v.RawSetString("quoted", lua.LTrue)
		}
		v.Metatable = t.sym
		return v
	case *Varg:
		v := L.CreateTable(1, 1)
		v.RawSetInt(1, lua.LString("..."))
		t.setSource(v, &x.Pos)
		v.Metatable = t.varg
		return v
	case *Comment:
		v := L.CreateTable(1, 1)
		v.RawSetInt(1, lua.LString(x.Text))
		t.setSource(v, &x.Pos)
		v.Metatable = t.comment
		return v
	case *List:
		v := L.CreateTable(len(x.Items), 1)
		for i, item := range x.Items {
			v.RawSetInt(i+1, t.toLua(L, item))
		}
		t.setSource(v, &x.Pos)
		v.Metatable = t.list
		return v
	case *Seq:
		v := L.CreateTable(len(x.Items), 0)
		for i, item := range x.Items {
			v.RawSetInt(i+1, t.toLua(L, item))
		}
		v.Metatable = t.sequenceMeta(L, &x.Pos)
		return v
	case *Table:
		return t.tableToLua(L, x)
	}
	return lua.LNil
}

func (t *luaTypes) sequenceMeta(L *lua.LState, p *Pos) *lua.LTable {
	mt := L.CreateTable(0, 4)
	t.setSource(mt, p)
	mt.RawSetString("sequence", t.sequence)
	mt.RawSetString("__fennelview", t.seqView)
	mt.Metatable = t.placed
	return mt
}

func (t *luaTypes) tableToLua(L *lua.LState, x *Table) lua.LValue {
	v := L.CreateTable(0, len(x.Keys))
	mt := L.CreateTable(0, 4)
	mt.Metatable = t.placed
	t.setSource(mt, &x.Pos)
	keys := L.CreateTable(len(x.Keys), 0)
	for i := range x.Keys {
		k := t.toLua(L, x.Keys[i])
		if k == lua.LNil {
			continue
		}
		keys.Append(k)
		v.RawSet(k, t.toLua(L, x.Vals[i]))
	}
	mt.RawSetString("keys", keys)
	if x.comments != nil {
		mt.RawSetString("comments", t.commentsToLua(L, x.comments))
	}
	v.Metatable = mt
	return v
}

func (t *luaTypes) commentsToLua(L *lua.LState, c *tableComments) lua.LValue {
	list := func(nodes []Node) *lua.LTable {
		out := L.NewTable()
		for _, n := range nodes {
			out.Append(t.toLua(L, n))
		}
		return out
	}
	side := func(all []attachedComment) *lua.LTable {
		out := L.NewTable()
		for _, a := range all {
			out.RawSet(t.toLua(L, a.to), list(a.all))
		}
		return out
	}
	out := L.NewTable()
	out.RawSetString("keys", side(c.keys))
	out.RawSetString("values", side(c.values))
	out.RawSetString("last", list(c.last))
	return out
}

// fromLua reads a node back from what a macro returned. Nodes without a place are at the macro's call.
func (t *luaTypes) fromLua(v lua.LValue, at Pos, depth int) Node {
	switch x := v.(type) {
	case *lua.LNilType:
		return nil
	case lua.LString:
		return &Str{Pos: at, Val: string(x)}
	case lua.LNumber:
		return &Num{Pos: at, Val: float64(x)}
	case lua.LBool:
		return &Bool{Pos: at, Val: bool(x)}
	case *lua.LTable:
		if depth > maxExpansion {
			failAt(&List{Pos: at}, "forms nested more than %d deep", maxExpansion)
		}
		return t.tableFromLua(x, at, depth+1)
	}
	return &Foreign{Pos: at, Val: v}
}

func (t *luaTypes) tableFromLua(x *lua.LTable, at Pos, depth int) Node {
	switch x.Metatable {
	case t.list:
		p := t.source(x, at)
		return &List{Pos: p, Items: t.items(x, p, depth)}
	case t.sym:
		name, _ := x.RawGetInt(1).(lua.LString)
		s := newSym(string(name), t.source(x, at))
		s.quoted = x.RawGetString("quoted") == lua.LTrue
		s.closed = x.RawGetString("to-be-closed") == lua.LTrue
		return s
	case t.varg:
		return &Varg{Pos: t.source(x, at)}
	case t.comment:
		text, _ := x.RawGetInt(1).(lua.LString)
		return &Comment{Pos: t.source(x, at), Text: string(text)}
	}
	p := at
	mt, _ := x.Metatable.(*lua.LTable)
	if mt != nil {
		p = t.source(mt, at)
		if mt.RawGetString("sequence") == t.sequence {
			return &Seq{Pos: p, Items: t.items(x, p, depth)}
		}
	}
	n := &Table{Pos: p}
	stablePairs(x, func(k, v lua.LValue) bool {
		n.Keys = append(n.Keys, t.fromLua(k, p, depth))
		n.Vals = append(n.Vals, t.fromLua(v, p, depth))
		return true
	})
	return n
}

func (t *luaTypes) items(x *lua.LTable, p Pos, depth int) []Node {
	n := x.MaxN()
	items := make([]Node, n)
	for i := range items {
		items[i] = t.fromLua(x.RawGetInt(i+1), p, depth)
		if items[i] == nil {
			items[i] = &Sym{Pos: p, Name: "nil"}
		}
	}
	return items
}
