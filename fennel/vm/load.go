package vm

import (
	"errors"
	"fmt"
	"os"
	"strings"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/parse"

	"quire/fennel/luacode"
)

// Load compiles Lua source. name is a chunk name as Lua takes it: "@file" for a
// file, "=text" for a text to show as it is, anything else is the source itself.
// Errors read "file:line: message near 'token'". What gopher-lua compiles wrongly
// (x, y = y, x) is compiled in another shape; see luacode.
func Load(L *lua.LState, src, name string) (*lua.LFunction, error) {
	show := shortSource(name)
	if strings.HasPrefix(src, "\x1bLua") {
		return nil, fmt.Errorf("%s: bad header in precompiled chunk (only source is accepted)", show)
	}
	if limit := limitsOf(L).Source; len(src) > limit {
		return nil, fmt.Errorf("%s: chunk too long: %d bytes, limit %d", show, len(src), limit)
	}
	chunk, err := luacode.Parse(src, show)
	if err != nil {
		var perr *parse.Error
		if errors.As(err, &perr) {
			return nil, errors.New(parseMessage(show, perr))
		}
		return nil, fmt.Errorf("%s: %w", show, err)
	}
	proto, err := luacode.Compile(chunk, show)
	if err != nil {
		return nil, err
	}
	return L.NewFunctionFromProto(proto), nil
}

func parseMessage(show string, err *parse.Error) string {
	if err.Pos.Line == parse.EOF {
		return fmt.Sprintf("%s: %s near '<eof>'", show, err.Message)
	}
	return fmt.Sprintf("%s:%d: %s near '%s'", show, err.Pos.Line, err.Message, err.Token)
}

// LoadFile compiles a file, or standard input if path is "". A first line that
// starts with # is skipped.
func LoadFile(L *lua.LState, path string) (*lua.LFunction, error) {
	var src []byte
	var err error
	name := "@" + path
	if path == "" {
		name = "=stdin"
		src, err = readAllStdin(L)
	} else {
		src, err = os.ReadFile(path)
	}
	if err != nil {
		return nil, fmt.Errorf("cannot open %s", fileError(err, path))
	}
	s := string(src)
	if strings.HasPrefix(s, "#") {
		// The newline stays, so that lines keep their numbers.
		if k := strings.IndexByte(s, '\n'); k >= 0 {
			s = s[k:]
		} else {
			s = ""
		}
	}
	return Load(L, s, name)
}

// idSize is LUA_IDSIZE, the length of a source's short form with its NUL.
const idSize = 60

// shortSource is Lua's short_src of a chunk name.
func shortSource(name string) string {
	if name == "" {
		return `[string ""]`
	}
	switch name[0] {
	case '=':
		return name[1:min(len(name), idSize)]
	case '@':
		name = name[1:]
		if most := idSize - len(" '...' ") - 1; len(name) > most {
			return "..." + name[len(name)-most:]
		}
		return name
	}
	line, _, cut := strings.Cut(name, "\n")
	if k := strings.IndexByte(line, '\r'); k >= 0 {
		line, cut = line[:k], true
	}
	if most := idSize - len(` [string "..."] `) - 1; len(line) > most {
		line, cut = line[:most], true
	}
	if cut {
		line += "..."
	}
	return `[string "` + line + `"]`
}

func baseDofile(L *lua.LState) int {
	fn, err := LoadFile(L, optString(L, 1, "", "dofile"))
	if err != nil {
		raise(L, lua.LString(err.Error()))
	}
	top := L.GetTop()
	L.Push(fn)
	L.Call(0, lua.MultRet)
	return L.GetTop() - top
}

func baseLoadfile(L *lua.LState) int {
	fn, err := LoadFile(L, optString(L, 1, "", "loadfile"))
	if err != nil {
		L.Push(lua.LNil)
		L.Push(lua.LString(err.Error()))
		return 2
	}
	L.Push(fn)
	return 1
}
