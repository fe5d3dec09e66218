package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// A conversation that is not told how to read and print uses the state's io library.

// ioCall calls a function of the state's io library.
func ioCall(L *lua.LState, name string, args ...lua.LValue) lua.LValue {
	io, ok := L.G.Global.RawGetString("io").(*lua.LTable)
	if !ok {
		L.RaiseError("this state has no io library: the options must say how to read and print")
	}
	L.Push(io.RawGetString(name))
	for _, a := range args {
		L.Push(a)
	}
	L.Call(len(args), 1)
	v := L.Get(-1)
	L.Pop(1)
	return v
}

// Prompt is what a conversation at a depth (from 1) shows before a line: the first of a form, or a further one.
func Prompt(depth int, first bool) string {
	mark := "."
	if first {
		mark = ">"
	}
	return strings.Repeat(mark, depth+1) + " "
}

func (k *Compiler) replReadChunk(L *lua.LState) int {
	state := optTable(L, 1)
	first := state == nil || state.RawGetString("stack-size") == lua.LNumber(0)
	ioCall(L, "write", lua.LString(Prompt(max(k.replDepth-1, 0), first)))
	ioCall(L, "flush")
	line, ok := ioCall(L, "read").(lua.LString)
	if !ok {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(line + "\n")
	return 1
}

func replOnValues(L *lua.LState) int {
	var parts []string
	values := L.CheckTable(1)
	for i := 1; i <= values.Len(); i++ {
		parts = append(parts, vm.ToString(L, values.RawGetInt(i)))
	}
	ioCall(L, "write", lua.LString(strings.Join(parts, "\t")+"\n"))
	return 0
}

func (k *Compiler) replOnError(traceback *lua.LFunction) *lua.LFunction {
	return k.L.NewFunction(func(L *lua.LState) int {
		kind, msg := L.Get(1).String(), lua.LString(vm.ToString(L, L.Get(2)))
		if kind != "Runtime" {
			ioCall(L, "write", lua.LString(kind+" error: "+string(msg)+"\n"))
			return 0
		}
		L.Push(traceback)
		L.Push(msg)
		L.Push(lua.LNumber(4))
		L.Call(2, 1)
		text := L.Get(-1).String()
		L.Pop(1)
		ioCall(L, "write", lua.LString(text+"\n"))
		return 0
	})
}
