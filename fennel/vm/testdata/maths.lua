local function p(...) print(pcall(...)) end
for _, n in ipairs{0, 1, -1, 2.5, -2.5, 3.7, 1e10, 0.1} do print(math.floor(n), math.ceil(n), math.abs(n), math.sqrt(math.abs(n)), math.exp(n / 10), math.modf(n)) print(math.fmod(n, 3), math.fmod(n, -3), n % 3, n % -3, math.frexp(n)) print(math.sin(n), math.cos(n), math.tan(n), math.atan(n), math.atan2(n, 2), math.deg(n), math.rad(n)) end
print(math.max(1, 5, 3), math.min(4, 2, 8), math.pow(2, 10), math.ldexp(1, 10), math.log(math.exp(1)), math.log10(1000), math.sinh(1), math.cosh(1), math.tanh(1), math.asin(1), math.acos(0))
p(math.max) p(math.floor) p(math.floor, "x") print(math.floor("3.7"), math.max("1", 2)) p(math.fmod, 1) p(math.random, 0) p(math.random, 2, 1) p(math.random, 1, 2, 3)
print(math.modf(1/0), math.modf(-1/0), math.huge == 1/0, -math.huge)
for i = 1, 100 do local r = math.random() assert(r >= 0 and r < 1) r = math.random(6) assert(r >= 1 and r <= 6 and r % 1 == 0) r = math.random(-3, 3) assert(r >= -3 and r <= 3) end math.randomseed(5) local a = math.random() math.randomseed(5) print(a == math.random())
