package fennel

import (
	"os"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// Install makes (require :fennel) work in a state: the whole module of the reference, which reads files through the
// state's io library and finds modules in its path. The module is made when it is first required. fennel.path and
// fennel.macro-path start with the working directory and FENNEL_PATH and FENNEL_MACRO_PATH.
//
// That alone does not make (require :my-module) find Fennel modules; fennel.install does, or InstallSearcher.
func Install(L *lua.LState) *Compiler {
	k := New(L)
	_, k.NoColor = os.LookupEnv("NO_COLOR")
	preload, ok := L.GetField(L.GetGlobal("package"), "preload").(*lua.LTable)
	if !ok {
		L.RaiseError("package.preload must be a table")
	}
	preload.RawSetString("fennel", L.NewFunction(func(L *lua.LState) int {
		L.Push(k.ScriptModule())
		return 1
	}))
	return k
}

// ScriptModule is what (require :fennel) gives: Module, and with it what reads files, prints values and talks to a
// person. It is the same table every time.
func (k *Compiler) ScriptModule() *lua.LTable {
	m := k.Module()
	if m.RawGetString("searcher") != lua.LNil {
		return m
	}
	L := k.L
	set := func(f lua.LGFunction, names ...string) *lua.LFunction {
		fn := L.NewFunction(f)
		for _, n := range names {
			m.RawSetString(n, fn)
		}
		return fn
	}
	set(viewFunction, "view")
	set(k.luaSearchModule, "search-module", "searchModule")
	set(k.luaMakeSearcher, "make-searcher", "makeSearcher", "make_searcher")
	set(k.luaInstall, "install")
	set(luaRuntimeVersion, "runtime-version", "runtimeVersion")
	traceback := set(luaTraceback, "traceback")
	set(luaGetinfo, "getinfo")
	m.RawSetString("path", lua.LString(modulePath("./?.fnl;./?/init.fnl", "FENNEL_PATH")))
	macroPath := lua.LString(modulePath("./?.fnlm;./?/init.fnlm;./?.fnl;./?/init-macros.fnl;./?/init.fnl", "FENNEL_MACRO_PATH"))
	m.RawSetString("macro-path", macroPath)
	m.RawSetString("macroPath", macroPath)
	m.RawSetString("searcher", k.makeSearcher(L, nil))
	m.RawSetString("repl", k.replValue(traceback))
	return m
}

// modulePath puts the directories of an environment variable behind the working directory's.
func modulePath(def, variable string) string {
	if more := os.Getenv(variable); more != "" {
		return def + ";" + more
	}
	return def
}

// luaRuntimeVersion names the language and what it runs on: (runtime-version ?as-table).
func luaRuntimeVersion(L *lua.LState) int {
	const machine = "gopher-lua (Lua 5.1)"
	if lua.LVAsBool(L.Get(1)) {
		t := L.NewTable()
		t.RawSetString("fennel", lua.LString(Version))
		t.RawSetString("lua", lua.LString(machine))
		L.Push(t)
	} else {
		L.Push(lua.LString("Fennel " + Version + " on " + machine))
	}
	return 1
}

// luaInstall lets require find Fennel modules: (install ?options).
func (k *Compiler) luaInstall(L *lua.LState) int {
	k.InstallSearcher(L, optTable(L, 1))
	L.Push(k.ScriptModule())
	return 1
}

// InstallSearcher puts the module's searcher behind those of package.loaders. options are those that modules are
// compiled with, and path to look in another path than fennel.path; nil for none.
func (k *Compiler) InstallSearcher(L *lua.LState, options *lua.LTable) {
	loaders, ok := L.GetField(L.GetGlobal("package"), "loaders").(*lua.LTable)
	if !ok {
		L.RaiseError("package.loaders must be a table")
	}
	k.ScriptModule()
	loaders.Append(k.makeSearcher(L, options))
}

// luaMakeSearcher is (make-searcher ?options).
func (k *Compiler) luaMakeSearcher(L *lua.LState) int {
	L.Push(k.makeSearcher(L, optTable(L, 1)))
	return 1
}

// makeSearcher makes a function for package.loaders. It gives a loader that runs the module's file, and the file's
// name; or the text that require's error shows.
func (k *Compiler) makeSearcher(L *lua.LState, options *lua.LTable) *lua.LFunction {
	return L.NewFunction(func(L *lua.LState) int {
		name := L.CheckString(1)
		opts := copyOptions(L, k.options)
		path := k.module.RawGetString("path")
		if options != nil {
			options.ForEach(func(key, v lua.LValue) { opts.RawSet(key, v) })
			if p, ok := options.RawGetString("path").(lua.LString); ok {
				path = p
			}
		}
		opts.RawSetString("module-name", lua.LString(name))
		file, tried := searchModule(name, lua.LVAsString(path), modulesReadable(L))
		if file == "" {
			L.Push(lua.LString(tried))
			return 1
		}
		L.Push(L.NewFunction(func(L *lua.LState) int {
			top := L.GetTop()
			L.Push(k.module.RawGetString("dofile"))
			L.Push(lua.LString(file))
			L.Push(opts)
			for i := 1; i <= top; i++ {
				L.Push(L.Get(i))
			}
			L.Call(top+2, lua.MultRet)
			return L.GetTop() - top
		}))
		L.Push(lua.LString(file))
		return 2
	})
}

// luaSearchModule is (search-module name ?path): the file, or nil and what was tried.
func (k *Compiler) luaSearchModule(L *lua.LState) int {
	path := L.Get(2)
	if !lua.LVAsBool(path) {
		path = k.module.RawGetString("path")
	}
	file, tried := searchModule(L.CheckString(1), lua.LVAsString(path), modulesReadable(L))
	if file != "" {
		L.Push(lua.LString(file))
		return 1
	}
	L.Push(lua.LNil)
	L.Push(lua.LString(tried))
	return 2
}

// modulesReadable tells whether a state reads files at all.
func modulesReadable(L *lua.LState) bool {
	_, ok := L.G.Global.RawGetString("io").(*lua.LTable)
	return ok
}

// searchModule looks for a module in a path of templates like ./?.fnl.
func searchModule(name, path string, readable bool) (file, tried string) {
	name = strings.ReplaceAll(name, ".", "/")
	var missing []string
	for _, template := range strings.Split(path, ";") {
		file := strings.ReplaceAll(template, "?", name)
		if readable {
			if f, err := os.Open(file); err == nil {
				f.Close()
				return file, ""
			}
		}
		missing = append(missing, "no file '"+file+"'")
	}
	return "", "\n\t" + strings.Join(missing, "\n\t")
}

// callModule calls a function of the module.
func (k *Compiler) callModule(L *lua.LState, name string, args ...lua.LValue) lua.LValue {
	L.Push(k.module.RawGetString(name))
	for _, a := range args {
		L.Push(a)
	}
	L.Call(len(args), 1)
	v := L.Get(-1)
	L.Pop(1)
	return v
}

// RunFile runs a Fennel program as (fennel.dofile file options args…) does. An error has a traceback; it is an
// *lua.ApiError, whose Object is the text for a person.
func (k *Compiler) RunFile(file string, options *lua.LTable, args ...string) error {
	values := make([]lua.LValue, len(args))
	for i, a := range args {
		values[i] = lua.LString(a)
	}
	return k.protected("dofile", 0, append([]lua.LValue{lua.LString(file), orNil(options)}, values...)...)
}

// RunString runs a Fennel program given as text, and leaves its values on the state's stack.
func (k *Compiler) RunString(source string, options *lua.LTable) error {
	return k.protected("eval", lua.MultRet, lua.LString(source), orNil(options))
}

func orNil(t *lua.LTable) lua.LValue {
	if t == nil {
		return lua.LNil
	}
	return t
}

func (k *Compiler) protected(name string, nret int, args ...lua.LValue) error {
	m := k.ScriptModule()
	L := k.L
	L.Push(m.RawGetString(name))
	for _, a := range args {
		L.Push(a)
	}
	return vm.PCall(L, len(args), nret, m.RawGetString("traceback").(*lua.LFunction))
}

// CompileString gives the Lua text of a Fennel program, as (fennel.compile-string source options) does.
func (k *Compiler) CompileString(source string, options *lua.LTable) (string, error) {
	if err := k.protected("compile-string", 1, lua.LString(source), orNil(options)); err != nil {
		return "", err
	}
	text := k.L.Get(-1).String()
	k.L.Pop(1)
	return text, nil
}
