package fennel_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

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
	var sources []string
	for _, area := range []string{"arithmetic", "comparison", "control", "functions", "locals", "matching", "strings", "numbers"} {
		for _, c := range readCases(t, "testdata/language/"+area+".cases") {
			if !strings.Contains(c.src, "//") && !strings.Contains(c.src, "goto") {
				sources = append(sources, c.src)
			}
		}
	}
	runOnBoth(t, sources)
}

// TestRandomProgramsRunAlike looks for faults of gopher-lua's compiler that nobody has met yet.
func TestRandomProgramsRunAlike(t *testing.T) {
	var sources []string
	for seed := range uint64(1500) {
		sources = append(sources, randomProgram(seed))
	}
	runOnBoth(t, sources)
}

func runOnBoth(t *testing.T, sources []string) {
	if _, err := exec.LookPath("lua5.1"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs lua5.1: ", err)
		}
		t.Skip("needs lua5.1: ", err)
	}
	var script strings.Builder
	var compiled []string
	script.WriteString("local programs = {\n")
	for _, src := range sources {
		text, err := fennel.CompileToLua([]byte(src), fennel.Options{Filename: "t.fnl"})
		if err != nil {
			continue
		}
		compiled = append(compiled, src)
		fmt.Fprintf(&script, "%s,\n", luacode.Quote(text))
	}
	if len(compiled) < len(sources)/2 {
		t.Fatalf("only %d of %d programs compile", len(compiled), len(sources))
	}
	script.WriteString("}\n" + dumper)
	cmd := exec.Command("lua5.1", "-")
	cmd.Stdin = strings.NewReader(script.String())
	theirs, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%.2000s", err, theirs)
	}
	var out bytes.Buffer
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	L := vm.New(vm.Options{Stdout: &out, Context: ctx})
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
	if len(want) != len(got) || len(want) < len(compiled) {
		t.Fatalf("%d lines from lua5.1, %d here, of %d programs", len(want), len(got), len(compiled))
	}
	for i := range compiled {
		// The words of run-time errors differ by what the machines know of names.
		if want[i] != got[i] && !strings.Contains(want[i], "attempt to") {
			t.Errorf("%s\n got %s\nwant %s", compiled[i], got[i], want[i])
		}
	}
}
