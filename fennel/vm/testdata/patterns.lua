-- lua5.1's print stops at a NUL
local function show(...) local t = {...} for i = 1, select("#", ...) do t[i] = tostring(t[i]):gsub("%z", "\\0") end print(table.concat(t, "\t")) end
local function p(...) show(pcall(...)) end
local subjects = {"", "a", "aaa", "hello world", "key = value", "[[x]]", "a.b-c*d", "foo(bar(baz))qux", "  trim  ", "x\0y", "THE (quick) fox", "2024-01-02", "%d", "^$", "a]b", "\200\201"}
local patterns = {"", "a", "a*", "a+", "a-", "a?", ".", ".-", ".*", "^a", "a$", "^$", "%w+", "%W", "%d+", "%D", "%s*", "%S+", "%a", "%l+", "%u+", "%p", "%c", "%x+", "%z", "%%", "%.",
 "[%+-*]", "[a-c]+", "[^a-c]+", "[]]", "[^]]", "[]-a]", "[a-]", "[-a]", "[%w_]+", "[%a%d]", "[^%s]", "[a%-z]", "[%]]", "[$^]", "(%w+) (%w+)", "()a()", "((a)(b?))", "(a*(.)%w(%s*))", "%b()", "%bxx", "%f[%w]%w+", "%f[%W]", "(%w)%1", "(.)%1", "(.-)%1$", "^(%s*)(.-)(%s*)$", "(%d+)-(%d+)-(%d+)", "$a", "a^", "x$y", "[%z]", "%g", "[\200-\255]+", ".-b", "a.-$", "[^%c]*", "l+o", "(l+)(o)", "%(([^()]*)%)"}
for _, pat in ipairs(patterns) do
  for _, s in ipairs(subjects) do
    print(string.format("%q %q", s, pat))
    p(string.find, s, pat) p(string.match, s, pat) p(string.gsub, s, pat, "<%0>")
    local out = {}
    for a, b in s:gmatch(pat) do out[#out+1] = tostring(a) .. "," .. tostring(b) if #out > 50 then break end end
    show(table.concat(out, ";"))
  end
end
-- faults, found when matching gets there
for _, pat in ipairs{"%", "[", "[a", "[^", "[]", "[%", "[a%", "(", ")", "(()", "())", "a)", "(a", "%1", "(%1)", "()%1", "%b", "%bx", "%f", "%fx", "x(", "x%", "x[", string.rep("()", 33), string.rep("(", 33)} do
  print(string.format("%q", pat))
  p(string.find, "abc", pat) p(string.match, "abc", pat) p(string.gsub, "abc", pat, "x")
end
p(string.find, "abc", "b", 1, true) p(string.find, "a.c", ".", 1, true) p(string.find, "a.c", "%.", 2) p(string.find, "abc", "", 10) p(string.find, "abc", "", 4) p(string.find, "abc", "c", -1) p(string.find, "abc", "a", -1) p(string.find, "abc", "b", -100)
p(string.match, "abc", "()", 4) p(string.match, "abc", ".", 10) p(string.match, "  x", "^%s*", 2)
p(string.gsub, "hello world", "o", "0", 1) p(string.gsub, "hello", "", "-") p(string.gsub, "abc", "%w", "%0%0") p(string.gsub, "abc def", "(%w+) (%w+)", "%2 %1") p(string.gsub, "abc", "b", "%%") p(string.gsub, "abc", "b", "%9") p(string.gsub, "abc", "b", "%x")
p(string.gsub, "$name is $age", "%$(%w+)", {name = "Bob", age = 42}) p(string.gsub, "abc", "%w", function(c) if c == "b" then return false end return c:upper() end) p(string.gsub, "abc", "(a)(b)", function(a, b) return b .. a end) p(string.gsub, "abc", "b", function() return {} end) p(string.gsub, "abc", "b", {b = true}) p(string.gsub, "abc", "b", 12) p(string.gsub, "abc", "b") p(string.gsub, "abc", "b", nil) p(string.gsub, "abc", "()", "%1") p(string.gsub, "abc", "^a", "x") p(string.gsub, "aaa", "^a", "x") p(string.gsub, "abc", "$", "x") p(string.gsub, "abc def", "%w+", "%0", -1) p(string.gsub, "abc", "b", "x", "1")
p(string.gsub, "x", ".", {x = 1.5})
for k, v in ("a=1, b=2"):gmatch("(%w+)=(%w+)") do print(k, v) end
for w in ("^a^b"):gmatch("^a") do print(w) end
p(string.gmatch, "x") p(string.find, "x") p(string.match, nil, "x")
