package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

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
