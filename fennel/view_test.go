package fennel

import (
	"bytes"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// values.out is what the reference printed under lua5.1. With FENNEL_REFERENCE
// naming a directory that holds its fennel.lua, that is asked again.
func TestViewAsTheReference(t *testing.T) {
	const script = "testdata/view/values.lua"
	want, err := os.ReadFile("testdata/view/values.out")
	if err != nil {
		t.Fatal(err)
	}
	if dir := os.Getenv("FENNEL_REFERENCE"); dir != "" {
		cmd := exec.Command("lua5.1", script)
		cmd.Env = append(os.Environ(), "LUA_PATH="+dir+"/?.lua")
		again, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		sameLines(t, "reference", again, want)
	}

	var out bytes.Buffer
	L := vm.New(vm.Options{Stdout: &out})
	defer vm.Close(L)
	module := L.NewTable()
	module.RawSetString("view", L.NewFunction(viewFunction))
	preload := L.GetField(L.GetGlobal("package"), "preload").(*lua.LTable)
	preload.RawSetString("fennel", L.NewFunction(func(L *lua.LState) int {
		L.Push(module)
		return 1
	}))
	fn, err := vm.LoadFile(L, script)
	if err != nil {
		t.Fatal(err)
	}
	L.Push(fn)
	if err := vm.PCall(L, 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	sameLines(t, "view", out.Bytes(), want)
}

func sameLines(t *testing.T, what string, got, want []byte) {
	t.Helper()
	g, w := strings.Split(string(got), "\n"), strings.Split(string(want), "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("%s differs at line %d:\n got %q\nwant %q", what, i+1, lineAt(g, i), lineAt(w, i))
		}
	}
}

func lineAt(lines []string, i int) string {
	if i < len(lines) {
		return lines[i]
	}
	return "(nothing)"
}

func viewOf(t *testing.T, L *lua.LState, src string) (string, error) {
	t.Helper()
	fn, err := vm.Load(L, "local view = ... "+src, "=test")
	if err != nil {
		t.Fatal(err)
	}
	L.SetTop(0)
	L.Push(fn)
	L.Push(L.NewFunction(viewFunction))
	if err := vm.PCall(L, 1, 1, nil); err != nil {
		return "", err
	}
	return L.Get(-1).String(), nil
}

// Values that would take a careless printer's stack, memory or time.
func TestViewHostileValues(t *testing.T) {
	for name, c := range map[string]struct{ src, want string }{
		"deep list":       {`local t = {} local r = t for i = 1, 3e5 do t[1] = {} t = t[1] end return view(r)`, `^\[+\.\.\.\]+$`},
		"deep and wanted": {`local t = {} local r = t for i = 1, 3e5 do t[1] = {} t = t[1] end return view(r, {depth = 1e9, ["line-length"] = 1e9})`, `nested too deeply`},
		"shared":          {`local t = {1} for i = 1, 60 do t = {t, t} end return #view(t) < 50000`, `^true$`},
		"shared wholly":   {`local t = {1} for i = 1, 60 do t = {t, t} end return view(t, {["detect-cycles?"] = false})`, `string too long`},
		"empty wholly":    {`local t = {} for i = 1, 60 do t = {t, t} end return view(t, {["detect-cycles?"] = false})`, `string too long`},
		"sparse":          {`return view({[1e9] = 1}, {["max-sparse-gap"] = 2e9})`, `too sparse`},
		"view itself":     {`local t = setmetatable({}, {__fennelview = function(t, v, o) return v(t, o) end}) return view(t)`, `^\{\.\.\.\}$`},
		"error":           {`return view(setmetatable({}, {__fennelview = function() error("mine", 0) end}))`, `^mine$`},
		"options spoilt":  {`return view(setmetatable({1}, {__fennelview = function(t, v, o) o.depth = nil return v({t}, o) end}))`, `option 'depth' must be a number`},
		"locked":          {`return view(setmetatable({}, {__metatable = true}))`, `^\{\}$`},
	} {
		t.Run(name, func(t *testing.T) {
			L := vm.New(vm.Options{Kind: vm.Sandbox, Limits: vm.Limits{String: 1 << 20}})
			defer vm.Close(L)
			got, err := viewOf(t, L, c.src)
			if err != nil {
				got = err.Error()
			}
			if !regexp.MustCompile(c.want).MatchString(got) {
				t.Errorf("got %.200q, want %s", got, c.want)
			}
		})
	}
}

func BenchmarkView(b *testing.B) {
	L := vm.New(vm.Options{Kind: vm.Sandbox})
	defer vm.Close(L)
	fn, err := vm.Load(L, `local r = {} for i = 1, 100 do r[i] = {name = "job" .. i, inputs = {"a", "b c"}, n = i} end return r`, "=b")
	if err != nil {
		b.Fatal(err)
	}
	L.Push(fn)
	L.Call(0, 1)
	v := L.Get(-1)
	for b.Loop() {
		View(L, v, nil)
	}
}
