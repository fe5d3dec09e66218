local function p(...) print(pcall(...)) end
package.preload.pre = function(name, ...) print("loading", name, select("#", ...)) return {v = 1} end print(require("pre").v, require("pre") == package.loaded.pre)
package.preload.none = function() end print(require("none"), package.loaded.none) package.preload.loop = function() return require("loop") end p(require, "loop")
package.path = "/nonexistent/?.lua;/nonexistent/?/init.lua" package.cpath = "" print((select(2, pcall(require, "a.b")):gsub("\n\tno file '[^']*all%.so'", ""))) 
table.insert(package.loaders, 2, function(n) if n == "made" then return function(m) return "made by " .. m end end return "\n\tnot made: " .. n end) print(require("made"))
print(require("string") == string, package.loaded._G == _G, type(package.loaders), package.config:sub(1, 1)) p(require)
local env = setmetatable({}, {__index = _G}) local f = loadstring("x = 5 return x") setfenv(f, env) print(f(), env.x, x, getfenv(f) == env, getfenv(1) == _G, getfenv(0) == _G, getfenv(print) == _G)
p(setfenv, print, {}) p(getfenv, 100) p(getfenv, -1) module("mymod", package.seeall) y = 7 _G.print(_G.mymod.y, _NAME, _PACKAGE, _M == _G.mymod)
