local function p(...) print(pcall(...)) end
local co = coroutine.create(function(a, b) print("start", a, b) local c = coroutine.yield(a + b) print("got", c) local d, e = coroutine.yield() print("got", d, e) return "done", 99 end)
print(coroutine.status(co)) print(coroutine.resume(co, 1, 2)) print(coroutine.status(co)) print(coroutine.resume(co, "x")) print(coroutine.resume(co, "y", "z")) print(coroutine.status(co)) print(coroutine.resume(co))
local gen = coroutine.wrap(function() for i = 1, 3 do coroutine.yield(i) end end)
print(gen(), gen(), gen(), gen()) p(gen)
p(coroutine.wrap(function() error("in wrap") end)) p(coroutine.wrap(function() error({}) end) and print)
print(coroutine.resume(coroutine.create(function() error("boom") end))) print(coroutine.resume(coroutine.create(function() error("boom", 0) end)))
print(coroutine.running()) coroutine.wrap(function() print(type(coroutine.running()), coroutine.status(coroutine.running())) end)()
p(coroutine.yield, 1)
local outer outer = coroutine.create(function() local inner = coroutine.create(function() print(coroutine.status(outer)) print(coroutine.resume(outer)) end) print(coroutine.resume(inner)) print(coroutine.resume(coroutine.running())) end)
print(coroutine.resume(outer))
local function tree(t) if t then tree(t[1]) coroutine.yield(t[2]) tree(t[3]) end end
for v in coroutine.wrap(function() tree{{nil, 1}, 2, {nil, 3}} end) do io.write(v, " ") end print()
local function sieve(n) local function gen() for i = 2, n do coroutine.yield(i) end end local function filter(p, g) return coroutine.wrap(function() for x in g do if x % p ~= 0 then coroutine.yield(x) end end end) end local x = coroutine.wrap(gen) local out = {} while true do local v = x() if v == nil then break end out[#out+1] = v x = filter(v, x) end return out end
print(table.concat(sieve(60), " "))
print(select("#", coroutine.resume(coroutine.create(function(...) return select("#", ...), ... end), nil, nil)))
local c2 = coroutine.wrap(function(...) local a = {...} while true do a = {coroutine.yield(unpack(a))} end end) print(c2(1, 2)) print(c2()) print(c2(nil, 3))
local x = 0 local c3 = coroutine.wrap(function() local y = 10 local f = function() y = y + 1 x = x + 1 return y end coroutine.yield(f) coroutine.yield(y) end) local f = c3() print(f(), f(), x, c3())
