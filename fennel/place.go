package fennel

import (
	lua "github.com/yuin/gopher-lua"
)

func samePlace(L *lua.LState) int {
	a, okA := L.CheckUserData(1).Value.(*Pos)
	b, okB := L.CheckUserData(2).Value.(*Pos)
	L.Push(lua.LBool(okA && okB && a.filename() == b.filename() && a.Line == b.Line && a.Col == b.Col))
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
