local function p(...) print(pcall(...)) end
local t = {1, 2, 3}
table.insert(t, 4) table.insert(t, 1, 0) table.insert(t, 3, 1.5) print(table.concat(t, ","))
print(table.remove(t), table.remove(t, 1), table.remove(t, 2), table.concat(t, ","), #t)
print(table.remove({}), table.remove({}, 1), table.remove({1,2,3}, 5), select("#", table.remove({})))
p(table.insert, {}) p(table.insert, {}, 1, 2, 3) p(table.insert, nil, 1) p(table.insert, {1,2}, "x", 3)
print(table.concat({}), table.concat({}, "x"), table.concat({1,2,3}), table.concat({1,2,3}, ", ", 2), table.concat({1,2,3}, ", ", 2, 3), table.concat({1,2,3}, "-", 3, 2), table.concat({1.5, 1e15, "x"}, " "))
p(table.concat, {1, {}, 3}) p(table.concat, {1,2}, ",", 1, 3) p(table.concat, {true}) p(table.concat)
print(table.maxn{1,2,nil,4}, table.maxn{}, table.maxn{[10.5] = 1}, table.getn{1,2})
table.foreach({a = 1}, print) table.foreachi({1,2}, print) print(table.foreachi({1,2,3}, function(i, v) if v == 2 then return "found" end end))
p(table.setn, {}, 1)
print(unpack{1,2,3}) print(unpack({1,2,3}, 2)) print(unpack({1,2,3}, 2, 5)) print(unpack({1,2,3}, 3, 2)) print(unpack({1,nil,3}, 1, 3)) p(unpack) print(pcall(unpack, {}, 1, 1e8) == false)
print(select("#")) print(select("#", nil, nil)) print(select(2, "a", "b", "c")) print(select(-1, "a", "b", "c")) print(select(5, 1)) p(select, 0) p(select, -5, 1) p(select, "x")
print(next({})) print(next({10})) print(rawget({a=1}, "a"), rawequal(t, t), rawequal("a", "a"), rawequal(1, 2), rawlen)
print(rawset({}, "a", 1).a) p(rawset, {}, nil, 1) p(rawget, 1, 2) p(rawset, {}, 0/0, 1)
-- sort: values, order of ties, errors
local function show(t) local o = {} for i, v in ipairs(t) do o[i] = type(v) == "table" and v[1] .. v[2] or tostring(v) end print(table.concat(o, " ")) end
local a = {5, 2, 8, 1, 9, 3, 7, 3, 5} table.sort(a) show(a) table.sort(a, function(x, y) return x > y end) show(a)
local s = {"pear", "apple", "fig", "Banana", ""} table.sort(s) show(s)
local seed = 7
local function rnd(n) seed = (seed * 16807) % 2147483647 return seed % n end
for n = 0, 40 do local r = {} for i = 1, n do r[i] = {rnd(6), string.char(97 + (i % 26))} end table.sort(r, function(x, y) return x[1] < y[1] end) show(r) end
print(pcall(table.sort, {1, "x"}) == false) p(table.sort, {3, 2, 1}, function() return true end) p(table.sort, {1,2,3,4,5,6,7,8,9,10}, function() return true end) p(table.sort, {1}, 5) p(table.sort)
local z = {3,2,1} print(pcall(table.sort, z, function() error("no", 0) end), #z)
print(#{1,2,3,nil}, #{n=1}, #"abc")
p(setmetatable, 1, {}) p(setmetatable, {}) p(setmetatable, {}, 1) p(setmetatable, setmetatable({}, {__metatable = 1}), {}) print(getmetatable(setmetatable({}, {__metatable = "locked"})))
for i, v in ipairs{1, 2, nil, 4} do io.write(i, "=", v, " ") end print()
p(ipairs) p(pairs, nil) p(next, {}, "nokey" and nil) print(type(next), pairs({}) == next)
