package vm

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

var debugFuncs = library{
	{"getfenv", debugGetfenv},
	{"gethook", debugGethook},
	{"getinfo", debugGetinfo},
	{"getlocal", debugGetlocal},
	{"getmetatable", debugGetmetatable},
	{"getregistry", debugGetregistry},
	{"getupvalue", debugGetupvalue},
	{"setfenv", debugSetfenv},
	{"sethook", debugSethook},
	{"setlocal", debugSetlocal},
	{"setmetatable", debugSetmetatable},
	{"setupvalue", debugSetupvalue},
	{"traceback", debugTraceback},
}

// threadArg is the thread that a debug function's optional first argument
// names, and how many places that argument took.
func threadArg(L *lua.LState) (th *lua.LState, skip int) {
	if th, ok := L.Get(1).(*lua.LState); ok {
		if th.Parent != nil { // a fiber's handle
			return th.Parent, 1
		}
		return th, 1
	}
	return L, 0
}

func debugGetfenv(L *lua.LState) int {
	v := L.GetFEnv(argAny(L, 1, "getfenv"))
	if t, ok := v.(*lua.LTable); ok && t == nil {
		v = L.G.Global
	}
	L.Push(v)
	return 1
}

func debugSetfenv(L *lua.LState) int {
	v := L.Get(1)
	t := argTable(L, 2, "setfenv")
	switch v.Type() {
	case lua.LTFunction, lua.LTUserData, lua.LTThread:
	default:
		raisef(L, "'setfenv' cannot change environment of given object")
	}
	L.SetFEnv(v, t)
	L.SetTop(1)
	return 1
}

// debugSethook: gopher-lua has no hooks. Taking one silently would be a lie,
// taking one away is not.
func debugSethook(L *lua.LState) int {
	_, skip := threadArg(L)
	if L.Get(skip+1) != lua.LNil {
		raisef(L, "hooks are not supported")
	}
	return 0
}

func debugGethook(L *lua.LState) int { return 0 }

func debugGetmetatable(L *lua.LState) int {
	v := argAny(L, 1, "getmetatable")
	switch v := v.(type) {
	case *lua.LTable:
		L.Push(v.Metatable)
	case *lua.LUserData:
		L.Push(v.Metatable)
	default:
		L.Push(L.GetMetatable(v))
	}
	return 1
}

func debugSetmetatable(L *lua.LState) int {
	mt := L.Get(2)
	if mt != lua.LNil {
		argTable(L, 2, "setmetatable")
	}
	L.SetMetatable(L.Get(1), mt)
	L.Push(lua.LTrue)
	return 1
}

func debugGetregistry(L *lua.LState) int {
	L.Push(L.G.Registry)
	return 1
}

func debugGetupvalue(L *lua.LState) int {
	fn := argFunction(L, 1, "getupvalue")
	name, v := L.GetUpvalue(fn, argInt(L, 2, "getupvalue"))
	if name == "" {
		return 0
	}
	L.Push(lua.LString(name))
	L.Push(v)
	return 2
}

func debugSetupvalue(L *lua.LState) int {
	fn := argFunction(L, 1, "setupvalue")
	n := argInt(L, 2, "setupvalue")
	name := L.SetUpvalue(fn, n, argAny(L, 3, "setupvalue"))
	if name == "" {
		return 0
	}
	L.Push(lua.LString(name))
	return 1
}

func stackAt(L, th *lua.LState, n int, fname string) *lua.Debug {
	dbg, _, ok := Frame(th, argInt(L, n, fname))
	if !ok {
		argError(L, n, fname, "level out of range")
	}
	return dbg
}

func debugGetlocal(L *lua.LState) int {
	th, skip := threadArg(L)
	name, v := th.GetLocal(stackAt(L, th, skip+1, "getlocal"), argInt(L, skip+2, "getlocal"))
	if name == "" {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(lua.LString(name))
	L.Push(v)
	return 2
}

func debugSetlocal(L *lua.LState) int {
	th, skip := threadArg(L)
	dbg := stackAt(L, th, skip+1, "setlocal")
	name := th.SetLocal(dbg, argInt(L, skip+2, "setlocal"), argAny(L, skip+3, "setlocal"))
	if name == "" {
		L.Push(lua.LNil)
	} else {
		L.Push(lua.LString(name))
	}
	return 1
}

func debugGetinfo(L *lua.LState) int {
	th, skip := threadArg(L)
	what := optString(L, skip+2, "flnSu", "getinfo")
	if strings.Trim(what, "flnSuL") != "" {
		argError(L, skip+2, "getinfo", "invalid option")
	}
	var dbg *lua.Debug
	var fn *lua.LFunction
	if f, ok := L.Get(skip + 1).(*lua.LFunction); ok {
		fn, dbg = f, nil
	} else {
		level, isNumber := L.Get(skip + 1).(lua.LNumber)
		if !isNumber {
			argError(L, skip+1, "getinfo", "function or level expected")
		}
		var found bool
		if dbg, fn, found = Frame(th, toInt(float64(level))); !found || level < 0 {
			return 0
		}
	}
	L.Push(infoTable(L, th, dbg, fn, what))
	return 1
}

// infoTable is getinfo's result. gopher-lua knows neither short_src nor
// namewhat nor active lines, calls a C function G, and the chunk of any function
// value Lua.
func infoTable(L, th *lua.LState, dbg *lua.Debug, fn *lua.LFunction, what string) *lua.LTable {
	fields := &lua.Debug{CurrentLine: -1}
	if dbg != nil {
		fields = dbg
		_, _ = th.GetInfo("ln", dbg, lua.LNil) // fails for letters it does not know
	}
	t := L.CreateTable(0, 12)
	if strings.Contains(what, "S") {
		putSource(t, fn)
	}
	if strings.Contains(what, "l") {
		t.RawSetString("currentline", lua.LNumber(fields.CurrentLine))
	}
	if strings.Contains(what, "u") {
		t.RawSetString("nups", lua.LNumber(len(fn.Upvalues)))
	}
	if strings.Contains(what, "n") {
		name, kind := "", ""
		if dbg != nil {
			name, kind = CalledAs(fields.Name)
		}
		t.RawSetString("namewhat", lua.LString(kind))
		if kind != "" {
			t.RawSetString("name", lua.LString(name))
		}
	}
	if strings.Contains(what, "L") && !fn.IsG {
		lines := L.CreateTable(0, len(fn.Proto.DbgSourcePositions))
		for _, line := range fn.Proto.DbgSourcePositions {
			if line > 0 {
				lines.RawSetInt(line, lua.LTrue)
			}
		}
		t.RawSetString("activelines", lines)
	}
	if strings.Contains(what, "f") {
		t.RawSetString("func", fn)
	}
	return t
}

func putSource(t *lua.LTable, fn *lua.LFunction) {
	if fn.IsG {
		t.RawSetString("source", lua.LString("=[C]"))
		t.RawSetString("short_src", lua.LString("[C]"))
		t.RawSetString("what", lua.LString("C"))
		t.RawSetString("linedefined", lua.LNumber(-1))
		t.RawSetString("lastlinedefined", lua.LNumber(-1))
		return
	}
	source := fn.Proto.SourceName
	kind := "Lua"
	if fn.Proto.LineDefined == 0 {
		kind = "main"
	}
	// A prototype keeps the short form of its chunk's name; see Load.
	long := "@" + source
	if strings.HasPrefix(source, "[string ") {
		long = source
	}
	t.RawSetString("source", lua.LString(long))
	t.RawSetString("short_src", lua.LString(shortSource(long)))
	t.RawSetString("what", lua.LString(kind))
	t.RawSetString("linedefined", lua.LNumber(fn.Proto.LineDefined))
	t.RawSetString("lastlinedefined", lua.LNumber(fn.Proto.LastLineDefined))
}

// CalledAs reads gopher-lua's name of a call, of which it keeps the expression:
// "f", "t.f", "o:m". Anything in brackets means that there is none.
func CalledAs(expr string) (name, kind string) {
	switch {
	case expr == "" || expr == "?" || expr == "main chunk" || expr == "corountine" ||
		strings.ContainsAny(expr[:1], "<("):
		return "", ""
	}
	if k := strings.LastIndexByte(expr, ':'); k >= 0 {
		return expr[k+1:], "method"
	}
	if k := strings.LastIndexByte(expr, '.'); k >= 0 {
		return expr[k+1:], "field"
	}
	return expr, "global"
}

func debugTraceback(L *lua.LState) int {
	th, skip := threadArg(L)
	msg := L.Get(skip + 1)
	if L.GetTop() > skip && !lua.LVCanConvToString(msg) {
		L.Push(msg)
		return 1
	}
	level := 1
	if th != L {
		level = 0
	}
	level = optInt(L, skip+2, level, "traceback")
	out := ""
	if msg != lua.LNil {
		out = argString(L, skip+1, "traceback") + "\n"
	}
	L.Push(lua.LString(out + Traceback(th, level)))
	return 1
}

// Traceback is debug.traceback of the running functions from a level up, 0
// being the innermost.
func Traceback(L *lua.LState, level int) string {
	const first, last = 12, 10 // as many as lua5.1 shows of a long stack
	var lines []string
	for i := level; ; i++ {
		dbg, fn, ok := Frame(L, i)
		if !ok {
			break
		}
		lines = append(lines, "\n\t"+describeFrame(L, dbg, fn))
	}
	if f := fiberRunning(L); f == nil {
		lines = append(lines, "\n\t[C]: ?")
	}
	if len(lines) > first+last {
		lines = append(append(lines[:first:first], "\n\t..."), lines[len(lines)-last:]...)
	}
	return "stack traceback:" + strings.Join(lines, "")
}

func fiberRunning(L *lua.LState) *fiber {
	if m := machineOf(L); m != nil {
		return m.fibers.of(L)
	}
	return nil
}

func describeFrame(L *lua.LState, dbg *lua.Debug, fn *lua.LFunction) string {
	if _, err := L.GetInfo("ln", dbg, lua.LNil); err != nil || fn == nil {
		return "?"
	}
	where := "[C]:"
	if !fn.IsG {
		where = fmt.Sprintf("%s:", shortSource("@"+fn.Proto.SourceName))
		if dbg.CurrentLine > 0 {
			where += fmt.Sprintf("%d:", dbg.CurrentLine)
		}
	}
	name, kind := CalledAs(dbg.Name)
	switch {
	case kind != "":
		return where + " in function '" + name + "'"
	case !fn.IsG && fn.Proto.LineDefined == 0:
		return where + " in main chunk"
	case fn.IsG:
		return where + " ?"
	}
	return fmt.Sprintf("%s in function <%s:%d>", where, shortSource("@"+fn.Proto.SourceName), fn.Proto.LineDefined)
}
