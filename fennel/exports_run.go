package fennel

import (
	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// copyOptions copies a script's options, since evaluation adds to them.
func copyOptions(L *lua.LState, t *lua.LTable) *lua.LTable {
	out := L.NewTable()
	if t != nil {
		t.ForEach(func(key, v lua.LValue) { out.RawSet(key, v) })
	}
	return out
}

// luaEval compiles and runs a text: (eval source ?options ...).
func (k *Compiler) luaEval(L *lua.LState) int {
	src := L.CheckString(1)
	t := copyOptions(L, optTable(L, 2))
	var fn *lua.LFunction
	k.run(L, t, func() { fn = k.prepare(L, []byte(src), t) })
	top := L.GetTop()
	L.Push(fn)
	for i := 3; i <= top; i++ {
		L.Push(L.Get(i))
	}
	L.Call(max(top-2, 0), lua.MultRet)
	return L.GetTop() - top
}

// prepare compiles a program to be run at once, in the environment that the options give.
func (k *Compiler) prepare(L *lua.LState, src []byte, t *lua.LTable) *lua.LFunction {
	o := k.LuaOptions(t)
	env := t.RawGetString("env")
	var wrapped *lua.LTable
	if env == lua.LString("_COMPILER") {
		c := &compilation{k: k, opts: &o, root: rootScope(k.macros), line: 1}
		table := c.macroEnv(nil, k.macros)
		if extra, ok := t.RawGetString("extra-env").(*lua.LTable); ok {
			extra.ForEach(func(key, v lua.LValue) { table.RawSet(key, v) })
		}
		if t.RawGetString("allowedGlobals") == lua.LNil {
			o.allowedIn = []*lua.LTable{table}
		}
		o.Scope = rootScope(k.macros)
		wrapped = k.wrapEnv(table)
	} else if table, ok := env.(*lua.LTable); ok {
		if t.RawGetString("allowedGlobals") == lua.LNil {
			o.AllowedGlobals = k.CurrentGlobals(table)
		}
		wrapped = k.wrapEnv(table)
	} else if t.RawGetString("allowedGlobals") == lua.LNil {
		o.AllowedGlobals = k.CurrentGlobals(nil)
	}
	proto, err := k.Compile(src, o)
	if err != nil {
		if e, ok := err.(*Error); ok {
			panic(e)
		}
		panic(&Error{Kind: CompileError, File: o.Filename, Message: err.Error(), noSource: true})
	}
	fn := L.NewFunctionFromProto(proto)
	if wrapped != nil {
		fn.Env = wrapped
	} else {
		fn.Env = L.G.Global
	}
	return fn
}

// CurrentGlobals are the names an environment defines, and with nil the names of the state. It is nil, which allows
// every name, when the environment computes its names.
func (k *Compiler) CurrentGlobals(env *lua.LTable) []string {
	L := k.vm().L
	if env == nil {
		env = L.G.Global
	}
	names := []string{}
	add := func(t *lua.LTable) {
		t.ForEach(func(key, _ lua.LValue) {
			if s, ok := key.(lua.LString); ok {
				names = append(names, Unmangle(string(s)))
			}
		})
	}
	if mt, ok := env.Metatable.(*lua.LTable); ok {
		pairs := mt.RawGetString("__pairs")
		if pairs == lua.LNil {
			if env == L.G.Global { // strictness of globals is checked by metatables; names still count
				add(env)
				return names
			}
			return nil
		}
		L.Push(pairs)
		L.Push(env)
		L.Call(1, 2)
		if t, ok := L.Get(-1).(*lua.LTable); ok {
			add(t)
		}
		L.Pop(2)
		return names
	}
	add(env)
	return names
}

// luaDofile runs a file: (dofile name ?options ...).
func (k *Compiler) luaDofile(L *lua.LState) int {
	name := L.CheckString(1)
	src := k.readFile(L, name)
	t := copyOptions(L, optTable(L, 2))
	t.RawSetString("filename", lua.LString(name))
	var fn *lua.LFunction
	k.run(L, t, func() { fn = k.prepare(L, src, t) })
	top := L.GetTop()
	L.Push(fn)
	for i := 3; i <= top; i++ {
		L.Push(L.Get(i))
	}
	L.Call(max(top-2, 0), lua.MultRet)
	return L.GetTop() - top
}

// readFile reads by the state's own io, so that a state without files has none here either.
func (k *Compiler) readFile(L *lua.LState, name string) []byte {
	io, ok := L.G.Global.RawGetString("io").(*lua.LTable)
	if !ok {
		L.RaiseError("cannot read %s: this state has no io library", name)
	}
	L.Push(io.RawGetString("open"))
	L.Push(lua.LString(name))
	L.Push(lua.LString("rb"))
	L.Call(2, 2)
	f, msg := L.Get(-2), L.Get(-1)
	L.Pop(2)
	if f == lua.LNil {
		L.RaiseError("%s", msg.String())
	}
	src := k.sourceText(L, f)
	L.Push(L.GetField(f, "close"))
	L.Push(f)
	L.Call(1, 0)
	return src
}

// luaLoadCode makes a function of Lua text: (load-code text ?env ?filename).
func (k *Compiler) luaLoadCode(L *lua.LState) int {
	text := L.CheckString(1)
	name := L.OptString(3, text)
	fn, err := vm.Load(L, text, name)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	if env, ok := L.Get(2).(*lua.LTable); ok {
		fn.Env = env
	}
	L.Push(fn)
	return 1
}
