local function f(...) print(pcall(string.format, ...)) end
for _, n in ipairs{0, 1, -1, 255, 3.99, -3.99, 1e10, 2^31, 2^52} do
  print(string.format("[%d] [%5d] [%-5d] [%05d] [%+d] [% d] [%.3d] [%5.3d] [%i]", n, n, n, n, n, n, n, n, n))
end
for _, n in ipairs{0, 1, 255, 2^31, 2^32, 2^52, -1} do
  print(string.format("[%x] [%X] [%#x] [%o] [%#o] [%u] [%08x] [%-8x]", n, n, n, n, n, n, n, n))
end
for _, n in ipairs{0, 1, -1, 0.5, 3.14159265358979, 1e10, 1e-10, 1e100, 123456.789, 1/0, -1/0} do
  print(string.format("[%f] [%.2f] [%10.3f] [%-10.1f] [%+f] [%010.2f] [%.0f] [%#.0f] [% f]", n, n, n, n, n, n, n, n, n))
  print(string.format("[%e] [%.2e] [%E] [%g] [%.3g] [%G] [%#g] [%.14g] [%10g] [%-10g] [%+g] [%.0e] [%#.0e]", n, n, n, n, n, n, n, n, n, n, n, n, n))
end
print(string.format("[%s] [%10s] [%-10s] [%.2s] [%10.2s] [%%]", "abc", "abc", "abc", "abc", "abc"))
print(string.format("[%c%c%c] [%5c] [%-5c]", 76, 117, 97, 65, 66))
print(string.format("%q", 'quo"te \\ back\nnewline\r\0end\1\127\200'))
print(string.format("%s %d", 1.5, "42"), string.format("%5s|%5s", 1, 1e15))
f("%d", "x") f("%d") f("%s") f("%y", 1) f("%") f("%10") f("%123d", 1) f("%.123f", 1) f("%0+ -#5d", 1) f("%----d", 1) f("%------d", 1)
f("%d %d", 1) f("no directive") f("%c", "x") f("%q", 12) f()
