package vm

import (
	"context"
	"errors"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// What a stranger's program may see, to the last name.
func TestSandboxNames(t *testing.T) {
	L := sandbox(t, nil, Limits{})
	var names []string
	L.G.Global.ForEach(func(k, v lua.LValue) {
		names = append(names, k.String())
		if lib, ok := v.(*lua.LTable); ok && lib != L.G.Global {
			lib.ForEach(func(k2, _ lua.LValue) { names = append(names, k.String()+"."+k2.String()) })
		}
	})
	sort.Strings(names)
	want := strings.Fields(`
		_G _VERSION assert
		bit bit.arshift bit.band bit.bnot bit.bor bit.bswap bit.bxor bit.lshift bit.rol bit.ror bit.rshift bit.tobit bit.tohex
		collectgarbage
		coroutine coroutine.create coroutine.resume coroutine.running coroutine.status coroutine.wrap coroutine.yield
		error getfenv getmetatable ipairs load loadstring
		math math.abs math.acos math.asin math.atan math.atan2 math.ceil math.cos math.cosh math.deg math.exp math.floor
		math.fmod math.frexp math.huge math.ldexp math.log math.log10 math.max math.min math.mod math.modf math.pi math.pow
		math.rad math.random math.randomseed math.sin math.sinh math.sqrt math.tan math.tanh
		module newproxy next os os.clock os.date os.difftime os.time
		package package.config package.loaded package.loaders package.preload package.seeall
		pairs pcall print rawequal rawget rawset require select setfenv setmetatable
		string string.byte string.char string.dump string.find string.format string.gfind string.gmatch string.gsub
		string.len string.lower string.match string.rep string.reverse string.sub string.upper
		table table.concat table.foreach table.foreachi table.getn table.insert table.maxn table.remove table.setn table.sort
		tonumber tostring type unpack xpcall`)
	// package.loaded holds the libraries once more.
	got := names[:0]
	for _, n := range names {
		if !strings.HasPrefix(n, "package.loaded.") {
			got = append(got, n)
		}
	}
	sort.Strings(want)
	if g, w := strings.Join(got, " "), strings.Join(want, " "); g != w {
		t.Errorf("sandbox has\n%s\nwant\n%s", g, w)
	}
}

// Each of these would take the process down, or hang it, with gopher-lua's own
// library.
func TestSandboxHolds(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"rep":             {`return ("x"):rep(4e9)`, "string too long"},
		"rep overflow":    {`return ("xxxx"):rep(2^62)`, "string too long"},
		"rep nested":      {`local s = ("x"):rep(6e7) return s:rep(2)`, "string too long"},
		"format":          {`return ("%s%s"):format(("x"):rep(6e7), ("x"):rep(6e7))`, "string too long"},
		"gsub bomb":       {`local s = ("x"):rep(1e6) return s:gsub("x", s)`, "string too long"},
		"gsub function":   {`local s = ("x"):rep(1e6) return s:gsub("x", function() return s end)`, "string too long"},
		"concat":          {`local s, t = ("x"):rep(1e6), {} for i = 1, 100 do t[i] = s end return table.concat(t)`, "string too long"},
		"concat sep":      {`local t = {} for i = 1, 100 do t[i] = "" end return table.concat(t, ("x"):rep(1e6))`, "string too long"},
		"pattern":         {`return (("a"):rep(30)):find(("a*"):rep(12) .. "b")`, "pattern too complex"},
		"pattern lazy":    {`return (("a"):rep(3000)):find(("a-"):rep(12) .. "b")`, "pattern too complex"},
		"pattern depth":   {`return (("a"):rep(1e6)):find(("a?"):rep(1e6))`, "pattern too complex"},
		"pattern square":  {`return (("a"):rep(1e6)):find("a*b")`, "pattern too complex"},
		"pattern balance": {`return (("("):rep(1e6)):find("%b()")`, "pattern too complex"},
		"gmatch":          {`for _ in (("a"):rep(1e6)):gmatch("a*b") do end`, "pattern too complex"},
		"unpack":          {`return unpack({}, 1, 1e7)`, "too many results to unpack"},
		"unpack wide":     {`return unpack({}, -2^62, 2^62)`, "too many results to unpack"},
		"byte":            {`return (("x"):rep(1e6)):byte(1, -1)`, "string slice too long"},
		"recursion":       {`local function f() return 1 + f() end return f()`, "stack overflow"},
		"pcall recursion": {`local function f() return pcall(f) end local r = {f()} error(tostring(r[#r]))`, "stack overflow"},
		"tostring loop":   {`local t = setmetatable({}, {}) getmetatable(t).__tostring = function(x) return tostring(x) end return tostring(t)`, "stack overflow"},
		"index loop":      {`local t = {} setmetatable(t, {__index = t}) return t.x`, "too many recursions"},
		"coroutines":      {`local t = {} for i = 1, 1e6 do t[i] = coroutine.create(function() end) end`, "too many coroutines"},
		"coroutine depth": {`local function f() return coroutine.wrap(f)() end return f()`, "too many coroutines"},
		"bytecode":        {`return assert(loadstring("\27Lua"))`, "precompiled chunk"},
		"long chunk":      {`return assert(loadstring(("x=1 "):rep(1e6)))`, "chunk too long"},
		"deep chunk":      {`return assert(loadstring("return " .. ("("):rep(1e5) .. ("x"):rep(1)))`, ""},
		"load for ever":   {`return assert(load(function() return "x=1 " end))`, "chunk too long"},
		"sort":            {`local t = {} for i = 1, 50 do t[i] = i end table.sort(t, function() return true end)`, "invalid order function"},
		"no io":           {`return io.open("/etc/passwd")`, "global 'io'"},
		"no dofile":       {`return dofile("/etc/passwd")`, "global 'dofile'"},
		"no getenv":       {`return os.getenv("HOME")`, ""},
		"no searchers":    {`return require("socket")`, "module 'socket' not found"},
		"string.dump":     {`return string.dump(print)`, "unable to dump"},
		"setfenv print":   {`setfenv(print, {})`, "cannot change environment"},
		"protected":       {`setmetatable("", {})`, "table expected"},
		"getinfo":         {`return debug.getinfo(1)`, "global 'debug'"},
		"format width":    {`return ("%999999999d"):format(1)`, "invalid format"},
		"module":          {`module("string.x", nil)`, ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := run(t, sandbox(t, nil, Limits{Coroutines: 2000, PatternSteps: 1_000_000}), c.src)
			if err == nil {
				t.Fatal("no error")
			}
			if !strings.Contains(err.Error(), c.want) {
				t.Errorf("error %q, want one with %q", err, c.want)
			}
		})
	}
}

// The end of the context stops Lua code and library calls, and nothing catches
// it.
func TestContextStops(t *testing.T) {
	for name, src := range map[string]string{
		"loop":          `ready() while true do end`,
		"pcall loop":    `ready() while true do pcall(function() while true do end end) end`,
		"xpcall":        `ready() while true do xpcall(function() while true do end end, function() while true do end end) end`,
		"coroutine":     `ready() coroutine.wrap(function() while true do end end)()`,
		"coroutines":    `ready() while true do coroutine.resume(coroutine.create(function() while true do coroutine.yield() end end)) end`,
		"pcall resume":  `ready() while true do pcall(coroutine.wrap(function() while true do end end)) end`,
		"pattern":       `ready() return (("a"):rep(1e6)):find(("a*"):rep(30) .. "b")`,
		"caught find":   `ready() while true do pcall(string.find, ("a"):rep(1e6), ("a*"):rep(30) .. "b") end`,
		"gsub":          `ready() return (("a"):rep(1e6)):gsub("a-b", "")`,
		"sort":          `local t = {} for i = 1, 1e5 do t[i] = i % 100 end ready() while true do table.sort(t) end`,
		"recursion":     `ready() local function f() return pcall(f) end while true do f() end`,
		"gsub callback": `ready() return (("a"):rep(1e6)):gsub("a", function() while true do end end)`,
		"metamethod":    `ready() local t = setmetatable({}, {__index = function(t, k) while true do end end}) return t.x`,
		"iterator":      `ready() for _ in function() return 1 end do end`,
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			L := sandbox(t, ctx, Limits{PatternSteps: -1})
			L.SetGlobal("ready", L.NewFunction(func(*lua.LState) int { cancel(); return 0 }))
			_, err := run(t, L, src)
			if err == nil || !strings.Contains(err.Error(), context.Canceled.Error()) {
				t.Errorf("error %v", err)
			}
		})
	}
}

// A program that spoils its own library spoils nobody else's.
func TestSandboxesAreApart(t *testing.T) {
	a, b := sandbox(t, nil, Limits{}), sandbox(t, nil, Limits{})
	if _, err := run(t, a, `
		getmetatable("").__index = function() return "spoilt" end
		string.rep, table.concat, math.pi, os.time = nil, nil, 3, nil
		local g, next = _G, next local k = next(g) while k do g[k] = nil k = next(g) end`); err != nil {
		t.Fatal(err)
	}
	got, err := run(t, b, `return ("x"):rep(3), table.concat{1, 2}, math.pi > 3.1, type(os.time())`)
	if err != nil || strings.Join(got, " ") != "xxx 12 true number" {
		t.Errorf("%v, %v", got, err)
	}
}

func TestManyStatesAtOnce(t *testing.T) {
	const src = `
		local out = {}
		for w in coroutine.wrap(function() for w in ("the quick brown fox"):gmatch("%w+") do coroutine.yield(w) end end) do
			out[#out + 1] = w:upper():gsub("[AEIOU]", "%0%0")
		end
		local ok, e = pcall(function() error({code = 7}) end)
		return table.concat(out, " "), e.code, ("%5.2f"):format(math.pi)`
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 20 {
				L := New(Options{Kind: Sandbox})
				got, err := run(t, L, src)
				if err != nil || strings.Join(got, "|") != "THEE QUUIICK BROOWN FOOX|7| 3.14" {
					t.Errorf("%v %v", got, err)
				}
				Close(L)
			}
		})
	}
	wg.Wait()
}

func TestSearchers(t *testing.T) {
	L := New(Options{Kind: Sandbox, Searchers: []lua.LGFunction{func(L *lua.LState) int {
		if name := L.CheckString(1); name == "host.thing" {
			L.Push(L.NewFunction(func(L *lua.LState) int {
				L.Push(lua.LString("made for " + L.CheckString(1)))
				return 1
			}))
		} else {
			L.Push(lua.LString("\n\tno host module '" + name + "'"))
		}
		return 1
	}}})
	defer Close(L)
	got, err := run(t, L, `return require("host.thing"), package.loaded["host.thing"], select(2, pcall(require, "other"))`)
	if err != nil {
		t.Fatal(err)
	}
	want := "made for host.thing|made for host.thing|module 'other' not found:\n\tno field package.preload['other']\n\tno host module 'other'"
	if g := strings.Join(got, "|"); g != want {
		t.Errorf("got %q\nwant %q", g, want)
	}
}

// TestPcallKeepsUpvalues holds the reach into gopher-lua's fields true; see
// upvalues.go.
func TestPcallKeepsUpvalues(t *testing.T) {
	if !internals.ok {
		t.Fatal("gopher-lua's state has other fields than upvalues.go knows")
	}
	L := sandbox(t, nil, Limits{})
	L.SetGlobal("hostcall", L.NewFunction(func(L *lua.LState) int {
		if err := PCall(L, L.GetTop()-1, 0, nil); err != nil {
			L.Push(errorValue(err))
			return 1
		}
		return 0
	}))
	got, err := run(t, L, `
		local n = 0
		local function inc() n = n + 1 return n end
		pcall(error) inc() pcall(nil) inc()
		xpcall(error, function(e) pcall(error) return e end) inc()
		hostcall(error, "x") inc()
		local r = {}
		for i = 1, 3 do
			local k = i
			r[i] = function() k = k + 10 return k end
			pcall(r[i]) pcall(error, r)
			k = k + 100
		end
		return n, inc(), r[1](), r[2](), r[3]()`)
	if err != nil || strings.Join(got, " ") != "4 5 121 122 123" {
		t.Errorf("%v %v", got, err)
	}
}

func TestErrorValuesSurvive(t *testing.T) {
	L := sandbox(t, nil, Limits{})
	_, err := run(t, L, `error({code = 3})`)
	var api *lua.ApiError
	if !errors.As(err, &api) {
		t.Fatalf("%T", err)
	}
	if tab, ok := api.Object.(*lua.LTable); !ok || tab.RawGetString("code") != lua.LNumber(3) {
		t.Errorf("%v", api.Object)
	}
}

// Programs that try to reach, or to spoil, what belongs to the host.
func TestSandboxEscapes(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"environment of host functions": {`return getfenv(print) == _G, getfenv(host) == _G, pcall(setfenv, host, {})`, "true true false 'setfenv' cannot change environment of given object"},
		"environment of the thread":     {`setfenv(0, {}) return type(getfenv(0)), type(_G), host()`, "table table host"},
		"own environment":               {`local e = {out = 5} setfenv(1, e) return out`, "5"},
		"environment of the caller":     {`local function f() setfenv(2, {x = 1}) end f() return x`, "1"},
		"no level of the host":          {`return pcall(getfenv, 50)`, "false bad argument #1 to 'getfenv' (invalid level)"},
		"string methods replaced":       {`getmetatable("").__index = {rep = function() return "mine" end} return ("x"):rep(3), host()`, "mine host"},
		"string metatable refused":      {`return pcall(setmetatable, "", {})`, "false bad argument #1 to 'setmetatable' (table expected, got string)"},
		"string index raises":           {`getmetatable("").__index = function() error("own", 0) end return pcall(function() return ("x"):rep(1) end)`, "false own"},
		"proxy":                         {`local p = newproxy(true) getmetatable(p).__gc = error getmetatable(p).__index = function(_, k) return k end return p.some, type(p)`, "some userdata"},
		"proxy of the library":          {`return pcall(newproxy, string)`, "false bad argument #1 to 'newproxy' (boolean or proxy expected)"},
		"tostring raises in print":      {`return pcall(print, setmetatable({}, {__tostring = function() error("own", 0) end}))`, "false own"},
		"tostring yields in print":      {`local co = coroutine.wrap(function() print(setmetatable({}, {__tostring = function() coroutine.yield("out") return "late" end})) return "end" end) return co(), co()`, "out end"},
		"collectgarbage":                {`for i = 1, 1000 do collectgarbage() end return type(collectgarbage("count"))`, "number"},
		"loaders replaced":              {`package.loaders[1] = function() return function() return "fake" end end return require("anything")`, "fake"},
		"loaders gone":                  {`package.loaders = nil return pcall(require, "x")`, "false module 'x' not found:\n\tno field package.preload['x']"},
		"loaded spoilt":                 {`package.loaded.string = nil package.preload.x = function() return 7 end return require("x"), ("y"):rep(2)`, "7 yy"},
		"coroutine of the host's":       {`return pcall(coroutine.wrap(host))`, "true host"},
		"thread as table":               {`local co = coroutine.create(function() end) return pcall(function() return co.Parent end)`, "false test:1: attempt to index upvalue 'co' (a thread value)"},
		"resumes itself":                {`local co co = coroutine.create(function() return coroutine.resume(co) end) return coroutine.resume(co)`, "true false cannot resume running coroutine"},
		"wraps itself":                  {`local f f = coroutine.wrap(function() return f() end) return pcall(f)`, "false test:1: cannot resume running coroutine"},
		"dies inside":                   {`local co = coroutine.create(function() pcall(coroutine.yield) error({}) end) coroutine.resume(co) local ok, e = coroutine.resume(co) return ok, type(e), coroutine.status(co)`, "false table dead"},
		"yields across everything":      {`local t = setmetatable({}, {__index = function(_, k) return coroutine.yield(k) end, __lt = function() return coroutine.yield("lt") end, __concat = function() return coroutine.yield("cat") end}) local co = coroutine.wrap(function() local s = {} for w in (" a b"):gsub("%a", function(c) return coroutine.yield(c) end):gmatch("%a") do s[#s + 1] = w end table.sort(s, function(a, b) coroutine.yield("cmp") return a < b end) return t.key, t < t, t .. "x", unpack(s) end) return co(), co("y"), co("x"), co(), co("k"), co(true), co("c")`, "a b cmp key lt cat k true c x y"},
		"gsub inside gsub":              {`return (("abc"):gsub("(.)", function(c) return (c:gsub("(.)", "%1%1")) end))`, "aabbcc"},
		"sort spoils its table":         {`local t = {3, 1, 2} table.sort(t, function(a, b) t[1], t[2], t[3] = nil return a < b end) return #t`, "3"},
		"next while clearing":           {`local t = {} for i = 1, 100 do t["k" .. i] = i end local n = 0 for k in pairs(t) do t[k] = nil n = n + 1 end return n, next(t) == nil`, "100 true"},
		"huge indices":                  {`return pcall(string.sub, "abc", -2^60, 2^60), ("x"):byte(-2^53, 2^53), select("#", unpack({}, 2^60, 2^60))`, "true 120 1"},
		"not numbers":                   {`local n = 0/0 return ("x"):rep(n), ("abc"):sub(n, n), #string.format("%d", n) > 0, pcall(string.char, n)`, "  true false bad argument #1 to 'char' (invalid value)"},
	} {
		t.Run(name, func(t *testing.T) {
			L := sandbox(t, nil, Limits{})
			L.SetGlobal("host", L.NewFunction(func(L *lua.LState) int { L.Push(lua.LString("host")); return 1 }))
			got, err := run(t, L, c.src)
			if err != nil {
				t.Fatal(err)
			}
			if g := strings.Join(got, " "); g != c.want {
				t.Errorf("got %q\nwant %q", g, c.want)
			}
			// Whatever it did, the host's next call works.
			L.Push(L.NewFunction(func(L *lua.LState) int { L.Push(lua.LNumber(L.GetTop())); return 1 }))
			L.Push(lua.LTrue)
			if err := PCall(L, 1, 1, nil); err != nil || L.Get(-1) != lua.LNumber(1) {
				t.Errorf("after it: %v, %v", err, L.Get(-1))
			}
		})
	}
}

// Coroutines that nobody holds any more do not count, and every stack is unwound.
func TestAbandonedCoroutines(t *testing.T) {
	const n = 1000
	L := New(Options{Kind: Sandbox, Limits: Limits{Coroutines: 200}})
	var unwound atomic.Int32
	L.SetGlobal("guarded", L.NewFunction(func(L *lua.LState) int {
		defer unwound.Add(1)
		L.Push(L.Get(1))
		L.Call(0, 0)
		return 0
	}))
	got, err := run(t, L, `
		local n = 0
		for i = 1, 1000 do
			local next = coroutine.wrap(function() guarded(function() for j = 1, 3 do coroutine.yield(j) end end) end)
			n = n + next()
		end
		return n`)
	if err != nil || got[0] != "1000" {
		t.Errorf("%v %v", got, err)
	}
	Close(L)
	if alive := machineOf(L).fibers.alive(); alive != 0 {
		t.Errorf("%d coroutines after Close", alive)
	}
	if got := unwound.Load(); got != n {
		t.Errorf("%d of %d stacks unwound", got, n)
	}
}
