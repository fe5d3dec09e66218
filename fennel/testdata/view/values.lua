-- Prints fennel.view of many values with many options; the same under the
-- reference and under ours.
local view = require("fennel").view
local function show(v, o) local ok, s = pcall(view, v, o) print((tostring(s):gsub("0x%x+", "ADDR"):gsub("^[%w./_-]*view[%w.]*:%d+: ", ""):gsub("^[^\n]-:%d+: ", ""))) end
-- scalars
for _, n in ipairs{0, 1, -1, 1.5, -0.25, 0.1, 1/3, 1e14, 123456789012345, 1e15, -1e15, 2^53, 2^53 + 1, 2^63, 1e100, 1.5e300, 1e-7, 5e-324, 12345678901234567890} do show(n) end
show(1/0) show(-1/0) show(1/0, {infinity = "INF"}) show(-1/0, {["negative-infinity"] = "-INF"}) show(0/0, {nan = "NAN", ["negative-nan"] = "NAN"})
show(nil) show(true) show(false) show(print) show(coroutine.create(function() end)) show(newproxy())
for _, s in ipairs{"", "a", "abc", "a b", "a-b?", "a.b:c", "&x", "^_!$%", "#x", "x#", "(", "1", "-", "tab\there", "nl\nhere", "\n", "q\"b\\", "\a\b\f\v\r\0\1\27\127", "h\195\169llo", "\226\130\172", "\240\159\152\128", "\255", "\128abc", "\195", "\237\160\128", "\192\128", "\224\128\128", "\244\144\128\128", "\248\136\128\128\128", "ok\195\169bad\195(", ("x"):rep(100), ("x y "):rep(30), "line\n" .. ("y"):rep(90)} do
  show(s) show(s, {["prefer-colon?"] = true}) show(s, {["escape-newlines?"] = true}) show(s, {["utf8?"] = false}) show(s, {["byte-escape"] = function(b, o) return "<" .. b .. ">" end}) show({s}) show({[s] = s}) show({s, s}, {["prefer-colon?"] = function(x) return #x > 2 end})
end
-- shapes
local long = {} for i = 1, 40 do long[i] = i * 1000 end
local deep = {} do local t = deep for i = 1, 140 do t[1] = {} t = t[1] end end
local function mt(t, m) return setmetatable(t, m) end
local shapes = {
  {}, {1}, {1, 2, 3}, {a = 1}, {a = 1, b = 2}, {1, 2, a = 3}, {[0] = 0}, {[1.5] = 1}, {[-1] = 1, 1}, {nil, 2}, {1, nil, 3}, {1, nil, nil, 4}, {[3] = 1}, {[2] = 1}, {[10] = 1, [11] = 2}, {[1/0] = 1},
  {[true] = 1, [false] = 2}, {[1] = 1, [true] = 2, x = 3}, {{}, {}}, {{1, 2}, {3, 4}}, {a = {b = {c = {}}}}, {{a = 1}, {b = {1, 2}}}, long, {long, long2 = {1}}, {x = long}, deep,
  {["a b"] = 1, ["c"] = "d e"}, {("k"):rep(50), ("v"):rep(50)}, {[("k"):rep(50)] = ("v"):rep(50)}, {"multi\nline", 2}, {k = "multi\nline", z = 1}, {["multi\nkey"] = 1},
  {[{1}] = 2}, {[{a = 1}] = {b = 2}}, {"; comment"}, {{"; comment"}}, {1, {"; a comment"}}, {{"; c"}, 2}, {a = {"; c"}},
  {aaaaaaaaaaaaaaaaaaaa = 1, bbbbbbbbbbbbbbbbbbbbbbbb = 2, cccccccccccccccccccccc = 3, ddddddddddddddd = 4}, {{{{{{1, 2, 3, {4, 5}}}}}}},
  {name = "quire", tags = {"a", "b", "c"}, nested = {deep = {deeper = {deepest = {"x", "y", "z", {q = 1}}}}}, text = ("word "):rep(20)},
}
do local c = {} c.self = c shapes[#shapes + 1] = c end do local c = {} c[1] = c shapes[#shapes + 1] = c end do local a, b = {}, {} a[1] = b b[1] = a shapes[#shapes + 1] = {a, b} end
do local s = {1} shapes[#shapes + 1] = {s, s} shapes[#shapes + 1] = {a = s, b = s} shapes[#shapes + 1] = {s, {s, {s}}} end do local a, b = {}, {} a.b = b b.a = a shapes[#shapes + 1] = {a, b, a, b} end do local c = {} c[c] = c shapes[#shapes + 1] = c end
do local t = {1, 2, {3}} t[3][2] = t shapes[#shapes + 1] = {x = t, y = {t}} end do local r = {} for i = 1, 12 do r[i] = {i} r[i][2] = r end shapes[#shapes + 1] = r end
shapes[#shapes + 1] = mt({1, 2}, {__fennelview = function(t) return "<two>" end}) shapes[#shapes + 1] = {mt({}, {__fennelview = function(t) return {"<a", "   b", " c>"} end}), 1}
shapes[#shapes + 1] = mt({}, {__fennelview = function() return {} end}) shapes[#shapes + 1] = mt({}, {__fennelview = function() return {"a", "b"}, true end}) shapes[#shapes + 1] = mt({}, {__fennelview = function() return 5 end})
shapes[#shapes + 1] = mt({x = {1, 2}}, {__fennelview = function(t, view, opts, indent) return "#<x " .. view(t.x, opts, indent) .. " " .. tostring(opts.level) .. " " .. indent .. ">" end})
shapes[#shapes + 1] = {mt({k = {1}}, {__fennelview = function(t, view, opts, indent) opts["one-line?"] = true local o = {} for k, v in pairs(t) do o[#o + 1] = view(k, opts, indent + 1, true) o[#o + 1] = view(v, opts, indent) end return o end}), {("x"):rep(90)}}
do local t = mt({}, {__fennelview = function(t, view, opts, indent) if opts.seen[t] then return "@" .. tostring(opts.seen[t]) end return {"[" .. (opts["visible-cycle?"](t) and "cyc " or "no ") .. view(t.me, opts, indent) .. "]"} end}) t.me = t shapes[#shapes + 1] = t end
shapes[#shapes + 1] = mt({1, 2, 3}, {__pairs = function(t) return next, {a = 1}, nil end}) shapes[#shapes + 1] = mt({}, {__metatable = "locked"}) shapes[#shapes + 1] = mt({}, {__tostring = function() return "TS" end}) shapes[#shapes + 1] = {f = print, g = {print}}
local ud = newproxy(true) getmetatable(ud).__fennelview = function() return "<ud>" end shapes[#shapes + 1] = {ud}
local options = {false, {["one-line?"] = true}, {["empty-as-sequence?"] = true}, {depth = 1}, {depth = 2}, {depth = 0}, {["detect-cycles?"] = false, depth = 4}, {["metamethod?"] = false}, {["line-length"] = 20}, {["line-length"] = 1}, {["line-length"] = 1000}, {["max-sparse-gap"] = 0}, {["max-sparse-gap"] = 5}, {["max-sparse-gap"] = 1.5}, {["max-sparse-gap"] = "x"}, {["prefer-colon?"] = true}, {["escape-newlines?"] = true}, {["one-line?"] = {once = true}, ["line-length"] = 30}, {["prefer-colon?"] = {once = true}}, {["empty-as-sequence?"] = {once = true, after = false}}, {["prefer-colon?"] = {once = false, after = true}}, {unknown = {once = 1}}, {unknown = {once = 1, after = 2}}, {["one-line?"] = {once = false, after = true}, ["line-length"] = 10},
 {preprocess = function(x, o) if type(x) == "number" then return x + 1 elseif type(x) == "string" then return x:upper() end return x end}, {preprocess = function(x, o) if type(x) == "table" and x[2] and not x[3] and x[1] then return {"pp", x[1], o.level} end return x end}}
for i, s in ipairs(shapes) do for j, o in ipairs(options) do if not (s == deep and j == 7) and not (type(s[1]) == "userdata" and j == 8) then io.write(i, "/", j, ": ") show(s, o or nil) end end end
-- random trees
local seed = 42
local function rnd(n) seed = (seed * 16807) % 2147483647 return seed % n end
local function tree(d) local r = rnd(8) if d == 0 or r < 2 then local k = rnd(5) if k == 0 then return rnd(1000) elseif k == 1 then return ("word "):rep(rnd(6)) elseif k == 2 then return "sym-" .. rnd(99) elseif k == 3 then return rnd(2) == 0 else return rnd(1000) / 8 end end local t = {} for i = 1, rnd(6) do if r < 5 then t[i] = tree(d - 1) else t["key" .. rnd(50)] = tree(d - 1) end end return t end
for i = 1, 120 do local t = tree(5) show(t) show(t, {["line-length"] = 10 + rnd(60)}) show(t, {["one-line?"] = true, ["prefer-colon?"] = true}) end
