package vm

import (
	"math"

	lua "github.com/yuin/gopher-lua"
)

// library lists functions in the order in which pairs shows them.
type library []struct {
	name string
	fn   lua.LGFunction
}

// shared makes one Lua function of each, for every Sandbox of the process: a
// Sandbox has nothing that writes to a Go function (setfenv refuses them,
// debug.setfenv is not there), and making them anew would be half the cost of a
// state.
func (l library) shared() []sharedFunction {
	out := make([]sharedFunction, len(l))
	for i, f := range l {
		out[i] = sharedFunction{f.name, &lua.LFunction{IsG: true, GFunction: f.fn}}
	}
	return out
}

type sharedFunction struct {
	name string
	fn   *lua.LFunction
}

// into fills t with functions of this state's own.
func (l library) into(L *lua.LState, t *lua.LTable) *lua.LTable {
	for _, f := range l {
		t.RawSetString(f.name, &lua.LFunction{IsG: true, Env: L.Env, GFunction: f.fn})
	}
	return t
}

func fill(t *lua.LTable, fns []sharedFunction) *lua.LTable {
	for _, f := range fns {
		t.RawSetString(f.name, f.fn)
	}
	return t
}

var baseFuncs = library{
	{"assert", baseAssert},
	{"collectgarbage", baseCollectgarbage},
	{"error", baseError},
	{"getfenv", baseGetfenv},
	{"getmetatable", baseGetmetatable},
	{"ipairs", baseIpairs},
	{"load", baseLoad},
	{"loadstring", baseLoadstring},
	{"module", baseModule},
	{"newproxy", baseNewproxy},
	{"next", baseNext},
	{"pairs", basePairs},
	{"pcall", basePcall},
	{"print", basePrint},
	{"rawequal", baseRawequal},
	{"rawget", baseRawget},
	{"rawset", baseRawset},
	{"require", baseRequire},
	{"select", baseSelect},
	{"setfenv", baseSetfenv},
	{"setmetatable", baseSetmetatable},
	{"tonumber", baseTonumber},
	{"tostring", baseTostring},
	{"type", baseType},
	{"unpack", baseUnpack},
	{"xpcall", baseXpcall},
}

// baseFileFuncs are those of base that read files.
var baseFileFuncs = library{
	{"dofile", baseDofile},
	{"loadfile", baseLoadfile},
}

var stringFuncs = library{
	{"byte", stringByte},
	{"char", stringChar},
	{"dump", stringDump},
	{"find", stringFind},
	{"format", stringFormat},
	{"gfind", stringGfind},
	{"gmatch", stringGmatch},
	{"gsub", stringGsub},
	{"len", stringLen},
	{"lower", stringLower},
	{"match", stringMatch},
	{"rep", stringRep},
	{"reverse", stringReverse},
	{"sub", stringSub},
	{"upper", stringUpper},
}

var tableFuncs = library{
	{"concat", tableConcat},
	{"foreach", tableForeach},
	{"foreachi", tableForeachi},
	{"getn", tableGetn},
	{"insert", tableInsert},
	{"maxn", tableMaxn},
	{"remove", tableRemove},
	{"setn", tableSetn},
	{"sort", tableSort},
}

var mathFuncs = library{
	{"abs", float1("abs", math.Abs)},
	{"acos", float1("acos", math.Acos)},
	{"asin", float1("asin", math.Asin)},
	{"atan", float1("atan", math.Atan)},
	{"atan2", float2("atan2", math.Atan2)},
	{"ceil", float1("ceil", math.Ceil)},
	{"cos", float1("cos", math.Cos)},
	{"cosh", float1("cosh", math.Cosh)},
	{"deg", float1("deg", func(f float64) float64 { return f / (math.Pi / 180) })},
	{"exp", float1("exp", math.Exp)},
	{"floor", float1("floor", math.Floor)},
	{"fmod", float2("fmod", math.Mod)},
	{"frexp", mathFrexp},
	{"ldexp", mathLdexp},
	{"log", float1("log", math.Log)},
	{"log10", float1("log10", math.Log10)},
	{"max", mathMax},
	{"min", mathMin},
	{"mod", float2("mod", math.Mod)},
	{"modf", mathModf},
	{"pow", float2("pow", math.Pow)},
	{"rad", float1("rad", func(f float64) float64 { return f * (math.Pi / 180) })},
	{"random", mathRandom},
	{"randomseed", mathRandomseed},
	{"sin", float1("sin", math.Sin)},
	{"sinh", float1("sinh", math.Sinh)},
	{"sqrt", float1("sqrt", math.Sqrt)},
	{"tan", float1("tan", math.Tan)},
	{"tanh", float1("tanh", math.Tanh)},
}

var coroutineFuncs = library{
	{"create", coroutineCreate},
	{"resume", coroutineResume},
	{"running", coroutineRunning},
	{"status", coroutineStatus},
	{"wrap", coroutineWrap},
	{"yield", coroutineYield},
}

// osTimeFuncs are the part of os that touches nothing outside.
var osTimeFuncs = library{
	{"clock", osClock},
	{"date", osDate},
	{"difftime", osDifftime},
	{"time", osTime},
}

var osFuncs = library{
	{"execute", osExecute},
	{"exit", osExit},
	{"getenv", osGetenv},
	{"remove", osRemove},
	{"rename", osRename},
	{"setenv", osSetenv},
	{"setlocale", osSetlocale},
	{"tmpname", osTmpname},
}

var packageFileFuncs = library{
	{"loadlib", packageLoadlib},
}

var packageFuncs = library{
	{"seeall", packageSeeall},
}

// sandboxLibs are made once, for all Sandboxes.
var sandboxLibs = []struct {
	name string
	fns  []sharedFunction
}{
	{"string", stringFuncs.shared()},
	{"table", tableFuncs.shared()},
	{"math", mathFuncs.shared()},
	{"coroutine", coroutineFuncs.shared()},
	{"bit", bitFuncs.shared()},
	{"os", osTimeFuncs.shared()},
}

var (
	sandboxBase    = baseFuncs.shared()
	sandboxPackage = packageFuncs.shared()
)

func (m *machine) openSandbox(L *lua.LState, later bool) {
	g := fill(L.G.Global, sandboxBase)
	loaded := m.openGlobals(L, g)
	for _, lib := range sandboxLibs {
		m.openLibrary(L, lib.name, fill(L.CreateTable(0, len(lib.fns)+2), lib.fns), loaded)
	}
	if later {
		m.openLater(L, loaded)
	}
	m.openLibrary(L, "package", fill(m.openPackage(L, loaded), sandboxPackage), loaded)
}

func (m *machine) openFull(L *lua.LState) {
	g := baseFileFuncs.into(L, baseFuncs.into(L, L.G.Global))
	loaded := m.openGlobals(L, g)
	for _, lib := range []struct {
		name string
		fns  library
	}{
		{"string", stringFuncs},
		{"table", tableFuncs},
		{"math", mathFuncs},
		{"coroutine", coroutineFuncs},
		{"bit", bitFuncs},
		{"os", append(append(library{}, osTimeFuncs...), osFuncs...)},
		{"debug", debugFuncs},
	} {
		m.openLibrary(L, lib.name, lib.fns.into(L, L.CreateTable(0, len(lib.fns)+2)), loaded)
	}
	m.files = newFiles(m)
	m.openLibrary(L, "io", m.files.open(L), loaded)
	pkg := packageFileFuncs.into(L, packageFuncs.into(L, m.openPackage(L, loaded)))
	m.openLibrary(L, "package", pkg, loaded)
}

// openGlobals sets what base has beside functions; it returns package.loaded.
func (m *machine) openGlobals(L *lua.LState, g *lua.LTable) *lua.LTable {
	g.RawSetString("_G", g)
	g.RawSetString("_VERSION", lua.LString("Lua 5.1"))
	loaded := L.CreateTable(0, 16)
	loaded.RawSetString("_G", g)
	L.G.Registry.RawSetString(loadedKey, loaded)
	return loaded
}

// openLibrary makes a filled table global and loaded.
func (m *machine) openLibrary(L *lua.LState, name string, t, loaded *lua.LTable) {
	switch name {
	case "string":
		mt := L.CreateTable(0, 1)
		mt.RawSetString("__index", t)
		L.SetMetatable(lua.LString(""), mt)
	case "math":
		t.RawSetString("pi", lua.LNumber(math.Pi))
		t.RawSetString("huge", lua.LNumber(math.Inf(1)))
	}
	L.G.Global.RawSetString(name, t)
	loaded.RawSetString(name, t)
}
