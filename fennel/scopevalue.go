package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
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

// specialsTable is the table of special forms. Reading gives a function that compiles a form; writing defines a new
// special form for every program of this world.
func (k *Compiler) specialsTable() *lua.LTable {
	k.vm()
	if k.specials != nil {
		return k.specials
	}
	L := k.L
	t := L.NewTable()
	k.specials = t
	mt := L.NewTable()
	made := map[string]lua.LValue{}
	mt.RawSetString("__index", L.NewFunction(func(L *lua.LState) int {
		name := L.Get(2).String()
		f := k.global.special(name)
		if f == nil {
			L.Push(lua.LNil)
			return 1
		}
		if _, ok := made[name]; !ok {
			made[name] = L.NewFunction(func(L *lua.LState) int { return k.callSpecial(L, name) })
			k.describe(made[name], name)
		}
		L.Push(made[name])
		return 1
	}))
	mt.RawSetString("__newindex", L.NewFunction(func(L *lua.LState) int {
		name, fn := L.Get(2).String(), L.Get(3)
		if k.global.specials == nil {
			k.global.specials = map[string]special{}
		}
		if fn == lua.LNil {
			delete(k.global.specials, name)
			return 0
		}
		made[name] = fn
		k.global.specials[name] = luaSpecial(fn)
		return 0
	}))
	t.Metatable = mt
	return t
}

// outcomeOfSpecial is what a special form gave, on its way through Lua.
type outcomeOfSpecial struct {
	list []expr
	done bool
}

// callSpecial runs a special form that Lua calls: (special ast scope parent opts).
func (k *Compiler) callSpecial(L *lua.LState, name string) int {
	k.guard(L, func() {
		c := k.compiling(&compilation{k: k, opts: &Options{}, root: rootScope(k.global), line: 1})
		x, ok := k.types.fromLua(L.Get(1), Pos{}, 0).(*List)
		if !ok {
			failAt(nil, "expected a form")
		}
		s := k.scopeOf(L.Get(2))
		if s == nil {
			s = c.root
		}
		b := &block{}
		parent, _ := L.Get(3).(*lua.LTable)
		if known := k.blocks[parent]; known != nil {
			b = known
		}
		if name == "require-macros" && parent != nil {
			L.Push(c.macroModule(x.Items[len(x.Items)-1], x, x))
			return
		}
		opts, _ := L.Get(4).(*lua.LTable)
		w, known := k.wants[opts]
		if !known {
			w = c.wantFromLua(opts)
		}
		list, done := k.global.special(name)(c, x, s, b, w)
		ud := L.NewUserData()
		ud.Value = outcomeOfSpecial{list, done}
		L.Push(ud)
	})
	return 1
}

func (c *compilation) wantFromLua(t *lua.LTable) want {
	w := want{nval: anyValues}
	if t == nil {
		return w
	}
	if n, ok := t.RawGetString("nval").(lua.LNumber); ok {
		w.nval = int(n)
	}
	w.tail = lua.LVAsBool(t.RawGetString("tail"))
	if s, ok := t.RawGetString("target").(lua.LString); ok {
		for _, name := range strings.Split(string(s), ",") {
			w.target = append(w.target, c.ident(strings.TrimSpace(name), c.line))
		}
	}
	return w
}

// luaSpecial makes a special form of a script's function.
func luaSpecial(fn lua.LValue) special {
	return func(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
		k := c.k.vm()
		L := k.L
		parent, opts := L.NewTable(), L.NewTable()
		if k.blocks == nil {
			k.blocks, k.wants = map[*lua.LTable]*block{}, map[*lua.LTable]want{}
		}
		k.blocks[parent], k.wants[opts] = b, w
		defer func() {
			delete(k.blocks, parent)
			delete(k.wants, opts)
		}()
		if w.nval != anyValues {
			opts.RawSetString("nval", lua.LNumber(w.nval))
		}
		if w.tail {
			opts.RawSetString("tail", lua.LTrue)
		}
		v := c.call1(fn, x, k.types.toLua(L, x), k.scopeValue(s), parent, opts)
		for i := 1; i <= parent.Len(); i++ {
			c.emitLeaf(parent.RawGetInt(i), x, b)
		}
		if ud, ok := v.(*lua.LUserData); ok {
			if o, ok := ud.Value.(outcomeOfSpecial); ok {
				return o.list, o.done
			}
		}
		return c.compileValue(v, x, s, b)
	}
}

// emitLeaf takes a line of Lua text that a script's special form put into its block.
func (c *compilation) emitLeaf(v lua.LValue, x *List, b *block) {
	t, ok := v.(*lua.LTable)
	if !ok {
		return
	}
	text, ok := t.RawGetString("leaf").(lua.LString)
	if !ok {
		return
	}
	chunk, err := luacode.Parse(string(text), "lua")
	if err != nil {
		failAt(x, "invalid Lua code: %s", luaSyntax(err))
	}
	line := c.lineOf(x)
	luacode.Relocate(chunk, line)
	raw := &luacode.RawStmts{Text: string(text), Stmts: chunk}
	raw.SetLine(line)
	b.emit(raw)
}

// exprsFromLua reads the expressions that a script's special form returned: {text :type kind}, or a list of them.
func (k *Compiler) exprsFromLua(c *compilation, t *lua.LTable, x *List) ([]expr, bool) {
	if text, ok := t.RawGetInt(1).(lua.LString); ok && t.RawGetString("type") != lua.LNil {
		return []expr{c.exprFromText(string(text), t.RawGetString("type").String(), x)}, true
	}
	var out []expr
	for i := 1; i <= t.Len(); i++ {
		item, ok := t.RawGetInt(i).(*lua.LTable)
		if !ok {
			return nil, false
		}
		list, ok := k.exprsFromLua(c, item, x)
		if !ok {
			return nil, false
		}
		out = append(out, list...)
	}
	return out, len(out) > 0
}

func (c *compilation) exprFromText(text, kind string, x *List) expr {
	e := expr{c.rawExpr(text, x), valueExpr}
	switch kind {
	case "literal":
		e.kind = literalExpr
	case "statement":
		e.kind = callExpr
	case "sym":
		e.kind = nameExpr
	}
	return e
}

// luaCompile1 compiles a form inside a scope: (compile1 ast scope parent opts). Statements are added to parent as lines
// of Lua text; the expressions come back as {text :type kind}.
func (k *Compiler) luaCompile1(L *lua.LState) int {
	k.run(L, nil, func() {
		o := k.LuaOptions(k.options)
		root := k.scopeOf(L.Get(2))
		if root == nil {
			root = rootScope(k.global)
		}
		c := k.current
		if c == nil {
			c = &compilation{k: k, opts: &o, root: root, rootBlk: &block{}, line: 1}
		}
		parent, _ := L.Get(3).(*lua.LTable)
		b := &block{}
		n := k.types.fromLua(L.Get(1), Pos{}, 0)
		list := c.compile(n, root, b, c.wantFromLua(optTable(L, 4)))
		for _, s := range b.stmts {
			leaf := L.NewTable()
			leaf.RawSetString("leaf", lua.LString(luacode.Print([]ast.Stmt{s}, o.style())))
			if parent != nil {
				parent.Append(leaf)
			}
		}
		out := L.NewTable()
		for _, e := range list {
			t := L.NewTable()
			t.RawSetInt(1, lua.LString(luacode.PrintExpr(e.x, o.style())))
			t.RawSetString("type", lua.LString(kindNames[e.kind]))
			out.Append(t)
		}
		L.Push(out)
	})
	return 1
}

var kindNames = map[exprKind]string{literalExpr: "literal", valueExpr: "expression", callExpr: "statement",
	vargExpr: "varg", nameExpr: "sym"}
