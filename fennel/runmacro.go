package fennel

import (
	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// runMacro calls a program's own macro on the arguments of a call.
func (c *compilation) runMacro(fn lua.LValue, x *List, s *Scope) Node {
	k := c.k.vm()
	L := k.L
	top := L.GetTop()
	L.Push(fn)
	for _, a := range x.Items[1:] {
		L.Push(k.types.toLua(L, a))
	}
	at := x.Pos
	if at.Line == 0 {
		at.Line = int32(c.line)
	}
	previous := k.current
	k.current = c
	err := vm.PCall(L, len(x.Items)-1, 1, k.tracer)
	k.current = previous
	if err != nil {
		L.SetTop(top)
		c.raise(err, x)
	}
	v := L.Get(-1)
	L.SetTop(top)
	return k.types.fromLua(v, at, 0)
}

// raise turns an error of a macro into a compile error about its call. Errors that the compiler raised inside go on as
// they are.
func (c *compilation) raise(err error, x Node) {
	api, ok := err.(*lua.ApiError)
	if !ok {
		failAt(x, "%s", err.Error())
	}
	if e, ok := api.Cause.(*Error); ok {
		panic(e)
	}
	if ud, ok := api.Object.(*lua.LUserData); ok {
		if e, ok := ud.Value.(*Error); ok {
			panic(e)
		}
	}
	// A handler that makes tracebacks loses the cause.
	if c.k.thrown != nil && api.Object != nil && api.Object == c.k.thrownAs {
		panic(c.k.thrown)
	}
	msg := ""
	if api.Object != nil {
		msg = errorText(c.k.L, api.Object)
	} else {
		msg = api.Error()
	}
	failAt(x, "%s", msg)
}

// errorText is the text of a value that was raised. Its __tostring is the program's, too, and may fail or take for ever.
func errorText(L *lua.LState, v lua.LValue) string {
	top := L.GetTop()
	defer L.SetTop(top)
	L.Push(L.NewFunction(func(L *lua.LState) int {
		L.Push(lua.LString(vm.ToString(L, v)))
		return 1
	}))
	if vm.PCall(L, 0, 1, nil) != nil {
		return "an error without a text: its __tostring failed"
	}
	return L.Get(-1).String()
}
