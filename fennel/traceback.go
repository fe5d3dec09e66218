package fennel

import (
	"fmt"
	"os"
	"regexp"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// compileMessage is an error that the compiler made: its own frames say nothing.
var compileMessage = regexp.MustCompile(`^[^\s:]+:\d+:\d+: (Compile|Parse) error:?`)

// luaTraceback is (traceback ?msg ?start), a handler for xpcall. Nothing has to be translated: functions carry the
// lines of their Fennel source.
func luaTraceback(L *lua.LState) int {
	msg, ok := L.Get(1).(lua.LString)
	if !ok && L.Get(1) != lua.LNil {
		L.Push(L.Get(1))
		return 1
	}
	if compileMessage.MatchString(string(msg)) && !strings.Contains(os.Getenv("FENNEL_DEBUG"), "trace") {
		L.Push(msg)
		return 1
	}
	start := L.OptInt(2, 2)
	lines := []string{string(msg), "stack traceback:"}
	// The reference counts getinfo as level 0, which is no function here.
	for level := max(start-1, 0); ; level++ {
		dbg, fn, ok := vm.Frame(L, level)
		if !ok {
			break
		}
		// One line stands for all of Go's functions in a row that nobody named.
		if line := tracebackFrame(L, dbg, fn); line != nameless || lines[len(lines)-1] != nameless {
			lines = append(lines, line)
		}
	}
	if lines[len(lines)-1] != nameless && L == L.G.MainThread {
		lines = append(lines, nameless)
	}
	L.Push(lua.LString(strings.Join(lines, "\n")))
	return 1
}

// nameless is a function of Go's that was not called by a name.
const nameless = "\t[C]: in ?"

func tracebackFrame(L *lua.LState, dbg *lua.Debug, fn *lua.LFunction) string {
	_, err := L.GetInfo("ln", dbg, lua.LNil)
	name, kind := "", ""
	if err == nil {
		name, kind = vm.CalledAs(dbg.Name)
	}
	switch {
	case (fn == nil || fn.IsG) && kind != "":
		return fmt.Sprintf("\t[C]: in function '%s'", name)
	case fn == nil || fn.IsG:
		return nameless
	}
	where := fmt.Sprintf("\t%s:%d: in ", fn.Proto.SourceName, dbg.CurrentLine)
	switch {
	case fn.Proto.LineDefined == 0:
		return where + "main chunk"
	case kind != "":
		return where + "function '" + name + "'"
	}
	return where + "function ?"
}

// luaGetinfo is debug.getinfo, for which Fennel's functions are Fennel.
func luaGetinfo(L *lua.LState) int {
	debug, ok := L.G.Global.RawGetString("debug").(*lua.LTable)
	if !ok {
		return 0
	}
	n := L.GetTop()
	L.Push(debug.RawGetString("getinfo"))
	for i := 1; i <= n; i++ {
		v := L.Get(i)
		if level, ok := v.(lua.LNumber); ok && i == 1 {
			v = level + 1 // this function stands between
		}
		L.Push(v)
	}
	L.Call(n, 1)
	info, ok := L.Get(-1).(*lua.LTable)
	if !ok {
		return 1
	}
	source, _ := info.RawGetString("source").(lua.LString)
	if info.RawGetString("what") == lua.LString("Lua") && (strings.HasSuffix(string(source), ".fnl") || source == "@unknown") {
		info.RawSetString("what", lua.LString("Fennel"))
	}
	return 1
}
