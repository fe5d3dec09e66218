package fennel

import (
	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

func specialMacros(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 {
		failAt(x, "Expected one table argument")
	}
	v := c.evalCompiler(x.Items[1], x, s)
	t, ok := v.(*lua.LTable)
	if !ok || !c.k.types.isPlain(t) {
		failAt(x, "Expected one table argument")
	}
	c.addMacros(t, x, s)
	return nil, false
}

// isPlain holds for tables which are not syntax.
func (t *luaTypes) isPlain(x *lua.LTable) bool {
	switch x.Metatable {
	case t.list, t.sym, t.varg, t.comment:
		return false
	}
	return true
}

func specialEvalCompiler(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	body := &List{Pos: x.Pos, Items: append([]Node{&Sym{Pos: x.Pos, Name: "do"}}, x.Items[1:]...)}
	v := c.evalCompiler(body, x, s)
	if v == lua.LNil {
		return nil, false
	}
	return c.compileValue(v, x, s, b)
}

// compileValue takes what code at compile time returned: a string is Lua text, as the reference has it, and anything
// else that Lua text can write stands for itself.
func (c *compilation) compileValue(v lua.LValue, x *List, s *Scope, b *block) ([]expr, bool) {
	switch val := v.(type) {
	case lua.LString:
		return c.single(c.rawExpr(string(val), x), valueExpr), false
	case *lua.LTable:
		if list, ok := c.k.exprsFromLua(c, val, x); ok {
			return list, false
		}
		return nil, false
	case *lua.LUserData:
		if list, ok := val.Value.([]expr); ok {
			return list, false
		}
		return nil, false
	case lua.LNumber, lua.LBool:
		return c.compile(c.k.types.fromLua(v, x.Pos, 0), s, b, one), false
	}
	return nil, false
}

// evalCompiler runs a form at compile time, and gives its first value.
func (c *compilation) evalCompiler(n Node, form *List, s *Scope) lua.LValue {
	k := c.k.vm()
	env := c.macroEnv(form, s)
	opts := *c.opts
	opts.text = false
	opts.Scope = rootScope(k.macros)
	opts.AllowedGlobals, opts.allowedIn = nil, []*lua.LTable{env}
	opts.UseMetadata = c.opts.UseMetadata
	chunk := k.compileForms([]Node{n}, opts)
	proto, err := assemble(chunk, n.position().filename())
	if err != nil {
		failAt(form, "%s", err.Error())
	}
	fn := k.L.NewFunctionFromProto(proto)
	fn.Env = k.wrapEnv(env)
	file := lua.LValue(lua.LNil)
	if name := form.filename(); name != "" {
		file = lua.LString(name)
	}
	return c.call1(fn, form, moduleArg(c.opts.ModuleName), file)
}

func moduleArg(name string) lua.LValue {
	if name == "" {
		return lua.LNil
	}
	return lua.LString(name)
}

// call1 calls a Lua function for one value. Its errors are errors about the form.
func (c *compilation) call1(fn lua.LValue, form Node, args ...lua.LValue) lua.LValue {
	L := c.k.L
	top := L.GetTop()
	L.Push(fn)
	for _, a := range args {
		L.Push(a)
	}
	previous := c.k.current
	c.k.current = c
	err := vm.PCall(L, len(args), 1, nil)
	c.k.current = previous
	if err != nil {
		L.SetTop(top)
		c.raise(err, form)
	}
	v := L.Get(-1)
	L.SetTop(top)
	return v
}

// defines is whether an environment, or what stands behind it, has a global.
func defines(env *lua.LTable, name string) bool {
	for depth := 0; env != nil && depth < 4; depth++ {
		if env.RawGetString(name) != lua.LNil || env.RawGetString(Mangle(name)) != lua.LNil {
			return true
		}
		mt, ok := env.Metatable.(*lua.LTable)
		if !ok {
			return false
		}
		env, _ = mt.RawGetString("__index").(*lua.LTable)
	}
	return false
}

// wrapEnv gives compiled code an environment by its names in Lua: odd names are mangled there, plain in the table that
// scripts see. What is in the table now is copied, so that calling a common function costs no more than it must.
func (k *Compiler) wrapEnv(env *lua.LTable) *lua.LTable {
	L := k.L
	w := L.NewTable()
	mt := L.NewTable()
	mt.RawSetString("__index", L.NewFunction(func(L *lua.LState) int {
		key := L.Get(2)
		if s, ok := key.(lua.LString); ok {
			key = lua.LString(Unmangle(string(s)))
		}
		L.Push(L.GetTable(env, key))
		return 1
	}))
	mt.RawSetString("__newindex", L.NewFunction(func(L *lua.LState) int {
		key := L.Get(2)
		if s, ok := key.(lua.LString); ok {
			key = lua.LString(Unmangle(string(s)))
		}
		L.SetTable(env, key, L.Get(3))
		return 0
	}))
	mt.RawSetString("__pairs", L.NewFunction(func(L *lua.LState) int {
		out := L.NewTable()
		stablePairs(env, func(key, v lua.LValue) bool {
			if s, ok := key.(lua.LString); ok {
				key = lua.LString(Unmangle(string(s)))
			}
			out.RawSet(key, v)
			return true
		})
		L.Push(L.G.Global.RawGetString("next"))
		L.Push(out)
		L.Push(lua.LNil)
		return 3
	}))
	w.Metatable = mt
	return w
}

// addMacros puts the functions of a table into a scope.
func (c *compilation) addMacros(t *lua.LTable, at Node, s *Scope) {
	stablePairs(t, func(key, v lua.LValue) bool {
		if !c.k.callable(v) {
			failAt(at, "expected each macro to be function or callable table")
		}
		name := key.String()
		c.checkBinding(newSym(name, *at.position()), s, at, true)
		s.setMacro(name, &macro{value: v})
		return true
	})
}

func specialRequireMacros(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 {
		failAt(x, "Expected one module name argument")
	}
	t := c.macroModule(x.Items[1], x, x)
	c.addMacros(t, x, s)
	return nil, false
}

// macroModule loads the macro module that an expression names.
func (c *compilation) macroModule(n Node, form, at Node) *lua.LTable {
	name, ok := c.moduleNameOf(n, form)
	if !ok {
		failAt(at, "module name must compile to string")
	}
	k := c.k.vm()
	v := k.loaded.RawGetString(name)
	if v == lua.LNil {
		loaded, found := c.loadMacros(name, at)
		if !found {
			failAt(at, "%s module not found.", name)
		}
		t, ok := loaded.(*lua.LTable)
		if !ok || !k.types.isPlain(t) {
			failAt(at, "expected macros to be table")
		}
		k.loaded.RawSetString(name, t)
		return t
	}
	t, ok := v.(*lua.LTable)
	if !ok {
		failAt(at, "expected macros to be table")
	}
	return t
}

// moduleNameOf evaluates an expression for a module's name. It sees the module being compiled and its file as `...`.
func (c *compilation) moduleNameOf(n Node, form Node) (string, bool) {
	if s, ok := n.(*Str); ok {
		return s.Val, true
	}
	k := c.k.vm()
	opts := *c.opts
	opts.text = false
	opts.Scope, opts.AllowedGlobals, opts.RequireAsInclude = nil, nil, false
	proto, err := assemble(k.compileForms([]Node{n}, opts), n.position().filename())
	if err != nil {
		failAt(form, "%s", err.Error())
	}
	file := lua.LValue(lua.LNil)
	if name := n.position().filename(); name != "" {
		file = lua.LString(name)
	}
	v := c.call1(k.L.NewFunctionFromProto(proto), form, moduleArg(c.opts.ModuleName), file)
	s, ok := v.(lua.LString)
	return string(s), ok
}

// loadMacros finds a macro module and runs it.
func (c *compilation) loadMacros(name string, at Node) (lua.LValue, bool) {
	k := c.k
	if c.opts.LoadModule != nil {
		if src, file, ok := c.opts.LoadModule(name); ok {
			return c.runMacroModule(src, name, file, at), true
		}
	}
	if k.searchers == nil {
		return nil, false
	}
	for i := 1; i <= k.searchers.Len(); i++ {
		L := k.L
		top := L.GetTop()
		L.Push(k.searchers.RawGetInt(i))
		L.Push(lua.LString(name))
		if err := vm.PCall(L, 1, 2, nil); err != nil {
			L.SetTop(top)
			c.raise(err, at)
		}
		loader, file := L.Get(-2), L.Get(-1)
		L.SetTop(top)
		if k.callable(loader) {
			return c.call1(loader, at, lua.LString(name), file), true
		}
	}
	return nil, false
}

// runMacroModule compiles the source of a macro module and runs it at compile time.
func (c *compilation) runMacroModule(src []byte, name, file string, at Node) lua.LValue {
	k := c.k.vm()
	env := c.macroEnv(nil, k.macros)
	opts := *c.opts
	opts.text = false
	opts.Filename, opts.ModuleName = file, name
	opts.Scope = rootScope(k.macros)
	opts.AllowedGlobals, opts.allowedIn = nil, []*lua.LTable{env}
	opts.RequireAsInclude = false
	chunk, err := k.chunk(src, opts)
	if err != nil {
		panic(err.(*Error))
	}
	proto, err := assemble(chunk, file)
	if err != nil {
		failAt(at, "%s", err.Error())
	}
	fn := k.L.NewFunctionFromProto(proto)
	fn.Env = k.wrapEnv(env)
	return c.call1(fn, at, lua.LString(name), lua.LString(file))
}

// requireMacros is `require` as macros have it: it finds macro modules, and of fennel itself only what is harmless. An
// error stands at the form that is being compiled, so its advice says where the module is required.
func (c *compilation) requireMacros(name, where string) lua.LValue {
	k := c.k.vm()
	if v := k.loaded.RawGetString(name); v != lua.LNil {
		return v
	}
	if name == "fennel.macros" || name == c.moduleName() {
		L := k.L
		t, meta := L.NewTable(), L.NewTable()
		t.RawSetString("view", L.NewFunction(viewFunction))
		meta.RawSetString("setall", L.NewFunction(func(L *lua.LState) int {
			if k.meta != nil {
				setAll(L, k.meta, 2)
			}
			return 0
		}))
		t.RawSetString("metadata", meta)
		return t
	}
	v, found := c.loadMacros(name, &Sym{Name: name})
	if !found {
		e := compileErrorAt(&Sym{Name: name}, name+" module not found.")
		if where != "" {
			e.Advice = append(e.Advice, "correcting the require in "+where)
		}
		panic(e)
	}
	k.loaded.RawSetString(name, v)
	return v
}

// setAll records pairs of keys and values about a function.
func setAll(L *lua.LState, meta *lua.LTable, from int) {
	target := L.Get(from)
	t, ok := meta.RawGet(target).(*lua.LTable)
	if !ok {
		t = L.NewTable()
		meta.RawSet(target, t)
	}
	for i := from + 1; i+1 <= L.GetTop(); i += 2 {
		t.RawSet(L.Get(i), L.Get(i+1))
	}
}

func macroImportMacros(e *expansion, x *List) Node {
	items := x.Items[1:]
	if len(items) < 2 || len(items)%2 != 0 {
		failAt(x, "expected even number of binding/modulename pairs")
	}
	for i := 0; i < len(items); i += 2 {
		e.importMacros(items[i], items[i+1], x)
	}
	return nil
}

func (e *expansion) importMacros(binding, module Node, x *List) {
	c := e.c
	t := c.macroModule(module, x, x)
	switch bind := binding.(type) {
	case *Sym:
		e.s.setMacro(bind.Name, &macro{value: t})
	case *Table:
		for i, k := range bind.Keys {
			name := nodeText(k)
			v := c.k.L.GetField(t, name)
			if !c.k.callable(v) {
				failAt(x, "macro %s not found in module %s", name, nodeText(module))
			}
			e.s.setMacro(nodeText(bind.Vals[i]), &macro{value: v})
		}
	default:
		failAt(x, "expected a symbol or a table of names to bind macros to")
	}
}
