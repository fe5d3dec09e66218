package fennel

import (
	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// fennelMacroSearcher finds a macro module in macro-path.
func (k *Compiler) fennelMacroSearcher(L *lua.LState) int {
	name := L.CheckString(1)
	file, ok := k.search(L, name, k.module.RawGetString("macro-path"))
	if !ok {
		return 0
	}
	opts := copyOptions(L, k.options)
	opts.RawSetString("module-name", lua.LString(name))
	opts.RawSetString("env", lua.LString("_COMPILER"))
	opts.RawSetString("requireAsInclude", lua.LFalse)
	opts.RawSetString("allowedGlobals", lua.LNil)
	opts.RawSetString("scope", lua.LNil)
	opts.RawSetString("source", lua.LNil)
	L.Push(L.NewFunction(func(L *lua.LState) int {
		top := L.GetTop()
		L.Push(k.module.RawGetString("dofile"))
		L.Push(lua.LString(file))
		L.Push(opts)
		for i := 1; i <= top; i++ {
			L.Push(L.Get(i))
		}
		if opts.RawGetString("compiler-env") == lua.LValue(L.G.Global) {
			defer k.unsandboxed(L)()
		}
		L.Call(top+2, lua.MultRet)
		return L.GetTop() - top
	}))
	L.Push(lua.LString(file))
	return 2
}

// unsandboxed lets `require` of an unsandboxed macro module find other macro modules.
func (k *Compiler) unsandboxed(L *lua.LState) func() {
	pkg, ok := L.G.Global.RawGetString("package").(*lua.LTable)
	if !ok {
		return func() {}
	}
	loaders, ok := pkg.RawGetString("loaders").(*lua.LTable)
	if !ok {
		return func() {}
	}
	loaders.Insert(1, k.searchers.RawGetInt(1))
	return func() { loaders.Remove(1) }
}

// luaMacroSearcher finds a macro module written in Lua in package.path.
func (k *Compiler) luaMacroSearcher(L *lua.LState) int {
	name := L.CheckString(1)
	path := lua.LValue(lua.LNil)
	if pkg, ok := L.G.Global.RawGetString("package").(*lua.LTable); ok {
		path = pkg.RawGetString("path")
	}
	file, ok := k.search(L, name, path)
	if !ok {
		return 0
	}
	fn, err := vm.Load(L, string(k.readFile(L, file)), "@"+file)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	c := k.compiling(&compilation{k: k, opts: &Options{lua: k.options}, root: rootScope(k.macros), line: 1})
	fn.Env = c.macroEnv(nil, k.macros)
	L.Push(fn)
	L.Push(lua.LString(file))
	return 2
}

// search looks for a module's file by the module's own search-module.
func (k *Compiler) search(L *lua.LState, name string, path lua.LValue) (string, bool) {
	fn := k.module.RawGetString("search-module")
	if _, ok := path.(lua.LString); !ok || !k.callable(fn) {
		return "", false
	}
	L.Push(fn)
	L.Push(lua.LString(name))
	L.Push(path)
	L.Call(2, 1)
	file, ok := L.Get(-1).(lua.LString)
	L.Pop(1)
	return string(file), ok
}

// findModule finds a module to include, Fennel before Lua.
func (k *Compiler) findModule(name string) (src []byte, file string, isLua, ok bool) {
	if k.module == nil {
		return nil, "", false, false
	}
	L := k.L
	if file, ok = k.search(L, name, k.module.RawGetString("path")); ok {
		return k.readFile(L, file), file, false, true
	}
	if pkg, isTable := L.G.Global.RawGetString("package").(*lua.LTable); isTable {
		if file, ok = k.search(L, name, pkg.RawGetString("path")); ok {
			return k.readFile(L, file), file, true, true
		}
	}
	return nil, "", false, false
}
