package vm

import (
	"fmt"
	"os"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// The package library: require finds a module through package.loaders, of which
// the first looks into package.preload, then come the embedder's, then, in a
// Full state, the one that reads package.path. loaders, preload and loaded are
// the tables that the registry keeps, so that a program that replaces the field
// of package changes nothing, as in lua5.1.
const (
	loadedKey  = "_LOADED"
	loadersKey = "_LOADERS"
	preloadKey = "_PRELOAD"
)

func (m *machine) openPackage(L *lua.LState, loaded *lua.LTable) *lua.LTable {
	preload := L.CreateTable(0, 0)
	loaders := L.CreateTable(4, 0)
	loaders.Append(&lua.LFunction{IsG: true, Env: L.Env, GFunction: searchPreload})
	for _, s := range m.searchers {
		loaders.Append(&lua.LFunction{IsG: true, Env: L.Env, GFunction: s})
	}
	pkg := L.CreateTable(0, 8)
	pkg.RawSetString("loaded", loaded)
	pkg.RawSetString("preload", preload)
	pkg.RawSetString("loaders", loaders)
	pkg.RawSetString("config", lua.LString("/\n;\n?\n!\n-\n"))
	reg := L.G.Registry
	reg.RawSetString(loadersKey, loaders)
	reg.RawSetString(preloadKey, preload)
	if m.kind == Full {
		loaders.Append(&lua.LFunction{IsG: true, Env: L.Env, GFunction: searchPath})
		pkg.RawSetString("path", lua.LString(pathFrom("LUA_PATH", defaultPath)))
		pkg.RawSetString("cpath", lua.LString(""))
	}
	return pkg
}

// defaultPath is lua5.1's LUA_PATH_DEFAULT as its own sources have it.
const defaultPath = "./?.lua;/usr/local/share/lua/5.1/?.lua;/usr/local/share/lua/5.1/?/init.lua"

// pathFrom reads a path variable, in which ;; stands for the default.
func pathFrom(variable, def string) string {
	path, ok := os.LookupEnv(variable)
	if !ok {
		return def
	}
	return strings.ReplaceAll(path, ";;", ";"+def+";")
}

func searchPreload(L *lua.LState) int {
	name := argString(L, 1, "require")
	preload, ok := L.G.Registry.RawGetString(preloadKey).(*lua.LTable)
	if !ok {
		raisef(L, "'package.preload' must be a table")
	}
	v := preload.RawGetString(name)
	if v == lua.LNil {
		v = lua.LString(fmt.Sprintf("\n\tno field package.preload['%s']", name))
	}
	L.Push(v)
	return 1
}

func searchPath(L *lua.LState) int {
	name := argString(L, 1, "require")
	pkg, _ := L.G.Global.RawGetString("package").(*lua.LTable)
	var path lua.LString
	if pkg != nil {
		path, _ = pkg.RawGetString("path").(lua.LString)
	}
	if path == "" {
		raisef(L, "'package.path' must be a string")
	}
	var missing strings.Builder
	for _, template := range strings.Split(string(path), ";") {
		if template == "" {
			continue
		}
		file := strings.ReplaceAll(template, "?", strings.ReplaceAll(name, ".", "/"))
		if f, err := os.Open(file); err != nil {
			missing.WriteString("\n\tno file '" + file + "'")
			continue
		} else {
			f.Close()
		}
		fn, err := LoadFile(L, file)
		if err != nil {
			raisef(L, "error loading module '%s' from file '%s':\n\t%s", name, file, err.Error())
		}
		L.Push(fn)
		return 1
	}
	L.Push(lua.LString(missing.String()))
	return 1
}

// loading marks a module whose loader has not returned.
var loading = &lua.LUserData{Metatable: lua.LNil}

func baseRequire(L *lua.LState) int {
	name := argString(L, 1, "require")
	loaded, _ := L.G.Registry.RawGetString(loadedKey).(*lua.LTable)
	if v := loaded.RawGetString(name); lua.LVAsBool(v) {
		if v == loading {
			raisef(L, "loop or previous error loading module '%s'", name)
		}
		L.Push(v)
		return 1
	}
	loader := findLoader(L, name)
	loaded.RawSetString(name, loading)
	L.Push(loader)
	L.Push(lua.LString(name))
	L.Call(1, 1)
	v := L.Get(-1)
	L.Pop(1)
	if v != lua.LNil {
		loaded.RawSetString(name, v)
	} else if loaded.RawGetString(name) == loading {
		loaded.RawSetString(name, lua.LTrue)
	}
	L.Push(loaded.RawGetString(name))
	return 1
}

func findLoader(L *lua.LState, name string) lua.LValue {
	loaders, ok := L.G.Registry.RawGetString(loadersKey).(*lua.LTable)
	if !ok {
		raisef(L, "'package.loaders' must be a table")
	}
	var tried strings.Builder
	for i := 1; ; i++ {
		searcher := loaders.RawGetInt(i)
		if searcher == lua.LNil {
			raisef(L, "module '%s' not found:%s", name, tried.String())
		}
		L.Push(searcher)
		L.Push(lua.LString(name))
		L.Call(1, 1)
		v := L.Get(-1)
		L.Pop(1)
		switch v := v.(type) {
		case *lua.LFunction:
			return v
		case lua.LString:
			tried.WriteString(string(v))
		}
	}
}

func packageLoadlib(L *lua.LState) int {
	argString(L, 1, "loadlib")
	L.Push(lua.LNil)
	L.Push(lua.LString("dynamic libraries not enabled; check your Lua installation"))
	L.Push(lua.LString("absent"))
	return 3
}

func packageSeeall(L *lua.LState) int {
	mod := argTable(L, 1, "seeall")
	mt, ok := mod.Metatable.(*lua.LTable)
	if !ok {
		mt = L.CreateTable(0, 1)
		mod.Metatable = mt
	}
	mt.RawSetString("__index", L.G.Global)
	return 0
}

// baseModule makes a table in loaded and in the globals, and the environment of
// its caller.
func baseModule(L *lua.LState) int {
	name := argString(L, 1, "module")
	loaded, _ := L.G.Registry.RawGetString(loadedKey).(*lua.LTable)
	mod, ok := loaded.RawGetString(name).(*lua.LTable)
	if !ok {
		if mod, ok = L.FindTable(L.G.Global, name, 1).(*lua.LTable); !ok {
			raisef(L, "name conflict for module '%s'", name)
		}
		loaded.RawSetString(name, mod)
	}
	if mod.RawGetString("_NAME") == lua.LNil {
		mod.RawSetString("_M", mod)
		mod.RawSetString("_NAME", lua.LString(name))
		mod.RawSetString("_PACKAGE", lua.LString(name[:strings.LastIndexByte(name, '.')+1]))
	}
	_, caller, ok := Frame(L, 1)
	if !ok || caller == nil || caller.IsG {
		raisef(L, "'module' not called from a Lua function")
	}
	caller.Env = mod
	for i := 2; i <= L.GetTop(); i++ {
		L.Push(L.Get(i))
		L.Push(mod)
		L.Call(1, 0)
	}
	return 0
}
