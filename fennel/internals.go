package fennel

import (
	_ "embed"

	lua "github.com/yuin/gopher-lua"
)

//go:embed internals.fnl
var internals []byte

// preloadInternals lets scripts require fennel.utils, fennel.friend and fennel.view, which the reference does not
// promise but some programs use.
func (k *Compiler) preloadInternals() {
	L := k.L
	pkg, ok := L.G.Global.RawGetString("package").(*lua.LTable)
	if !ok {
		return
	}
	preload, ok := pkg.RawGetString("preload").(*lua.LTable)
	if !ok {
		return
	}
	var both *lua.LTable
	part := func(name string) *lua.LFunction {
		return L.NewFunction(func(L *lua.LState) int {
			if both == nil {
				both = k.loadInternals(L)
			}
			L.Push(both.RawGetString(name))
			return 1
		})
	}
	preload.RawSetString("fennel.utils", part("utils"))
	preload.RawSetString("fennel.friend", part("friend"))
	preload.RawSetString("fennel.view", L.NewFunction(func(L *lua.LState) int {
		L.Push(L.NewFunction(viewFunction))
		return 1
	}))
}

func (k *Compiler) loadInternals(L *lua.LState) *lua.LTable {
	proto, err := k.Compile(internals, Options{Filename: "fennel/internals.fnl"})
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	L.Push(L.NewFunctionFromProto(proto))
	L.Push(k.Module())
	L.Push(L.NewFunction(luaStablePairs))
	L.Push(L.NewFunction(k.luaRaise))
	L.Call(3, 1)
	t := L.CheckTable(-1)
	L.Pop(1)
	return t
}

// luaRaise raises an error with its advice: (raise kind message file line col endcol source options).
func (k *Compiler) luaRaise(L *lua.LState) int {
	msg := L.CheckString(2)
	e := &Error{Kind: ErrorKind(L.CheckString(1)), Message: msg, Advice: advise(msg), File: L.OptString(3, "unknown"),
		Line: L.OptInt(4, 0), Col: L.OptInt(5, 0), Form: "?", told: true}
	e.EndCol = L.OptInt(6, e.Col)
	f := &sourceFile{name: e.File}
	if src, ok := L.Get(7).(lua.LString); ok {
		f.text = []byte(src)
	} else if known := k.files[e.File]; known != nil {
		f = known
	}
	e.setSource(f, e.Line)
	k.throwWith(L, e, optTable(L, 8))
	return 0
}
