package vm

import (
	"errors"
	"fmt"
	"sync"

	lua "github.com/yuin/gopher-lua"
)

// PCall calls the function below nargs arguments on the stack, as the state's
// own PCall does, and leaves nret results or lua.MultRet. It differs in what
// happens on an error: only captured variables of the functions that died are
// closed (see upvalues.go), and the end of the state's context is not caught
// but raised again, so that no loop of pcalls outlives it. (Only the outermost
// call, to which nothing is left to raise it, returns it; ask the context
// whether that was it.)
//
// handler, which may be nil, gets the error value while the functions that
// raised it are still on the stack, so that it can make a traceback; what it
// returns is the error's new value. The error is a *lua.ApiError.
func PCall(L *lua.LState, nargs, nret int, handler *lua.LFunction) error {
	err := protect(L, nargs, nret, handler)
	if _, inside := L.GetStack(0); err != nil && inside {
		checkContext(L)
	}
	return err
}

// protect is PCall that returns the context's error like any other.
func protect(L *lua.LState, nargs, nret int, handler *lua.LFunction) error {
	g := guards.Get().(*guard)
	g.base, g.handler, g.unwound = registerTop(L)-nargs, handler, false
	keepOuterUpvalues(L)
	err := L.PCall(nargs, nret, g.fn)
	keepOuterUpvalues(L)
	if err != nil && !g.unwound {
		closeUpvalues(L, g.base)
	}
	g.handler = nil
	guards.Put(g)
	if err == nil {
		return nil
	}
	var api *lua.ApiError
	if !errors.As(err, &api) {
		return err
	}
	if mended := mendMessage(nil, api.Object); mended != nil {
		api.Object = mended
	}
	return api
}

// guard is the error handler that gopher-lua gets: it calls the program's own
// and closes what has to be closed. They are kept, since pcall is called far
// more often than it catches anything.
type guard struct {
	fn      *lua.LFunction
	base    int // the first register of the functions that may die
	handler *lua.LFunction
	unwound bool
}

var guards = sync.Pool{New: func() any {
	g := new(guard)
	g.fn = &lua.LFunction{IsG: true, Env: hidden, GFunction: g.unwind}
	return g
}}

func (g *guard) unwind(L *lua.LState) int {
	keepOuterUpvalues(L)
	if mended := mendMessage(L, L.Get(1)); mended != nil {
		L.Replace(1, mended)
	}
	if g.handler != nil {
		L.Push(g.handler)
		L.Push(L.Get(1))
		L.Call(1, 1)
	}
	closeUpvalues(L, g.base)
	g.unwound = true
	return 1
}

// errorValue is the Lua value of an error that PCall returned.
func errorValue(err error) lua.LValue {
	var api *lua.ApiError
	if errors.As(err, &api) && api.Object != nil {
		return api.Object
	}
	return lua.LString(err.Error())
}

func basePcall(L *lua.LState) int {
	if f := argAny(L, 1, "pcall"); !callable(L, f) {
		L.Push(lua.LFalse)
		L.Push(lua.LString("attempt to call a " + f.Type().String() + " value"))
		return 2
	}
	if err := PCall(L, L.GetTop()-1, lua.MultRet, nil); err != nil {
		L.SetTop(0)
		L.Push(lua.LFalse)
		L.Push(errorValue(err))
		return 2
	}
	L.Insert(lua.LTrue, 1)
	return L.GetTop()
}

func callable(L *lua.LState, v lua.LValue) bool {
	if _, ok := v.(*lua.LFunction); ok {
		return true
	}
	return L.GetMetaField(v, "__call").Type() == lua.LTFunction
}

// baseXpcall hands arguments behind the handler to the function, as LuaJIT and
// Lua 5.2 do; lua5.1 drops them.
func baseXpcall(L *lua.LState) int {
	if L.GetTop() < 2 {
		argError(L, 2, "xpcall", "value expected")
	}
	handler, ok := L.Get(2).(*lua.LFunction)
	if !ok {
		// lua5.1 finds out only when it calls it, and reports this instead.
		handler = L.NewFunction(func(L *lua.LState) int {
			raisef(L, "attempt to call a %s value", L.Get(1).Type().String())
			return 0
		})
	}
	L.Remove(2)
	if err := PCall(L, L.GetTop()-1, lua.MultRet, handler); err != nil {
		L.SetTop(0)
		L.Push(lua.LFalse)
		L.Push(errorValue(err))
		return 2
	}
	L.Insert(lua.LTrue, 1)
	return L.GetTop()
}

// baseError counts levels as Lua does; gopher-lua's level 2 means level 1.
func baseError(L *lua.LState) int {
	v := L.Get(1)
	level := optInt(L, 2, 1, "error")
	if s, ok := v.(lua.LString); ok && level > 0 {
		v = lua.LString(position(L, level)) + s
	}
	raise(L, v)
	return 0
}

// raise raises a value as it is.
func raise(L *lua.LState, v lua.LValue) {
	if s, ok := v.(lua.LString); ok {
		// With level 0 gopher-lua adds no position, and without arguments it
		// does not take the text for a format.
		L.Error(s, 0)
	}
	L.Error(v, 0)
}

// raisef raises a message with the position of the Lua function that called
// the running Go function, as luaL_error does; with none if that is Go's too.
func raisef(L *lua.LState, format string, args ...any) {
	raise(L, lua.LString(position(L, 1)+fmt.Sprintf(format, args...)))
}

// position is "file:line: " of the function at a level of the stack (1: the one
// that called the running Go function), or "" where that is not Lua's.
func position(L *lua.LState, level int) string {
	dbg, fn, ok := Frame(L, level)
	if !ok || fn == nil || fn.IsG {
		return ""
	}
	if _, err := L.GetInfo("l", dbg, lua.LNil); err != nil || dbg.CurrentLine <= 0 {
		return ""
	}
	return fmt.Sprintf("%s:%d: ", fn.Proto.SourceName, dbg.CurrentLine)
}
