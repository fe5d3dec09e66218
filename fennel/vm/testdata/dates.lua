local function p(...) print(pcall(...)) end
for _, t in ipairs{0, 1e9, 1700000000, 951827696, 1325376000, 1230768000} do for c in ("aAbBcdHIjmMpSUwWxXyYZ%CDeFgGhnrRtTuV"):gmatch(".") do io.write(c, "=", os.date("!%" .. c, t), " ") end print() end
local d = os.date("!*t", 86400 * 59) for _, k in ipairs{"year", "month", "day", "hour", "min", "sec", "wday", "yday", "isdst"} do io.write(k, "=", tostring(d[k]), " ") end print()
print(os.date("!%Y-%m-%d %H:%M:%S", 0), os.date("!", 0), os.date("!%", 0) ~= nil)
print(os.time{year = 2024, month = 2, day = 30, hour = 0} - os.time{year = 2024, month = 3, day = 1, hour = 0}, os.time{year = 2024, month = 14, day = 1} - os.time{year = 2025, month = 2, day = 1})
p(os.time, {year = 2024}) p(os.time, 5) print(type(os.time()), type(os.clock()), os.difftime(5, 3))
