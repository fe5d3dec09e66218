package fennel_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"quire/fennel"
	"quire/fennel/luacode"
	"quire/fennel/vm"
)

// dumper runs programs given as strings and prints a line of values for each, in a form that does not depend on the
// order of tables or on where functions are.
const dumper = `
local function dump(v, depth)
  if type(v) == "table" then
    if depth > 5 then return "..." end
    local parts = {}
    for k, x in pairs(v) do parts[#parts + 1] = dump(k, depth + 1) .. "=" .. dump(x, depth + 1) end
    table.sort(parts)
    return "{" .. table.concat(parts, ",") .. "}"
  elseif type(v) == "string" then
    return string.format("%q", v)
  elseif type(v) == "number" or type(v) == "boolean" or v == nil then
    return tostring(v)
  end
  return type(v)
end
local function line(i, ok, ...)
  local parts = {}
  for j = 1, select("#", ...) do parts[j] = dump((select(j, ...)), 0) end
  if not ok then parts = {"error"} end
  print(i .. ": " .. table.concat(parts, " "))
end
for i, text in ipairs(programs) do
  local f, message = loadstring(text)
  if not f then print(i .. ": " .. message) else line(i, pcall(f)) end
end
`

// TestTextRunsOnLua51 prints every language case as Lua and runs it on Lua 5.1 and here.
func TestTextRunsOnLua51(t *testing.T) {
	if _, err := exec.LookPath("lua5.1"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs lua5.1: ", err)
		}
		t.Skip("needs lua5.1: ", err)
	}
	var script strings.Builder
	var sources []string
	script.WriteString("local programs = {\n")
	for _, area := range []string{"arithmetic", "comparison", "control", "functions", "locals", "matching", "strings", "numbers"} {
		for _, c := range readCases(t, "testdata/language/"+area+".cases") {
			text, err := fennel.CompileToLua([]byte(c.src), fennel.Options{Filename: "t.fnl"})
			if err != nil || strings.Contains(c.src, "//") || strings.Contains(c.src, "goto") {
				continue
			}
			sources = append(sources, c.src)
			fmt.Fprintf(&script, "%s,\n", luacode.Quote(text))
		}
	}
	script.WriteString("}\n" + dumper)
	cmd := exec.Command("lua5.1", "-")
	cmd.Stdin = strings.NewReader(script.String())
	theirs, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, theirs)
	}
	var out bytes.Buffer
	L := vm.New(vm.Options{Stdout: &out})
	fn, err := vm.Load(L, script.String(), "=dumper")
	if err != nil {
		t.Fatal(err)
	}
	L.Push(fn)
	if err := vm.PCall(L, 0, 0, nil); err != nil {
		t.Fatal(err)
	}
	vm.Close(L)
	want, got := strings.Split(string(theirs), "\n"), strings.Split(out.String(), "\n")
	if len(want) != len(got) || len(want) < len(sources) {
		t.Fatalf("%d lines from lua5.1, %d here, of %d programs", len(want), len(got), len(sources))
	}
	for i := range sources {
		if want[i] != got[i] {
			t.Errorf("%s\n got %s\nwant %s", sources[i], got[i], want[i])
		}
	}
}
