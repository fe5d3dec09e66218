local function p(...) print(pcall(...)) end
p(error) p(error, nil) p(error, "m") p(error, "m", 0) print(type(select(2, pcall(error, {}, 1)))) print(select(2, pcall(error, setmetatable({}, {__tostring = function() return "obj" end}))))
local function lvl(n) error("at", n) end
p(function() lvl(1) end)
p(function() lvl(2)
end)
local function outer() lvl(3) end
p(function() outer()
  return 1 end)
p(function() assert(false) end) p(function() assert(nil, "msg") end) p(assert, false, "msg") print(assert(1, 2, 3)) p(assert) p(assert, false, 12)
p(pcall) p(xpcall) p(xpcall, error)
print(xpcall(function() error("x", 0) end, function(e) return e .. "!" end))
print(xpcall(function() return 1, 2, nil end, print))
print(xpcall(function() error("x", 0) end, function(e) error("again") end) == false)
print(pcall(function() local t = setmetatable({}, {__index = function(_, k) error("idx " .. k, 0) end}) return t.foo end))
-- caught errors leave variables that closures share alone
local n = 0
local function inc() n = n + 1 return n end
for i = 1, 3 do pcall(error) pcall(function() local q = i error(q) end) inc() end
print(n, inc())
local g
for i = 1, 3 do pcall(function() local x = i * 10 g = function() x = x + 1 return x end error("z") end) local a, b, c = 1, 2, 3 print(g(), g(), a, b, c) end
local fs = {}
for i = 1, 3 do pcall(function() local y = i fs[i] = function() y = y + 1 return y end pcall(error, "inner") fs[i]() error(y) end) end
print(fs[1](), fs[2](), fs[3]())
print(pcall(pcall, error, "x")) print(pcall(pcall)) print(pcall(pcall, pcall, error))
local function rec(k) if k == 0 then error("deep", 0) end local v = k local f = function() v = v + 1 return v end local ok, e = pcall(rec, k - 1) f() return e, v end
print(rec(20))
local ok, e = pcall(function() local function r(k) return 1 + r(k) end return r(1) end)
print(ok, (tostring(e):gsub(".*stack overflow.*", "stack overflow")))
print(select("#", pcall(function() return nil, nil end)))
print(tostring(setmetatable({}, {__tostring = function() return "T!" end})))
p(tostring) p(type) p(getmetatable)
p(print, setmetatable({}, {__tostring = function() return {} end}))
print(pcall(setmetatable({}, {__call = function(self, a) return "called", a end}), 5))
print(loadstring("return 1 + 1")()) print(pcall(loadstring, nil)) print(type(loadstring("x =")), type(load(function() return nil end)))
local parts = {"return ", "4", "2"} local i = 0 print(load(function() i = i + 1 return parts[i] end)())
print(collectgarbage("count") > 0, collectgarbage(), collectgarbage("step") ~= nil, pcall(collectgarbage, "bad"))
-- assignments that gopher-lua compiles wrongly
local x, y = 1, 2 x, y = y, x print(x, y) local t3 = {1, 2, 3} local i3 = 1 i3, t3[i3] = i3 + 1, 20 print(i3, t3[1], t3[2])
local function nilf() return nil end local z = 5 z = nilf() and nilf() print(z) z = 7 z = z and nilf() or z print(z)
