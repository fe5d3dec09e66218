package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// macroEnv makes the environment that code at compile time runs in: the functions on syntax, in front of a sandbox of
// the standard library or of what the options give in its place.
func (c *compilation) macroEnv(form Node, s *Scope) *lua.LTable {
	k := c.k.vm()
	L, t := k.L, k.types
	if k.base == nil {
		k.base = k.baseEnv()
	}
	env := L.CreateTable(0, 64)
	k.base.ForEach(func(key, v lua.LValue) { env.RawSetString(string(key.(lua.LString)), v) })
	if form != nil {
		env.RawSetString("_AST", t.toLua(L, form))
	}
	if s != nil {
		env.RawSetString("_SCOPE", k.scopeValue(s))
	}
	env.RawSetString("_G", env)
	provided := c.provided()
	mt := L.NewTable()
	mt.RawSetString("__index", provided)
	mt.RawSetString("__newindex", provided)
	mt.RawSetString("__pairs", L.NewFunction(combinedPairs))
	env.Metatable = mt
	return env
}

// combinedPairs walks an environment together with what stands behind it.
func combinedPairs(L *lua.LState) int {
	env, out := L.CheckTable(1), L.NewTable()
	var layers []*lua.LTable
	for t := env; t != nil && len(layers) < 4; {
		layers = append(layers, t)
		mt, ok := t.Metatable.(*lua.LTable)
		if !ok {
			break
		}
		t, _ = mt.RawGetString("__index").(*lua.LTable)
	}
	for i := len(layers) - 1; i >= 0; i-- {
		layers[i].ForEach(out.RawSet)
	}
	L.Push(L.G.Global.RawGetString("next"))
	L.Push(out)
	L.Push(lua.LNil)
	return 3
}

// baseEnv are the functions that every environment of macros has. They work on the compilation that is going on when
// they are called.
func (k *Compiler) baseEnv() *lua.LTable {
	L, t := k.L, k.types
	env := L.NewTable()
	set := func(name string, f lua.LGFunction) { env.RawSetString(name, L.NewFunction(f)) }
	env.RawSetString("_IS_COMPILER", lua.LTrue)
	env.RawSetString("_SPECIALS", k.specialsTable())
	env.RawSetString("_VARARG", t.toLua(L, &Varg{}))
	env.RawSetString("macro-loaded", k.loaded)
	env.RawSetString("version", lua.LString(Version))
	k.syntaxFunctions(env)
	k.quoteFunctions(env)
	set("fennel-module-name", func(L *lua.LState) int {
		L.Push(lua.LString(k.compiling(nil).moduleName()))
		return 1
	})
	set("pack", luaPack)
	set("unpack", luaUnpack)
	set("gensym", func(L *lua.LState) int {
		c := k.compiling(nil)
		name := c.gensym(k.macroScope(c.root), L.OptString(1, ""), L.OptString(2, ""))
		L.Push(t.toLua(L, &Sym{Name: name}))
		return 1
	})
	set("get-scope", func(L *lua.LState) int {
		L.Push(k.scopeValue(k.macroScope(nil)))
		return 1
	})
	set("in-scope?", func(L *lua.LState) int {
		name := L.Get(1).String()
		if tbl, ok := L.Get(1).(*lua.LTable); ok {
			name = tbl.RawGetInt(1).String()
		}
		if b := k.macroScope(nil).lookup(name); b != nil {
			L.Push(lua.LString(b.lua))
		} else {
			L.Push(lua.LNil)
		}
		return 1
	})
	set("macroexpand", func(L *lua.LState) int {
		c := k.compiling(nil)
		k.guard(L, func() {
			n := t.fromLua(L.Get(1), Pos{}, 0)
			L.Push(t.toLua(L, c.macroexpand(n, k.macroScope(c.root), false)))
		})
		return 1
	})
	return env
}

// macroScope is the scope of the macro call being expanded.
func (k *Compiler) macroScope(otherwise *Scope) *Scope {
	if k.current != nil && k.current.macroScope != nil {
		return k.current.macroScope
	}
	if otherwise == nil {
		return k.global
	}
	return otherwise
}

// compiling is the compilation that is going on. Code made at compile time may outlive it; then an empty one serves.
func (k *Compiler) compiling(otherwise *compilation) *compilation {
	switch {
	case k.current != nil:
		return k.current
	case otherwise != nil:
		return otherwise
	}
	return &compilation{k: k, opts: &Options{lua: k.options}, root: rootScope(k.global), rootBlk: &block{}, line: 1}
}

// provided is the library that macros see.
func (c *compilation) provided() *lua.LTable {
	if c.opts.CompilerEnv != nil {
		return c.opts.CompilerEnv
	}
	if extra := c.opts.ExtraCompilerEnv; extra != nil {
		safe := c.k.safeEnv()
		extra.ForEach(safe.RawSet)
		return safe
	}
	if c.k.safe == nil {
		c.k.safe = c.k.L.NewTable()
		c.k.safe.RawSetString("__index", c.k.safeEnv())
	}
	// What one macro sets as a global no other sees.
	own := c.k.L.NewTable()
	own.Metatable = c.k.safe
	return own
}

// safeEnv copies what computes and nothing else out of the state's globals. Files may be read, below the working
// directory, if the state has io at all.
func (k *Compiler) safeEnv() *lua.LTable {
	L := k.L
	env := L.NewTable()
	globals := L.G.Global
	for _, name := range []string{"ipairs", "select", "tostring", "tonumber", "bit", "pcall", "xpcall", "next", "print",
		"type", "assert", "error", "setmetatable", "rawlen", "rawget", "rawset", "rawequal", "_VERSION"} {
		env.RawSetString(name, globals.RawGetString(name))
	}
	for _, name := range []string{"table", "math", "string", "utf8"} {
		if lib, ok := globals.RawGetString(name).(*lua.LTable); ok {
			copied := L.NewTable()
			lib.ForEach(func(key, v lua.LValue) { copied.RawSet(key, v) })
			env.RawSetString(name, copied)
		}
	}
	env.RawSetString("pairs", L.NewFunction(luaStablePairs))
	env.RawSetString("getmetatable", L.NewFunction(func(L *lua.LState) int {
		if _, ok := L.Get(1).(lua.LString); ok {
			L.RaiseError("Illegal metatable access!")
		}
		v := L.GetMetatable(L.CheckAny(1))
		if mt, ok := v.(*lua.LTable); ok {
			if hidden := mt.RawGetString("__metatable"); hidden != lua.LNil {
				v = hidden
			}
		}
		L.Push(v)
		return 1
	}))
	env.RawSetString("require", L.NewFunction(func(L *lua.LState) int {
		name := L.CheckString(1)
		c := k.compiling(nil)
		where := strings.TrimSuffix(L.Where(1), ":")
		if strings.HasPrefix(where, "[G]") { // through pcall
			where = ""
		}
		k.guard(L, func() { L.Push(c.requireMacros(name, where)) })
		return 1
	}))
	if lib, ok := globals.RawGetString("io").(*lua.LTable); ok {
		open := lib.RawGetString("open")
		safe := L.NewTable()
		safe.RawSetString("open", L.NewFunction(func(L *lua.LState) int {
			file, mode := L.CheckString(1), L.OptString(2, "r")
			if !strings.HasPrefix(mode, "r") || strings.Contains(mode, "+") {
				L.RaiseError("unsafe file mode: %s", mode)
			}
			if strings.HasPrefix(file, "/") || strings.Contains(file, "..") {
				L.RaiseError("unsafe file name: %s", file)
			}
			top := L.GetTop()
			L.Push(open)
			L.Push(lua.LString(file))
			L.Push(lua.LString(mode))
			L.Call(2, lua.MultRet)
			return L.GetTop() - top
		}))
		env.RawSetString("io", safe)
	}
	return env
}

// luaStablePairs is pairs in the order of stablePairs.
func luaStablePairs(L *lua.LState) int {
	t := L.CheckTable(1)
	if mt, ok := t.Metatable.(*lua.LTable); ok {
		if f, ok := mt.RawGetString("__pairs").(*lua.LFunction); ok {
			L.Push(f)
			L.Push(t)
			L.Call(1, 3)
			return 3
		}
	}
	succ := map[lua.LValue]lua.LValue{}
	var first, prev lua.LValue
	stablePairs(t, func(k, v lua.LValue) bool {
		if first == nil {
			first = k
		} else {
			succ[prev] = k
		}
		prev = k
		return true
	})
	L.Push(L.NewFunction(func(L *lua.LState) int {
		tbl := L.CheckTable(1)
		var k lua.LValue
		if key := L.Get(2); key == lua.LNil {
			k = first
		} else {
			k = succ[key]
		}
		if k == nil {
			L.Push(lua.LNil)
			return 1
		}
		v := tbl.RawGet(k)
		if v == lua.LNil {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(k)
		L.Push(v)
		return 2
	}))
	L.Push(t)
	L.Push(lua.LNil)
	return 3
}

func luaPack(L *lua.LState) int {
	n := L.GetTop()
	t := L.CreateTable(n, 1)
	for i := 1; i <= n; i++ {
		t.RawSetInt(i, L.Get(i))
	}
	t.RawSetString("n", lua.LNumber(n))
	L.Push(t)
	return 1
}

func luaUnpack(L *lua.LState) int {
	t := L.CheckTable(1)
	from := L.OptInt(2, 1)
	to := L.OptInt(3, t.Len())
	if to-from >= 100_000 {
		L.RaiseError("too many results to unpack")
	}
	n := 0
	for i := from; i <= to; i++ {
		L.Push(t.RawGetInt(i))
		n++
	}
	return n
}

// throw raises an error of the compiler in Lua, as the text that a script expects. The error itself travels along, so
// that it comes out of the macro as it went in.
func (k *Compiler) throw(L *lua.LState, e *Error) {
	var opts *lua.LTable
	if k.current != nil {
		opts = k.current.opts.lua
	}
	k.throwWith(L, e, opts)
}

// guard runs the compiler inside a Lua call and raises its errors as Lua errors.
func (k *Compiler) guard(L *lua.LState, f func()) {
	var raised *Error
	func() {
		defer func() {
			switch e := recover().(type) {
			case nil:
			case *Error:
				raised = e
			default:
				panic(e)
			}
		}()
		f()
	}()
	if raised != nil {
		k.throw(L, raised)
	}
}

// traceMacro makes the error of a macro carry a traceback of the macro.
func traceMacro(L *lua.LState) int {
	v := L.Get(1)
	if s, ok := v.(lua.LString); ok && !strings.Contains(string(s), "Compile error") {
		v = lua.LString(string(s) + "\n" + strings.TrimPrefix(vm.Traceback(L, 1), "\n"))
	}
	L.Push(v)
	return 1
}
