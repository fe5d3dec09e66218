package fennel

import (
	lua "github.com/yuin/gopher-lua"
)

// LuaOptions reads the table of options that a script passes to fennel.eval and its kin. Nil stands for none.
func (k *Compiler) LuaOptions(t *lua.LTable) Options {
	k.vm()
	o := Options{State: k.L, lua: t}
	if t == nil {
		return o
	}
	get := func(names ...string) lua.LValue {
		for _, n := range names {
			if v := k.L.GetField(t, n); v != lua.LNil {
				return v
			}
		}
		return lua.LNil
	}
	text := func(names ...string) string {
		s, _ := get(names...).(lua.LString)
		return string(s)
	}
	flag := func(name string) bool { return lua.LVAsBool(get(name)) }
	o.Filename = text("filename")
	o.ModuleName = text("module-name")
	o.module = text("moduleName")
	o.AllowedGlobals = stringsOf(get("allowedGlobals"))
	o.Scope = k.scopeOf(get("scope"))
	if env, ok := get("compilerEnv", "compiler-env").(*lua.LTable); ok {
		o.CompilerEnv = env
	}
	if env, ok := get("extra-compiler-env").(*lua.LTable); ok {
		o.ExtraCompilerEnv = env
	}
	if words, ok := get("keywords").(*lua.LTable); ok {
		o.Keywords = map[string]bool{}
		words.ForEach(func(key, v lua.LValue) {
			if lua.LVAsBool(v) {
				o.Keywords[key.String()] = true
			}
		})
	}
	switch m := get("useMetadata").(type) {
	case lua.LBool:
		o.UseMetadata = bool(m)
	case lua.LString:
		o.UseMetadata, o.MetadataName = true, string(m)
	}
	o.RequireAsInclude = flag("requireAsInclude")
	o.SkipInclude = stringsOf(get("skipInclude"))
	o.LambdaAsFn = flag("lambdaAsFn")
	o.AssertAsRepl = flag("assertAsRepl")
	o.ToBeClosed = flag("toBeClosed")
	o.UseBitLib = flag("useBitLib")
	o.NoGlobalMangling = get("global-mangle") == lua.LFalse
	o.Correlate = flag("correlate")
	o.Comments = flag("comments")
	switch in := get("indent").(type) {
	case lua.LString:
		o.Indent, o.NoIndent = string(in), in == ""
	case lua.LBool:
		o.NoIndent = !bool(in)
	}
	if list, ok := get("plugins").(*lua.LTable); ok && list.Len() > 0 {
		o.plugins = &plugins{}
		for i := 1; i <= list.Len(); i++ {
			if p, ok := list.RawGetInt(i).(*lua.LTable); ok {
				o.plugins.list = append(o.plugins.list, p)
			}
		}
	}
	o.Warn = k.warner(get("warn"))
	return o
}

func stringsOf(v lua.LValue) []string {
	t, ok := v.(*lua.LTable)
	if !ok {
		return nil
	}
	out := []string{}
	for i := 1; i <= t.Len(); i++ {
		out = append(out, t.RawGetInt(i).String())
	}
	return out
}

// warner tells a script's own function of warnings, or prints them on its standard error.
func (k *Compiler) warner(fn lua.LValue) func(msg, file string, line, col int) {
	L := k.L
	if k.callable(fn) {
		return func(msg, file string, line, col int) {
			L.Push(fn)
			L.Push(lua.LString(msg))
			L.Push(lua.LNil)
			L.Push(lua.LString(file))
			L.Push(lua.LNumber(line))
			L.Push(lua.LNumber(col))
			L.Call(5, 0)
		}
	}
	return func(msg, file string, line, col int) {
		io, ok := L.GetGlobal("io").(*lua.LTable)
		if !ok {
			return
		}
		stderr := io.RawGetString("stderr")
		if stderr == lua.LNil {
			return
		}
		e := Error{File: file, Line: line, Col: col}
		where := ""
		if line > 0 {
			where = e.place() + ": "
		}
		L.Push(L.GetField(stderr, "write"))
		L.Push(stderr)
		L.Push(lua.LString("--WARNING: " + where + msg + "\n"))
		L.Call(2, 0)
	}
}

// render is how a script sees an error: as the reference writes it, with the place in inverse video unless the options
// or NO_COLOR say otherwise.
func (k *Compiler) render(e *Error, opts *lua.LTable) lua.LValue {
	if e.raised != nil {
		return e.raised
	}
	if opts != nil && lua.LVAsBool(k.L.GetField(opts, "unfriendly")) {
		return lua.LString(e.Terse())
	}
	open, close := "\x1b[7m", "\x1b[0m"
	pin := lua.LValue(lua.LNil)
	if opts != nil {
		pin = k.L.GetField(opts, "error-pinpoint")
	}
	switch p := pin.(type) {
	case *lua.LTable:
		open, close = p.RawGetInt(1).String(), p.RawGetInt(2).String()
	case lua.LBool:
		open, close = "", ""
	default:
		if k.Carets {
			return lua.LString(e.Error())
		}
		if k.NoColor {
			open, close = "", ""
		}
	}
	return lua.LString(e.Marked(open, close))
}
