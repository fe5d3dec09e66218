package fennel

import (
	lua "github.com/yuin/gopher-lua"
)

// scopeValue is a scope as macros and plugins see it: a table whose fields are looked up here.
func (k *Compiler) scopeValue(s *Scope) *lua.LTable {
	k.vm()
	if s.handle != nil {
		return s.handle
	}
	h := k.L.NewTable()
	s.handle = h
	if k.scopes == nil {
		k.scopes = map[*lua.LTable]*Scope{}
	}
	k.scopes[h] = s
	mt := k.L.NewTable()
	mt.RawSetString("__index", k.L.NewFunction(func(L *lua.LState) int {
		L.Push(k.scopeField(s, L.Get(2).String()))
		return 1
	}))
	mt.RawSetString("__newindex", k.L.NewFunction(func(L *lua.LState) int {
		switch L.Get(2).String() {
		case "vararg":
			s.vararg = lua.LVAsBool(L.Get(3))
		case "hashfn":
			s.hashfn = lua.LVAsBool(L.Get(3))
		default:
			L.RawSet(h, L.Get(2), L.Get(3))
		}
		return 0
	}))
	h.Metatable = mt
	return h
}

// scopeOf is the scope that a script's value stands for, if it is one.
func (k *Compiler) scopeOf(v lua.LValue) *Scope {
	if t, ok := v.(*lua.LTable); ok {
		return k.scopes[t]
	}
	if v == lua.LString("_COMPILER") {
		return k.macros
	}
	return nil
}

func (k *Compiler) scopeField(s *Scope, name string) lua.LValue {
	switch name {
	case "parent":
		if s.parent != nil {
			return k.scopeValue(s.parent)
		}
	case "vararg":
		return lua.LBool(s.vararg)
	case "hashfn":
		return lua.LBool(s.hashfn)
	case "depth":
		return lua.LNumber(s.depth)
	case "macros":
		return k.macrosValue(s)
	case "specials":
		return k.specialsTable()
	case "symmeta":
		return k.symmetaValue(s)
	case "manglings", "unmanglings":
		return k.manglingsValue(s, name == "unmanglings")
	case "includes", "gensyms", "autogensyms", "refedglobals", "gensym-base":
		return k.L.NewTable()
	}
	return lua.LNil
}

// inherit makes a table look further in the same table of the scope outside.
func (k *Compiler) inherit(t *lua.LTable, s *Scope, field string) {
	mt := k.L.NewTable()
	mt.RawSetString("__index", k.L.NewFunction(func(L *lua.LState) int {
		if s.parent == nil {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(L.GetTable(k.scopeField(s.parent, field).(*lua.LTable), L.Get(2)))
		return 1
	}))
	t.Metatable = mt
}

// symmetaValue holds a table about each local of the scope itself. The tables stay the same, so that what a plugin
// writes into them is there when it looks again.
func (k *Compiler) symmetaValue(s *Scope) lua.LValue {
	if s.symmeta == nil {
		s.symmeta = k.L.NewTable()
		k.inherit(s.symmeta, s, "symmeta")
	}
	for i := range s.names.list {
		b := &s.names.list[i]
		if b.meta == nil || b.name == "" {
			continue
		}
		if b.meta.lua == nil {
			m := k.L.NewTable()
			m.RawSetString("symbol", k.types.toLua(k.L, b.meta.symbol))
			if b.meta.mutable {
				m.RawSetString("var", lua.LTrue)
			}
			b.meta.lua = m
		}
		if b.meta.used {
			b.meta.lua.RawSetString("used", lua.LTrue)
		}
		s.symmeta.RawSetString(b.name, b.meta.lua)
	}
	return s.symmeta
}

func (k *Compiler) manglingsValue(s *Scope, reverse bool) lua.LValue {
	field := "manglings"
	if reverse {
		field = "unmanglings"
	}
	t := k.L.NewTable()
	k.inherit(t, s, field)
	for _, b := range s.names.list {
		switch {
		case b.name == "":
		case reverse:
			t.RawSetString(b.lua, lua.LString(b.name))
		default:
			t.RawSetString(b.name, lua.LString(b.lua))
		}
	}
	return t
}

// macrosValue is the scope's own macros; writing to it defines one.
func (k *Compiler) macrosValue(s *Scope) lua.LValue {
	t := k.L.NewTable()
	for name, m := range s.macros {
		if m != nil {
			t.RawSetString(name, k.macroValue(m))
		}
	}
	proxy := k.L.NewTable()
	mt := k.L.NewTable()
	mt.RawSetString("__index", k.L.NewFunction(func(L *lua.LState) int {
		if m := s.macro(L.Get(2).String()); m != nil {
			L.Push(k.macroValue(m))
		} else {
			L.Push(lua.LNil)
		}
		return 1
	}))
	mt.RawSetString("__newindex", k.L.NewFunction(func(L *lua.LState) int {
		name := L.Get(2).String()
		if L.Get(3) == lua.LNil || L.Get(3) == lua.LFalse {
			s.setMacro(name, nil)
		} else {
			s.setMacro(name, &macro{value: L.Get(3)})
		}
		return 0
	}))
	mt.RawSetString("__pairs", k.L.NewFunction(func(L *lua.LState) int {
		L.Push(L.G.Global.RawGetString("next"))
		L.Push(t)
		L.Push(lua.LNil)
		return 3
	}))
	proxy.Metatable = mt
	return proxy
}

// macroValue is a macro as a Lua function of its arguments.
func (k *Compiler) macroValue(m *macro) lua.LValue {
	if m.native == nil {
		return m.value
	}
	if k.natives == nil {
		k.natives = map[*macro]lua.LValue{}
	}
	if v, ok := k.natives[m]; ok {
		return v
	}
	v := k.L.NewFunction(func(L *lua.LState) int {
		x := &List{Items: []Node{&Sym{Name: "macro"}}}
		for i := 1; i <= L.GetTop(); i++ {
			n := k.types.fromLua(L.Get(i), Pos{}, 0)
			if n == nil {
				n = &Sym{Name: "nil"}
			}
			x.Items = append(x.Items, n)
		}
		for name, core := range coreMacros {
			if core == m {
				x.Items[0] = &Sym{Name: name}
			}
		}
		k.guard(L, func() {
			c := k.compiling(&compilation{k: k, opts: &Options{}, root: rootScope(k.global), line: 1})
			e := &expansion{c: c, s: k.macroScope(c.root)}
			L.Push(k.types.toLua(L, m.native(e, x)))
		})
		return 1
	})
	k.natives[m] = v
	for name, core := range coreMacros {
		if core == m {
			k.describe(v, name)
			break
		}
	}
	return v
}
