package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// Version is the version of the language, as (. (require :fennel) :version) gives it: what the reference calls itself
// in the tree after its release 1.6.1, whose one novelty (macros that are callable tables) is here.
const Version = "1.7.0-dev"

// syntaxFunctions adds the functions that make and recognise pieces of syntax. Macros and scripts share them.
func (k *Compiler) syntaxFunctions(env *lua.LTable) {
	L, t := k.L, k.types
	set := func(name string, f lua.LGFunction) { env.RawSetString(name, L.NewFunction(f)) }
	set("list", func(L *lua.LState) int {
		v := packed(L, 1)
		v.Metatable = t.list
		L.Push(v)
		return 1
	})
	set("sequence", func(L *lua.LState) int {
		v := packed(L, 1)
		v.Metatable = t.sequenceMeta(L, &Pos{})
		L.Push(v)
		return 1
	})
	set("sym", func(L *lua.LState) int {
		name, ok := L.Get(1).(lua.LString)
		if !ok {
			L.RaiseError("sym expects a string as the first argument, received %s", L.Get(1).Type())
		}
		L.Push(sourced(L, L.Get(2), name, t.sym))
		return 1
	})
	set("varg", func(L *lua.LState) int {
		L.Push(sourced(L, L.Get(1), lua.LString("..."), t.varg))
		return 1
	})
	set("comment", func(L *lua.LState) int {
		v := L.CreateTable(1, 2)
		v.RawSetInt(1, L.Get(1))
		if src, ok := L.Get(2).(*lua.LTable); ok {
			v.RawSetString("filename", src.RawGetString("filename"))
			v.RawSetString("line", src.RawGetString("line"))
		}
		v.Metatable = t.comment
		L.Push(v)
		return 1
	})
	is := func(name string, test func(x *lua.LTable) bool) {
		set(name, func(L *lua.LState) int {
			if x, ok := L.Get(1).(*lua.LTable); ok && test(x) {
				L.Push(x)
			} else {
				L.Push(lua.LFalse)
			}
			return 1
		})
	}
	is("list?", func(x *lua.LTable) bool { return x.Metatable == t.list })
	is("varg?", func(x *lua.LTable) bool { return x.Metatable == t.varg })
	is("comment?", func(x *lua.LTable) bool { return x.Metatable == t.comment })
	is("sequence?", t.isSequence)
	is("table?", func(x *lua.LTable) bool {
		return x.Metatable != t.list && x.Metatable != t.sym && x.Metatable != t.varg && x.Metatable != t.comment
	})
	set("sym?", func(L *lua.LState) int {
		x, ok := L.Get(1).(*lua.LTable)
		if ok && x.Metatable == t.sym && (L.Get(2) == lua.LNil || x.RawGetInt(1) == L.Get(2)) {
			L.Push(x)
		} else {
			L.Push(lua.LFalse)
		}
		return 1
	})
	set("multi-sym?", func(L *lua.LState) int {
		name, ok := L.Get(1).(lua.LString)
		if x, isTable := L.Get(1).(*lua.LTable); isTable && x.Metatable == t.sym {
			name, ok = x.RawGetInt(1).(lua.LString)
		}
		if !ok {
			L.Push(lua.LFalse)
			return 1
		}
		m := splitMulti(string(name))
		if m == nil {
			// nil for a name of one segment, false for one that only looks as if it had more: patterns tell them apart.
			if strings.ContainsAny(string(name), ".:") {
				L.Push(lua.LFalse)
			} else {
				L.Push(lua.LNil)
			}
			return 1
		}
		out := L.NewTable()
		for _, p := range m.parts {
			out.Append(lua.LString(p))
		}
		if m.method {
			out.RawSetString("multi-sym-method-call", lua.LTrue)
		}
		L.Push(out)
		return 1
	})
	set("ast-source", func(L *lua.LState) int {
		L.Push(t.sourceTable(L, L.Get(1)))
		return 1
	})
	set("assert-compile", func(L *lua.LState) int {
		if lua.LVAsBool(L.Get(1)) {
			L.Push(L.Get(1))
			return 1
		}
		k.assertCompile(L, L.Get(2).String(), L.Get(3), L.Get(4))
		return 0
	})
	set("view", viewFunction)
}

// assertCompile raises a compile error about a piece of syntax.
func (k *Compiler) assertCompile(L *lua.LState, msg string, at, fallback lua.LValue) {
	t := k.types
	pick := at
	if src := t.sourceTable(L, at); !hasFields(src) && fallback != lua.LNil {
		pick = fallback
	}
	var here Pos
	if k.current != nil {
		here.file = k.current.fileOf(t.sourceTable(L, pick))
	}
	n := t.fromLua(pick, here, 0)
	if _, ok := pick.(*lua.LTable); !ok {
		n = nil
	}
	k.throw(L, compileErrorAt(n, msg))
}

// fileOf finds the text of the file that a place names, when it is the one being compiled.
func (c *compilation) fileOf(src *lua.LTable) *sourceFile {
	if p := placeOfTable(src); p != nil && p.file != nil {
		return p.file
	}
	name, ok := src.RawGetString("filename").(lua.LString)
	if !ok {
		return nil
	}
	return c.k.fileNamed(string(name))
}

// fileNamed is the file of that name which is being compiled, or one without text.
func (k *Compiler) fileNamed(name string) *sourceFile {
	if f := k.files[name]; f != nil {
		return f
	}
	return &sourceFile{name: name}
}

func hasFields(t *lua.LTable) bool {
	k, _ := t.Next(lua.LNil)
	return k != lua.LNil
}

func (t *luaTypes) isSequence(x *lua.LTable) bool {
	mt, ok := x.Metatable.(*lua.LTable)
	return ok && mt.RawGetString("sequence") == t.sequence
}

// sourceTable is where a piece of syntax keeps its place: itself, or its metatable when its fields are its own.
func (t *luaTypes) sourceTable(L *lua.LState, v lua.LValue) *lua.LTable {
	x, ok := v.(*lua.LTable)
	if !ok {
		return L.NewTable()
	}
	switch x.Metatable {
	case t.list, t.sym, t.varg, t.comment:
		return x
	}
	if mt, ok := x.Metatable.(*lua.LTable); ok {
		return mt
	}
	return L.NewTable()
}

func packed(L *lua.LState, from int) *lua.LTable {
	n := L.GetTop()
	v := L.CreateTable(n, 0)
	for i := from; i <= n; i++ {
		v.RawSetInt(i-from+1, L.Get(i))
	}
	return v
}

// sourced makes a marked table of one item with the string fields of a place.
func sourced(L *lua.LState, src lua.LValue, name lua.LString, mt *lua.LTable) *lua.LTable {
	v := L.CreateTable(1, 1)
	if s, ok := src.(*lua.LTable); ok {
		s.ForEach(func(key, val lua.LValue) {
			if _, ok := key.(lua.LString); ok {
				v.RawSet(key, val)
			}
		})
	}
	v.RawSetInt(1, name)
	v.Metatable = mt
	return v
}
