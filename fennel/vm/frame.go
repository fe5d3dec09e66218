package vm

import (
	lua "github.com/yuin/gopher-lua"
)

// hidden is the environment of Go functions that Lua's programs are not to see
// on the stack: the one that PCall puts between an error and its handler.
var hidden = &lua.LTable{Metatable: lua.LNil}

// Frame is a running function, as GetStack of the state gives it, but for the
// functions that this package puts between those of the program. Level 0 is the
// running function. fn is nil where gopher-lua does not know it.
func Frame(L *lua.LState, level int) (dbg *lua.Debug, fn *lua.LFunction, ok bool) {
	for i := 0; ; i++ {
		dbg, ok := L.GetStack(i)
		if !ok {
			return nil, nil, false
		}
		v, err := L.GetInfo("f", dbg, lua.LNil)
		fn, _ := v.(*lua.LFunction)
		if err == nil && fn != nil && fn.IsG && fn.Env == hidden {
			continue
		}
		if level == 0 {
			return dbg, fn, true
		}
		level--
	}
}
