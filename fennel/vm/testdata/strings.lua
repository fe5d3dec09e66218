local function p(...) print(pcall(...)) end
print(("abc"):byte(), ("abc"):byte(2), ("abc"):byte(1,-1), ("abc"):byte(10), ("abc"):byte(-1), ("abc"):byte(0))
print(string.char(), string.char(72, 105), #string.char(0, 255))
p(string.char, 256) p(string.char, -1) p(string.char, "x")
for i = -5, 5 do for j = -5, 5 do io.write("[", ("abc"):sub(i, j), "]") end print() end
print(("abc"):sub(2), ("abc"):sub(0), ("abc"):sub(-100, 100), ("abc"):sub(2, 1.9))
p(string.sub) p(string.sub, "x") p(string.sub, {}, 1) p(string.sub, "x", "y")
print(("x"):rep(3), ("x"):rep(0), ("x"):rep(-1), ("ab"):rep(2.9), ("").rep("", 100))
print(("Hello \195\132"):upper(), ("Hello \195\132"):lower(), ("abc"):reverse(), ("").reverse(""), #"abc", ("x\0y"):len())
print(("abc"):len(), string.len(12))
print("a" < "b", "a" < "A", "" < "a", "a\0b" < "a\0c", "Z" < "a")
p(string.dump) p(string.rep, "x")
print(12 .. "", 1e15 < 1e16, #tostring(print) > 0, tostring(nil), tostring(true))
print(pcall(function() return ("x") + 1 end) == false)
print(string.gfind == nil, string.format == nil, string.pack)
for k in pairs(string) do assert(k ~= "__index") end
print(getmetatable("").__index == string)
