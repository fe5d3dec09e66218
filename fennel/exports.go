package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/luacode"
	"quire/fennel/vm"
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

// source reads all of a text that a script gives as a string or as a stream of bytes.
func (k *Compiler) sourceText(L *lua.LState, v lua.LValue) []byte {
	switch s := v.(type) {
	case lua.LString:
		return []byte(s)
	case *lua.LUserData:
		L.Push(L.GetField(s, "read"))
		L.Push(s)
		L.Push(lua.LString("*a"))
		L.Call(2, 1)
		text := L.Get(-1).String()
		L.Pop(1)
		return []byte(text)
	}
	var out []byte
	fill := k.byteStream(L, v)
	for {
		chunk, ok := fill(0)
		if !ok {
			return out
		}
		out = append(out, chunk...)
	}
}

// byteStream reads a script's stream, which gives a byte or a string at each call and nil at its end.
func (k *Compiler) byteStream(L *lua.LState, fn lua.LValue) func(depth int) ([]byte, bool) {
	return func(depth int) ([]byte, bool) {
		state := L.CreateTable(0, 1)
		state.RawSetString("stack-size", lua.LNumber(depth))
		L.Push(fn)
		L.Push(state)
		L.Call(1, 1)
		v := L.Get(-1)
		L.Pop(1)
		switch b := v.(type) {
		case lua.LNumber:
			return []byte{byte(b)}, true
		case lua.LString:
			return []byte(b), len(b) > 0
		}
		return nil, false
	}
}

func (k *Compiler) luaStringStream(L *lua.LState) int {
	text := L.CheckString(1)
	if strings.HasPrefix(text, "#!") {
		text = ";;" + text[2:]
	}
	if o := optTable(L, 2); o != nil {
		o.RawSetString("source", lua.LString(text))
	}
	i := 0
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if i >= len(text) {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LNumber(text[i]))
		i++
		return 1
	}))
	return 1
}

// luaGranulate turns a stream of strings into a stream of bytes, and gives a function that forgets what is buffered.
func (k *Compiler) luaGranulate(L *lua.LState) int {
	fn := L.Get(1)
	var buf []byte
	done := false
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if len(buf) == 0 && !done {
			L.Push(fn)
			L.Push(L.Get(1))
			L.Call(1, 1)
			s, ok := L.Get(-1).(lua.LString)
			L.Pop(1)
			buf, done = []byte(s), !ok
		}
		if len(buf) == 0 {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LNumber(buf[0]))
		buf = buf[1:]
		return 1
	}))
	L.Push(L.NewFunction(func(*lua.LState) int {
		buf = nil
		return 0
	}))
	return 2
}

// luaParser gives an iterator over the forms of a text or stream.
func (k *Compiler) luaParser(L *lua.LState) int {
	name := "unknown"
	if v := L.Get(2); v != lua.LNil {
		s, ok := v.(lua.LString)
		if !ok {
			L.RaiseError("expected filename as second argument to parser")
		}
		name = string(s)
	}
	opts := optTable(L, 3)
	o := k.LuaOptions(opts)
	var r *reader
	if s, ok := L.Get(1).(lua.LString); ok {
		r = newReader([]byte(s), name)
		if opts != nil {
			opts.RawSetString("source", s)
		}
	} else {
		r = newReader(nil, name)
		r.more = k.byteStream(L, L.Get(1))
	}
	k.prepareReader(r, &o)
	stream := L.Get(1)
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if r.more != nil {
			r.more = k.byteStream(L, stream)
		}
		var n Node
		ok := false
		k.run(L, opts, func() { n, ok = r.next() })
		if !ok {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LTrue)
		k.types.spelled = true
		L.Push(k.types.toLua(L, n))
		k.types.spelled = false
		return 2
	}))
	L.Push(L.NewFunction(func(L *lua.LState) int {
		r.reset()
		if _, isText := stream.(lua.LString); !isText {
			r.more = k.byteStream(L, stream)
		}
		return 0
	}))
	return 2
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
