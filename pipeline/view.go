package pipeline

import (
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
)

// view writes a Lua value on one line as fennel.view does: {:code 3}. It may
// run the value's metamethods, so it runs protected, and a value whose own
// printing fails has only its type to show.
func view(L *lua.LState, v lua.LValue) string {
	if _, isTable := v.(*lua.LTable); !isTable {
		return viewScalar(v)
	}
	L.Push(L.NewFunction(func(L *lua.LState) int {
		options := L.CreateTable(0, 2)
		options.RawSetString("one-line?", lua.LTrue)
		options.RawSetString("escape-newlines?", lua.LTrue)
		L.Push(lua.LString(fennel.View(L, v, options)))
		return 1
	}))
	if err := vm.PCall(L, 0, 1, nil); err != nil {
		return "#<table>"
	}
	text := L.Get(-1).String()
	L.Pop(1)
	return text
}

// viewScalar is view for what is no table, which needs no state.
func viewScalar(v lua.LValue) string {
	switch v := v.(type) {
	case lua.LString:
		return quote(string(v))
	case lua.LNumber:
		return vm.FormatNumber(float64(v))
	case lua.LBool, *lua.LNilType:
		return v.String()
	}
	return "#<" + v.Type().String() + ">"
}

// bareKeyword reports whether Fennel reads :s as the string s.
func bareKeyword(s string) bool {
	if s == "" {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if c <= ' ' || c == 0x7f || strings.IndexByte("()[]{}\"'~;,@`", c) >= 0 {
			return false
		}
	}
	return true
}

// quote writes a string as Fennel source, on one line.
func quote(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c == '\r':
			b.WriteString(`\r`)
		case c < ' ' || c == 0x7f:
			b.WriteString(`\` + strconv.Itoa(int(c) + 1000)[1:])
		default:
			b.WriteByte(c)
		}
	}
	b.WriteByte('"')
	return b.String()
}
