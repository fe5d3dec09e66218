-- how numbers are written and read
for _, n in ipairs{0, -0.0, 1, -1, 0.1, 0.1+0.2, 1/3, 1e14, 1e15, 1e16, 123456789012345, 2^53, 1e100, 1e-5, 1e-4, 123.456e-7, 1/0, -1/0, 5e-324} do
  print(n, tostring(n))
end
local nan = 0/0
print(nan ~= nan, tostring(nan):gsub("-", ""))
print(math.huge, -math.huge, math.pi)
for _, s in ipairs{"1", " 1 ", "1e5", "1E5", "1e+5", "1e-2", ".5", "5.", "0x10", "0XfF", "-0x10", "+3", "-3", "1e", "0x", "", " ", "abc", "1 2", "1_000", "0b1", "0o7", "1e400", "--1", "0x1p4", "1.5.2", "e5", "infinity", "nanx", "0x.8", "\t12\n"} do
  print(string.format("%q", s), tonumber(s))
end
print(tonumber("10", 2), tonumber("ff", 16), tonumber("0xff", 16), tonumber("zz", 36), tonumber("8", 8), tonumber("-1", 10), tonumber("7", 8))
print(pcall(tonumber)) print(tonumber(nil), tonumber({}), tonumber(true))
print(pcall(tonumber, "1", 99))
print("10" + 5, "0x10" + 0, "1e1" * 1, 10 .. 20)
