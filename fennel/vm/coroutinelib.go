package vm

import (
	lua "github.com/yuin/gopher-lua"
)

func coroutineCreate(L *lua.LState) int {
	fn := argFunction(L, 1, "create")
	L.Push(machineOf(L).fibers.start(L, fn))
	return 1
}

func coroutineWrap(L *lua.LState) int {
	fn := argFunction(L, 1, "wrap")
	th := machineOf(L).fibers.start(L, fn)
	L.Push(L.NewFunction(func(L *lua.LState) int {
		n, err := resume(L, th, 1)
		if err != nil {
			v := errorValue(err)
			if s, ok := v.(lua.LString); ok {
				v = lua.LString(position(L, 1)) + s
			}
			raise(L, v)
		}
		return n
	}))
	return 1
}

func coroutineResume(L *lua.LState) int {
	th, ok := L.Get(1).(*lua.LState)
	if !ok {
		argError(L, 1, "resume", "coroutine expected")
	}
	n, err := resume(L, th, 2)
	if err != nil {
		L.Push(lua.LFalse)
		L.Push(errorValue(err))
		return 2
	}
	L.Insert(lua.LTrue, L.GetTop()-n+1)
	return n + 1
}

// coroutineYield can be called from anywhere in a coroutine: through pcall, a
// metamethod, an iterator or a sort's comparison. lua5.1 refuses those.
func coroutineYield(L *lua.LState) int {
	f := machineOf(L).fibers.of(L)
	if f == nil {
		raisef(L, "attempt to yield across metamethod/C-call boundary")
	}
	values := f.suspend(stackValues(L, 1))
	L.SetTop(0)
	for _, v := range values {
		L.Push(v)
	}
	return len(values)
}

func coroutineRunning(L *lua.LState) int {
	if f := machineOf(L).fibers.of(L); f != nil {
		L.Push(f.handle())
	} else {
		L.Push(lua.LNil)
	}
	return 1
}

func coroutineStatus(L *lua.LState) int {
	th, ok := L.Get(1).(*lua.LState)
	if !ok {
		argError(L, 1, "status", "coroutine expected")
	}
	L.Push(lua.LString(machineOf(L).fibers.status(L, th)))
	return 1
}

func stackValues(L *lua.LState, from int) []lua.LValue {
	n := L.GetTop() - from + 1
	if n <= 0 {
		return nil
	}
	values := make([]lua.LValue, n)
	for i := range values {
		values[i] = L.Get(from + i)
	}
	return values
}
