package fennel

import (
	"fmt"
	"sort"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
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

func samePlace(L *lua.LState) int {
	a, okA := L.CheckUserData(1).Value.(*Pos)
	b, okB := L.CheckUserData(2).Value.(*Pos)
	L.Push(lua.LBool(okA && okB && a.filename() == b.filename() && a.Line == b.Line && a.Col == b.Col))
	return 1
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

// placeKey holds a node's place: one value instead of seven fields, which a macro's every argument would pay for.
// The metatables of syntax answer for line, col, filename, bytestart, byteend, endline and endcol.
const placeKey = "fnl/place"

// setSource writes a place into a table: the node itself, or its metatable.
func (t *luaTypes) setSource(v *lua.LTable, p *Pos) {
	if t.spelled {
		for _, name := range placeFields {
			if f := placeField(p, name); f != lua.LNil {
				v.RawSetString(name, f)
			}
		}
		return
	}
	if p.known() {
		v.RawSetString(placeKey, &lua.LUserData{Value: p, Metatable: t.place})
	}
}

var placeFields = []string{"filename", "line", "col", "bytestart", "byteend", "endline", "endcol"}

// placeField is what a place says under a field's name.
func placeField(p *Pos, name string) lua.LValue {
	number := func(known bool, n int32) lua.LValue {
		if !known {
			return lua.LNil
		}
		return lua.LNumber(n)
	}
	switch name {
	case "filename":
		if p.file != nil {
			return lua.LString(p.file.name)
		}
	case "line":
		return number(p.Line > 0, p.Line)
	case "col":
		return number(p.Line > 0, p.Col)
	case "bytestart":
		return number(p.ByteStart > 0, p.ByteStart)
	case "byteend":
		return number(p.ByteEnd > 0, p.ByteEnd)
	case "endline":
		return number(p.ByteEnd > 0, p.EndLine)
	case "endcol":
		return number(p.ByteEnd > 0, p.EndCol)
	}
	return lua.LNil
}

// placeOfTable is the place that a table holds.
func placeOfTable(v *lua.LTable) *Pos {
	ud, ok := v.RawGetString(placeKey).(*lua.LUserData)
	if !ok {
		return nil
	}
	p, _ := ud.Value.(*Pos)
	return p
}

// indexPlace is __index of everything that holds a place.
func indexPlace(L *lua.LState) int {
	v, ok := L.Get(1).(*lua.LTable)
	name, isName := L.Get(2).(lua.LString)
	if ok && isName {
		if p := placeOfTable(v); p != nil {
			L.Push(placeField(p, string(name)))
			return 1
		}
	}
	L.Push(lua.LNil)
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

// source reads a place back. A place in another file than the call's gives way to the call: a person wants to see
// where the macro was used.
func (t *luaTypes) source(v *lua.LTable, at Pos) Pos {
	p := Pos{}
	if held := placeOfTable(v); held != nil {
		p = *held
	}
	// What a macro wrote counts before what was read.
	if file, ok := v.RawGetString("filename").(lua.LString); ok && (p.file == nil || p.file.name != string(file)) {
		p.file = &sourceFile{name: string(file)}
		if at.file != nil && at.file.name == string(file) {
			p.file = at.file
		}
	}
	number := func(name string, into *int32) {
		if n, ok := v.RawGetString(name).(lua.LNumber); ok {
			*into = int32(n)
		}
	}
	number("line", &p.Line)
	number("col", &p.Col)
	number("bytestart", &p.ByteStart)
	number("byteend", &p.ByteEnd)
	number("endline", &p.EndLine)
	number("endcol", &p.EndCol)
	if at.file != nil && (p.file == nil || p.file.name != at.file.name) || p.Line == 0 {
		return at
	}
	if p.file == nil || p.file != at.file && at.file != nil && p.file.text == nil {
		p.file = at.file
	}
	if p.EndLine == 0 {
		p.EndLine, p.EndCol = p.Line, p.Col
	}
	return p
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

// stablePairs visits a table in an order that is the same every time: keys in the order they were written, when the
// table is a literal, then the rest by type and value.
func stablePairs(x *lua.LTable, visit func(k, v lua.LValue) bool) {
	seen := map[lua.LValue]bool{}
	if mt, ok := x.Metatable.(*lua.LTable); ok {
		if keys, ok := mt.RawGetString("keys").(*lua.LTable); ok {
			for i := 1; i <= keys.Len(); i++ {
				k := keys.RawGetInt(i)
				v := x.RawGet(k)
				if v == lua.LNil || seen[k] {
					continue
				}
				seen[k] = true
				if !visit(k, v) {
					return
				}
			}
		}
	}
	var rest []lua.LValue
	x.ForEach(func(k, v lua.LValue) {
		if !seen[k] {
			rest = append(rest, k)
		}
	})
	sort.SliceStable(rest, func(i, j int) bool { return keyLess(rest[i], rest[j]) })
	for _, k := range rest {
		v := x.RawGet(k)
		if v == lua.LNil {
			continue
		}
		if !visit(k, v) {
			return
		}
	}
}

// keyLess orders numbers, booleans, strings, tables and the rest.
func keyLess(a, b lua.LValue) bool {
	ra, rb := keyRank(a), keyRank(b)
	if ra != rb {
		return ra < rb
	}
	if x, ok := a.(lua.LNumber); ok {
		return x < b.(lua.LNumber)
	}
	if x, ok := a.(lua.LString); ok {
		return x < b.(lua.LString)
	}
	return keyText(a) < keyText(b)
}

func keyRank(v lua.LValue) int {
	switch v.Type() {
	case lua.LTNumber:
		return 1
	case lua.LTBool:
		return 2
	case lua.LTString:
		return 3
	case lua.LTTable:
		return 4
	}
	return 5
}

func keyText(v lua.LValue) string {
	if t, ok := v.(*lua.LTable); ok {
		if s, ok := t.RawGetInt(1).(lua.LString); ok {
			return string(s)
		}
	}
	return v.String()
}

// runMacro calls a program's own macro on the arguments of a call.
func (c *compilation) runMacro(fn lua.LValue, x *List, s *Scope) Node {
	k := c.k.vm()
	L := k.L
	top := L.GetTop()
	L.Push(fn)
	for _, a := range x.Items[1:] {
		L.Push(k.types.toLua(L, a))
	}
	at := x.Pos
	if at.Line == 0 {
		at.Line = int32(c.line)
	}
	previous := k.current
	k.current = c
	err := vm.PCall(L, len(x.Items)-1, 1, k.tracer)
	k.current = previous
	if err != nil {
		L.SetTop(top)
		c.raise(err, x)
	}
	v := L.Get(-1)
	L.SetTop(top)
	return k.types.fromLua(v, at, 0)
}

// raise turns an error of a macro into a compile error about its call. Errors that the compiler raised inside go on as
// they are.
func (c *compilation) raise(err error, x Node) {
	api, ok := err.(*lua.ApiError)
	if !ok {
		failAt(x, "%s", err.Error())
	}
	if e, ok := api.Cause.(*Error); ok {
		panic(e)
	}
	if ud, ok := api.Object.(*lua.LUserData); ok {
		if e, ok := ud.Value.(*Error); ok {
			panic(e)
		}
	}
	// A handler that makes tracebacks loses the cause.
	if c.k.thrown != nil && api.Object != nil && api.Object == c.k.thrownAs {
		panic(c.k.thrown)
	}
	msg := ""
	if api.Object != nil {
		msg = vm.ToString(c.k.L, api.Object)
	} else {
		msg = api.Error()
	}
	failAt(x, "%s", msg)
}
