-- what the machine says of a program's mistakes
local function p(f, ...) print(select(2, pcall(f, ...))) end
local q, tab, up = nil, {a = {}}, nil
p(function() return q.x end) p(function() local l return l.x end) p(function() return undefinedglobal.x end) p(function() return tab.b.c end) p(function() return tab.a.b.c end) p(function() local l l.x = 1 end) p(function() tab.b.c = 1 end) p(function() return ("x").y.z end) p(function() undefinedglobal[1] = 2 end)
p(function() q() end) p(function() local l l() end) p(function() undefinedglobal() end) p(function() tab.nope() end) p(function() tab.a.nope(1, 2) end) p(function() tab:nope() end) p(function() return tab.nope() end) p(function() return undefinedglobal(1) end) p(function() tab() end) p(function() (5)() end) p(function() tab.a(undefinedglobal) end) p(function() for x in nil do end end) p(function() for x in tab do end end)
p(function() return 1 + q end) p(function() return q + 1 end) p(function() local l return l * 2 end) p(function() return tab.x - 1 end) p(function() return {} + 1 end) p(function() return 1 / {} end) p(function() return -tab end) p(function() return "x" + 1 end) p(function() return 2 ^ undefinedglobal end) p(function() return tab.n % 2 end)
p(function() return #q end) p(function() return #5 end) p(function() return #tab.zip end)
p(function() return q .. "x" end == nil and 1 or function() return {} .. "x" end) p(function() return "x" .. {} end) p(function() return 1 .. true .. "x" end)
p(function() return 1 < "x" end) p(function() return {} < {} end) p(function() return {} < 1 end) p(function() return nil <= 1 end) p(function() return "a" < 1 end)
p(function() for i = "x", 1 do end end) p(function() for i = 1, {} do end end) p(function() for i = 1, 2, "y" do end end)
p(nil) p(5) p(setmetatable({}, {__call = function() error("called", 0) end}))
local co = coroutine.create(function() local z = nil return z.w end) print(coroutine.resume(co)) print(select(2, xpcall(function() return undefinedglobal.x end, function(m) return "H:" .. m end)))
