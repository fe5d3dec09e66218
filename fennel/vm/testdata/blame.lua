-- what the machine says of a program's mistakes
local function p(f, ...) print(select(2, pcall(f, ...))) end
local q, tab, up = nil, {a = {}}, nil
p(function() return q.x end) p(function() local l return l.x end) p(function() return undefinedglobal.x end) p(function() return tab.b.c end) p(function() return tab.a.b.c end) p(function() local l l.x = 1 end) p(function() tab.b.c = 1 end) p(function() return ("x").y.z end) p(function() undefinedglobal[1] = 2 end)
p(function() q() end) p(function() local l l() end) p(function() undefinedglobal() end) p(function() tab.nope() end) p(function() tab.a.nope(1, 2) end) p(function() tab:nope() end) p(function() return tab.nope() end) p(function() return undefinedglobal(1) end) p(function() tab() end) p(function() (5)() end) p(function() tab.a(undefinedglobal) end) p(function() for x in nil do end end)
p(function() return 1 + q end) p(function() return q + 1 end) p(function() local l return l * 2 end) p(function() return tab.x - 1 end) p(function() return {} + 1 end) p(function() return 1 / {} end) p(function() return -tab end) p(function() return "x" + 1 end) p(function() return 2 ^ undefinedglobal end) p(function() return tab.n % 2 end)
p(function() return #q end) p(function() return #5 end) p(function() return #tab.zip end)
p(function() return q .. "x" end == nil and 1 or function() return {} .. "x" end) p(function() return "x" .. {} end) p(function() return 1 .. true .. "x" end)
p(function() return 1 < "x" end) p(function() return {} < {} end) p(function() return {} < 1 end) p(function() return nil <= 1 end) p(function() return "a" < 1 end)
p(function() for i = "x", 1 do end end) p(function() for i = 1, {} do end end) p(function() for i = 1, 2, "y" do end end)
p(nil) p(5) p(setmetatable({}, {__call = function() error("called", 0) end}))
local co = coroutine.create(function() local z = nil return z.w end) print(coroutine.resume(co)) print(select(2, xpcall(function() return undefinedglobal.x end, function(m) return "H:" .. m end)))
local function wrap() return print end
local function f()
  do
    local send = wrap()
    local _ = send("x")
  end
  local send = wrap()
  local mt = getmetatable(_G)
  local _let_1_ = mt
  local __newindex = _let_1_["__newindex"]
  return send, __newindex
end
print(pcall(f))
local function g(a, b)
  for i = 1, 3 do local q = i end
  do local x, y = 1, 2 local z = x + y end
  local p, q = 1
  return q.r
end
print(pcall(g))
local function h(...)
  local a, b = ...
  if a then local c = b end
  for k, v in pairs({1}) do local w = v print(v.x.y) end
end
print(pcall(h, 1, 2))
local function i2() local t = {} ; local u = t.x local s = u.y end print(pcall(i2))
-- closures and constructors between a local and its use
local function j(a) local up1, up2 = a, a local fn = function() return up1, up2 end local tt = {1, 2, fn()} local nn = fn() return nn.x, tt end print(pcall(j))
local function k2(x, y) y = x return y.z end print(pcall(k2)) local function k3(a, b, c) return c.d end print(pcall(k3, 1, 2)) local function k4(...) local m = ... return m.n end print(pcall(k4))
for n = 1, 1 do local one, two = 1 print(pcall(function() return two.x end)) local three = n print(pcall(function(four) return four.five end)) print(pcall(function() local a = 1 repeat local b = nil local c = b.x until true end)) end
print(pcall(function() for i = 1, 2 do i.x.y = 1 end end)) print(pcall(function() for k, v in pairs({a = false}) do v.x = k end end)) print(pcall(function() local t = {} while true do local s = t.q s() end end))
-- what is concatenated
p(function() return "x" .. q end) p(function() return tab.zip .. "x" end) p(function() local l return "a" .. l .. "b" end) p(function() return "a" .. "b" .. undefinedglobal .. 1 end) p(function() return 1 .. tab.a end) p(function() return tab.n .. tab.m end) p(function(a) return a .. "x" end) p(function(...) return "x" .. tab.zip .. ... end, 1) p(function() return "x" .. tab.a.b.c end) p(function() return "x" .. (tab.a.b or nil) end) p(function() return "x" .. tostring(1) .. tab.zip end)
p(function() return setmetatable({}, {__concat = function() return nil end}) .. "x" .. "y" end) p(function() return "z" .. (setmetatable({}, {__concat = function() return nil end}) .. "y") end) p(function() return "z" .. setmetatable({}, {__concat = function() return {} end}) .. "y" end)
