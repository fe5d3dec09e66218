package vm

import (
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// What later Luas have gives what their manual (5.4, §6.4 to §6.7) says.
func TestLaterLibrary(t *testing.T) {
	for _, c := range []struct{ src, want string }{
		{`local t = table.pack(1, nil, 3, nil) return t.n, t[1], t[2], t[3]`, "4 1 nil 3"},
		{`return table.unpack({1, 2, 3})`, "1 2 3"},
		{`return table.unpack({1, 2, 3}, 2)`, "2 3"},
		{`return table.unpack({1, 2, 3}, 2, 5)`, "2 3 nil nil"},
		{`return table.concat(table.move({1, 2, 3, 4}, 2, 4, 1), " ")`, "2 3 4 4"},
		{`return table.concat(table.move({1, 2, 3, 4}, 1, 3, 2), " ")`, "1 1 2 3"},
		{`return table.concat(table.move({1, 2, 3}, 1, 3, 2, {0}), " ")`, "0 1 2 3"},
		{`return table.concat(table.move({1, 2}, 1, 0, 5), " ")`, "1 2"},
		{`return table.move({1}, 1, 2^53, 2^63)`, "destination wrap around"},
		{`return table.move({}, 1, 2)`, "bad argument #4 to 'move' (number expected, got no value)"},
		{`return math.tointeger(3), math.tointeger(3.5), math.tointeger("3"), math.tointeger(1/0), math.tointeger({})`, "3 nil nil nil nil"},
		{`return ("ab"):rep(3, "-"), ("x"):rep(1, ","), ("x"):rep(0, ","), (""):rep(3, ",")`, "ab-ab-ab x  ,,"},
		{`return ("x"):rep(1e7, ("y"):rep(100))`, "string too long"},
		{`return utf8.char(72, 228, 8364, 128512), utf8.char()`, "Hä€😀 "},
		{`return #utf8.char(0x7FFFFFFF)`, "6"},
		{`return utf8.char(-1)`, "bad argument #1 to 'char' (value out of range)"},
		{`return utf8.len("Hä€😀"), utf8.len(""), utf8.len("äöü", 3), utf8.len("äöü", -2)`, "4 0 2 1"},
		{`return utf8.len("a\255b")`, "nil 2"},
		{`return utf8.len("\237\160\128")`, "nil 1"},
		{`return utf8.len("\237\160\128", 1, -1, true)`, "1"},
		{`return utf8.len("x", 5)`, "bad argument #2 to 'len' (initial position out of bounds)"},
		{`return utf8.codepoint("Hä€😀", 1, -1)`, "72 228 8364 128512"},
		{`return utf8.codepoint("\192\128")`, "invalid UTF-8 code"},
		{`return utf8.codepoint("x", 3)`, "bad argument #3 to 'codepoint' (out of bounds)"},
		{`return utf8.offset("aä€", 1), utf8.offset("aä€", 2), utf8.offset("aä€", 3), utf8.offset("aä€", 4), utf8.offset("aä€", 5)`, "1 2 4 7 nil"},
		{`return utf8.offset("aä€", -1), utf8.offset("aä€", -3), utf8.offset("aä€", -4), utf8.offset("aä€", 0, 5)`, "4 1 nil 4"},
		{`return utf8.offset("ä", 1, 2)`, "initial position is a continuation byte"},
		{`local out = {} for p, c in utf8.codes("aä😀") do out[#out + 1] = p .. ":" .. c end return table.concat(out, " ")`, "1:97 2:228 4:128512"},
		{`for _ in utf8.codes("a\255") do end`, "invalid UTF-8 code"},
		{`for _ in utf8.codes("\128") do end`, "bad argument #1 to 'codes' (invalid UTF-8 code)"},
		{`local n = 0 for c in ("aä€"):gmatch(utf8.charpattern) do n = n + 1 end return n`, "3"},
	} {
		L := New(Options{Kind: Sandbox, Later: true})
		fn, err := Load(L, c.src, "=t")
		if err != nil {
			t.Fatal(err)
		}
		L.Push(fn)
		got := ""
		if err := PCall(L, 0, lua.MultRet, nil); err != nil {
			if got = errorValue(err).String(); strings.Contains(got, c.want) {
				got = c.want
			}
		} else {
			var parts []string
			for i := 1; i <= L.GetTop(); i++ {
				parts = append(parts, ToString(L, L.Get(i)))
			}
			got = strings.Join(parts, " ")
		}
		Close(L)
		if got != c.want {
			t.Errorf("%s\n got %s\nwant %s", c.src, got, c.want)
		}
	}
}

// Names of later Luas are there when they were asked for, and only then.
func TestLaterIsAskedFor(t *testing.T) {
	for _, later := range []bool{false, true} {
		L := New(Options{Kind: Sandbox, Later: later})
		table := L.G.Global.RawGetString("table").(*lua.LTable)
		if has := table.RawGetString("unpack") != lua.LNil; has != later {
			t.Errorf("Later %v: table.unpack is there: %v", later, has)
		}
		if has := L.G.Global.RawGetString("utf8") != lua.LNil; has != later {
			t.Errorf("Later %v: utf8 is there: %v", later, has)
		}
		Close(L)
	}
}
