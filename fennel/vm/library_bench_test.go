package vm

import (
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// Each program runs with this library and with gopher-lua's own, in the same
// machine: the quotient is what the mending costs or saves.
func BenchmarkLibrary(b *testing.B) {
	for _, c := range []struct{ name, src string }{
		{"gsub", `local s = ("hello world "):rep(100) return function() return s:gsub("%w+", "<%0>") end`},
		{"gsub function", `local s = ("hello world "):rep(100) return function() return s:gsub("o", function(c) return c end) end`},
		{"find", `local s = ("x"):rep(1000) .. "needle=42" return function() return s:find("(%a+)=(%d+)$") end`},
		{"match", `local s = "2024-01-02T03:04:05" return function() return s:match("^(%d+)-(%d+)-(%d+)T(%d+):(%d+)") end`},
		{"format", `return function() return ("%5d %s %.2f"):format(42, "name", 3.14159) end`},
		{"tostring", `return function() return tostring(12345), tostring(0.1) end`},
		{"concat", `local t = {} for i = 1, 1000 do t[i] = "line " .. i end return function() return table.concat(t, "\n") end`},
		{"sort", `local src = {} local x = 7 for i = 1, 1000 do x = (x * 16807) % 2147483647 src[i] = x end
			return function() local t = {} for i = 1, #src do t[i] = src[i] end table.sort(t) end`},
		{"insert remove", `return function() local t = {} for i = 1, 100 do table.insert(t, i) end for i = 1, 100 do table.remove(t) end end`},
		{"pcall", `local f = function() return 1 end return function() for i = 1, 100 do pcall(f) end end`},
		{"pcall error", `return function() for i = 1, 10 do pcall(error, "x") end end`},
		{"coroutine switch", `local co = coroutine.wrap(function() while true do coroutine.yield(1) end end) return function() for i = 1, 100 do co() end end`},
		{"coroutine create", `return function() local co = coroutine.wrap(function() coroutine.yield(1) end) co() co() end`},
		{"ipairs", `local t = {} for i = 1, 100 do t[i] = i end return function() local n = 0 for _, v in ipairs(t) do n = n + v end return n end`},
		{"pairs", `local t = {} for i = 1, 100 do t["k" .. i] = i end return function() local n = 0 for _, v in pairs(t) do n = n + v end return n end`},
		{"fib", `local function fib(n) if n < 2 then return n end return fib(n - 1) + fib(n - 2) end return function() return fib(15) end`},
	} {
		for _, lib := range []struct {
			name string
			new  func() *lua.LState
		}{
			{"here", func() *lua.LState { return New(Options{Kind: Sandbox}) }},
			{"gopher-lua", func() *lua.LState { return lua.NewState() }},
		} {
			b.Run(c.name+"/"+lib.name, func(b *testing.B) {
				L := lib.new()
				defer Close(L)
				chunk, err := L.LoadString(c.src)
				if err != nil {
					b.Fatal(err)
				}
				L.Push(chunk)
				L.Call(0, 1)
				fn := L.Get(-1)
				for b.Loop() {
					L.Push(fn)
					L.Call(0, 0)
				}
			})
		}
	}
}
