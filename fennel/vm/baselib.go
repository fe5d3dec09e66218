package vm

import (
	"runtime"
	"runtime/metrics"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func baseAssert(L *lua.LState) int {
	if lua.LVAsBool(argAny(L, 1, "assert")) {
		return L.GetTop()
	}
	switch v := L.Get(2).(type) {
	case lua.LString, lua.LNumber:
		raisef(L, "%s", argString(L, 2, "assert"))
	case *lua.LNilType:
		raisef(L, "assertion failed!")
	default:
		raise(L, v) // as Lua 5.2; lua5.1 wants a string
	}
	return 0
}

// baseCollectgarbage collects only in a Full state: a stranger's program should
// not stop the whole process as often as it likes.
func baseCollectgarbage(L *lua.LState) int {
	switch opt := optString(L, 1, "collect", "collectgarbage"); opt {
	case "collect":
		if m := machineOf(L); m == nil || m.kind == Full {
			runtime.GC()
		}
		L.Push(lua.LNumber(0))
	case "step":
		L.Push(lua.LTrue)
	case "count":
		sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
		metrics.Read(sample)
		L.Push(lua.LNumber(float64(sample[0].Value.Uint64()) / 1024))
	case "stop", "restart":
		L.Push(lua.LNumber(0))
	case "setpause", "setstepmul":
		L.Push(lua.LNumber(200))
	default:
		argError(L, 1, "collectgarbage", "invalid option '"+opt+"'")
	}
	return 1
}

func baseGetmetatable(L *lua.LState) int {
	L.Push(L.GetMetatable(argAny(L, 1, "getmetatable")))
	return 1
}

func baseSetmetatable(L *lua.LState) int {
	t := argTable(L, 1, "setmetatable")
	mt := L.Get(2)
	if mt.Type() != lua.LTTable && (mt != lua.LNil || L.GetTop() < 2) {
		argError(L, 2, "setmetatable", "nil or table expected")
	}
	if L.GetMetaField(t, "__metatable") != lua.LNil {
		raisef(L, "cannot change a protected metatable")
	}
	L.SetMetatable(t, mt)
	L.SetTop(1)
	return 1
}

func baseNext(L *lua.LState) int {
	t := argTable(L, 1, "next")
	k, v := t.Next(L.Get(2))
	if k == lua.LNil {
		L.Push(lua.LNil)
		return 1
	}
	L.Push(k)
	L.Push(v)
	return 2
}

// nextFunction and ipairsFunction are what pairs and ipairs hand to the loop. No
// state ever writes to them.
var (
	nextFunction   = &lua.LFunction{IsG: true, GFunction: baseNext}
	ipairsFunction = &lua.LFunction{IsG: true, GFunction: ipairsStep}
)

func basePairs(L *lua.LState) int {
	t := argTable(L, 1, "pairs")
	L.Push(nextFunction)
	L.Push(t)
	L.Push(lua.LNil)
	return 3
}

func ipairsStep(L *lua.LState) int {
	t := argTable(L, 1, "ipairs")
	i := toInt(argNumber(L, 2, "ipairs")) + 1
	v := rawInt(t, i)
	if v == lua.LNil {
		return 0
	}
	L.Push(lua.LNumber(i))
	L.Push(v)
	return 2
}

func baseIpairs(L *lua.LState) int {
	t := argTable(L, 1, "ipairs")
	L.Push(ipairsFunction)
	L.Push(t)
	L.Push(lua.LNumber(0))
	return 3
}

func basePrint(L *lua.LState) int {
	var line []byte
	for i := 1; i <= L.GetTop(); i++ {
		if i > 1 {
			line = append(line, '\t')
		}
		line = append(line, ToString(L, L.Get(i))...)
	}
	line = append(line, '\n')
	m := machineOf(L)
	if m.files != nil {
		m.files.print(line)
	} else {
		_, _ = m.stdout.Write(line) // lua5.1's print has no error either
	}
	return 0
}

func baseRawequal(L *lua.LState) int {
	a, b := argAny(L, 1, "rawequal"), argAny(L, 2, "rawequal")
	L.Push(lua.LBool(L.RawEqual(a, b)))
	return 1
}

func baseRawget(L *lua.LState) int {
	t := argTable(L, 1, "rawget")
	L.Push(t.RawGet(argAny(L, 2, "rawget")))
	return 1
}

func baseRawset(L *lua.LState) int {
	t := argTable(L, 1, "rawset")
	k := argAny(L, 2, "rawset")
	v := argAny(L, 3, "rawset")
	if n, ok := k.(lua.LNumber); ok && n != n {
		raisef(L, "table index is NaN")
	} else if k == lua.LNil {
		raisef(L, "table index is nil")
	}
	t.RawSet(k, v)
	L.SetTop(1)
	return 1
}

func baseSelect(L *lua.LState) int {
	n := L.GetTop()
	if s, ok := L.Get(1).(lua.LString); ok && s == "#" {
		L.Push(lua.LNumber(n - 1))
		return 1
	}
	i := argInt(L, 1, "select")
	if i < 0 {
		i += n
	} else if i > n {
		i = n
	}
	if i < 1 {
		argError(L, 1, "select", "index out of range")
	}
	return n - i
}

func baseTonumber(L *lua.LState) int {
	base := optInt(L, 2, 10, "tonumber")
	if base == 10 {
		switch v := argAny(L, 1, "tonumber").(type) {
		case lua.LNumber:
			L.Push(v)
			return 1
		case lua.LString:
			if f, ok := ParseNumber(string(v)); ok {
				L.Push(lua.LNumber(f))
				return 1
			}
		}
		L.Push(lua.LNil)
		return 1
	}
	s := argString(L, 1, "tonumber")
	if base < 2 || base > 36 {
		argError(L, 2, "tonumber", "base out of range")
	}
	if f, ok := parseBase(s, base); ok {
		L.Push(lua.LNumber(f))
	} else {
		L.Push(lua.LNil)
	}
	return 1
}

func baseTostring(L *lua.LState) int {
	v := argAny(L, 1, "tostring")
	// __tostring may return anything here; print alone insists on a string.
	if fn := L.GetMetaField(v, "__tostring"); fn != lua.LNil {
		L.Push(fn)
		L.Push(v)
		L.Call(1, 1)
		return 1
	}
	L.Push(lua.LString(ToString(L, v)))
	return 1
}

func baseType(L *lua.LState) int {
	L.Push(lua.LString(argAny(L, 1, "type").Type().String()))
	return 1
}

// baseNewproxy makes a userdata with an empty metatable (true), none (false), or
// that of another proxy.
func baseNewproxy(L *lua.LState) int {
	ud := L.NewUserData()
	switch v := L.Get(1).(type) {
	case lua.LBool:
		if v {
			ud.Metatable = L.CreateTable(0, 0)
		}
	case *lua.LUserData:
		ud.Metatable = v.Metatable
	case *lua.LNilType:
	default:
		argError(L, 1, "newproxy", "boolean or proxy expected")
	}
	L.Push(ud)
	return 1
}

// functionAt is the function that getfenv and setfenv mean: itself or a level.
func functionAt(L *lua.LState, fname string) (fn *lua.LFunction, level int) {
	if fn, ok := L.Get(1).(*lua.LFunction); ok {
		return fn, -1
	}
	level = optInt(L, 1, 1, fname)
	if level < 0 {
		argError(L, 1, fname, "level must be non-negative")
	}
	if level == 0 {
		return nil, 0
	}
	_, fn, ok := Frame(L, level)
	if !ok {
		argError(L, 1, fname, "invalid level")
	}
	return fn, level
}

func baseGetfenv(L *lua.LState) int {
	fn, level := functionAt(L, "getfenv")
	switch {
	case level == 0:
		L.Push(L.Env)
	case fn == nil || fn.IsG || fn.Env == nil:
		L.Push(L.G.Global)
	default:
		L.Push(fn.Env)
	}
	return 1
}

func baseSetfenv(L *lua.LState) int {
	env := argTable(L, 2, "setfenv")
	fn, level := functionAt(L, "setfenv")
	if level == 0 {
		L.Env = env
		return 0
	}
	if fn == nil || fn.IsG {
		raisef(L, "'setfenv' cannot change environment of given object")
	}
	fn.Env = env
	L.Push(fn)
	return 1
}

// load accepts a function that returns pieces, as Lua 5.1, or a string, as 5.2.
func baseLoad(L *lua.LState) int {
	name := optString(L, 2, "=(load)", "load")
	if s, ok := L.Get(1).(lua.LString); ok {
		if L.Get(2) == lua.LNil {
			name = string(s)
		}
		return loadChunk(L, string(s), name, L.Get(4))
	}
	fn := argFunction(L, 1, "load")
	limit := limitsOf(L).Source
	var src strings.Builder
	for {
		L.Push(fn)
		L.Call(0, 1)
		piece := L.Get(-1)
		L.Pop(1)
		if piece == lua.LNil || piece == lua.LString("") {
			break
		}
		s, ok := piece.(lua.LString)
		if !ok {
			raisef(L, "reader function must return a string")
		}
		src.WriteString(string(s))
		if src.Len() > limit {
			break // loadChunk reports it
		}
	}
	return loadChunk(L, src.String(), name, L.Get(4))
}

func baseLoadstring(L *lua.LState) int {
	s := argString(L, 1, "loadstring")
	return loadChunk(L, s, optString(L, 2, s, "loadstring"), L.Get(4))
}

func loadChunk(L *lua.LState, src, name string, env lua.LValue) int {
	fn, err := Load(L, src, name)
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	if t, ok := env.(*lua.LTable); ok {
		fn.Env = t
	}
	L.Push(fn)
	return 1
}
