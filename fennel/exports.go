package fennel

import (
	lua "github.com/yuin/gopher-lua"

	"quire/fennel/luacode"
)

// Module gives the half of (require :fennel) that compiles: syntax, parsing, compiling, running, metadata. The caller
// adds what finds files, prints and talks to people: view, path, macro-path, search-module, make-searcher, searcher,
// install, repl, traceback, getinfo, runtime-version. It is the same table every time.
func (k *Compiler) Module() *lua.LTable {
	k.vm()
	if k.module != nil {
		return k.module
	}
	L := k.L
	m := L.NewTable()
	k.module = m
	k.syntaxFunctions(m)
	m.RawSetString("assert-compile", lua.LNil)
	m.RawSetString("view", lua.LNil)
	set := func(f lua.LGFunction, names ...string) {
		fn := L.NewFunction(f)
		for _, n := range names {
			m.RawSetString(n, fn)
		}
	}
	m.RawSetString("version", lua.LString(Version))
	k.preloadInternals()
	set(k.luaSymChar, "sym-char?")
	set(k.luaParser, "parser")
	set(k.luaStringStream, "string-stream", "stringStream")
	set(k.luaGranulate, "granulate")
	set(k.luaCompile, "compile")
	set(k.luaCompileString, "compile-string", "compileString")
	set(k.luaCompileStream, "compile-stream", "compileStream")
	set(k.luaCompile1, "compile1")
	set(k.luaEval, "eval")
	set(k.luaDofile, "dofile")
	set(k.luaLoadCode, "load-code", "loadCode")
	set(k.luaDoc, "doc")
	set(k.luaSyntax, "syntax")
	set(k.luaGensym, "gensym")
	set(k.luaScope, "scope")
	set(luaMangle(Mangle), "mangle")
	set(luaMangle(Unmangle), "unmangle")
	m.RawSetString("metadata", k.Metadata())
	m.RawSetString("macro-loaded", k.loaded)
	m.RawSetString("macroLoaded", k.loaded)
	k.searchers = L.NewTable()
	k.searchers.Append(L.NewFunction(k.fennelMacroSearcher))
	k.searchers.Append(L.NewFunction(k.luaMacroSearcher))
	m.RawSetString("macro-searchers", k.searchers)
	m.RawSetString("macroSearchers", k.searchers)
	return m
}

func luaMangle(f func(string) string) lua.LGFunction {
	return func(L *lua.LState) int {
		L.Push(lua.LString(f(L.CheckString(1))))
		return 1
	}
}

func (k *Compiler) luaSymChar(L *lua.LState) int {
	var b byte
	switch v := L.Get(1).(type) {
	case lua.LNumber:
		b = byte(v)
	case lua.LString:
		if len(v) > 0 {
			b = v[0]
		}
	}
	L.Push(lua.LBool(symChar[b]))
	return 1
}

// run does compiler work for a script: errors come out as Lua errors, laid out as the options say.
func (k *Compiler) run(L *lua.LState, opts *lua.LTable, f func()) {
	outer := k.L
	k.L = L // a script may call from a coroutine
	saved := k.options
	k.options = opts
	var raised *Error
	func() {
		defer func() {
			k.L, k.options = outer, saved
			if e := recover(); e != nil {
				err, ok := e.(*Error)
				if !ok {
					panic(e)
				}
				raised = err
			}
		}()
		f()
	}()
	if raised != nil {
		k.throwWith(L, raised, opts)
	}
}

func optTable(L *lua.LState, i int) *lua.LTable {
	t, _ := L.Get(i).(*lua.LTable)
	return t
}

// luaCompile compiles one form, or a stream of source, to Lua text.
func (k *Compiler) luaCompile(L *lua.LState) int {
	switch L.Get(1).(type) {
	case *lua.LFunction, *lua.LUserData:
		return k.luaCompileStream(L)
	}
	t := optTable(L, 2)
	k.run(L, t, func() {
		o := k.LuaOptions(t)
		o.text = true
		n := k.types.fromLua(L.Get(1), Pos{}, 0)
		text := luacode.Print(k.compileForms([]Node{n}, o), o.style())
		L.Push(lua.LString(text))
	})
	return 1
}

func (k *Compiler) luaCompileStream(L *lua.LState) int {
	src := k.sourceText(L, L.Get(1))
	t := optTable(L, 2)
	k.run(L, t, func() {
		text, err := k.CompileToLua(src, k.LuaOptions(t))
		if err != nil {
			panic(err)
		}
		L.Push(lua.LString(text))
	})
	return 1
}

func (k *Compiler) luaCompileString(L *lua.LState) int {
	L.CheckString(1)
	return k.luaCompileStream(L)
}

func (k *Compiler) luaGensym(L *lua.LState) int {
	s := k.scopeOf(L.Get(1))
	if s == nil {
		s = k.global
	}
	c := &compilation{k: k, opts: &Options{}}
	L.Push(lua.LString(c.gensym(s, L.OptString(2, ""), L.OptString(3, ""))))
	return 1
}

func (k *Compiler) luaScope(L *lua.LState) int {
	parent := k.scopeOf(L.Get(1))
	if parent == nil {
		parent = k.global
	}
	s := rootScope(parent)
	s.vararg = parent.vararg
	L.Push(k.scopeValue(s))
	return 1
}

// throwWith raises an error laid out as the options say.
func (k *Compiler) throwWith(L *lua.LState, e *Error, opts *lua.LTable) {
	k.thrown, k.thrownAs = e, k.render(e, opts)
	panic(&lua.ApiError{Type: lua.ApiErrorRun, Object: k.thrownAs, Cause: e})
}
