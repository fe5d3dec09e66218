package vm

import (
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

// An evaluation that is broken off ends, also inside pcall and coroutines; the
// next one, and coroutines from before, go on.
func TestInterruptEndsOneEvaluation(t *testing.T) {
	in := NewInterrupt()
	L := New(Options{Context: in})
	defer Close(L)
	tripped := 0
	L.SetGlobal("trip", L.NewFunction(func(*lua.LState) int {
		if !in.Trip() {
			t.Error("there is an evaluation, and Trip says that there is none")
		}
		if in.Trip() {
			t.Error("an evaluation is told twice")
		}
		tripped++
		return 0
	}))
	evaluate := func(src string) error {
		fn, err := Load(L, src, "=t")
		if err != nil {
			t.Fatal(err)
		}
		end := in.Begin()
		defer end()
		L.Push(fn)
		return PCall(L, 0, 0, L.NewFunction(func(L *lua.LState) int {
			end()
			L.Push(L.Get(1))
			return 1
		}))
	}
	if err := evaluate(`co = coroutine.wrap(function() for i = 1, 10 do coroutine.yield(i) end end) assert(co() == 1)`); err != nil {
		t.Fatal(err)
	}
	for _, src := range []string{
		`trip() while true do end`,
		`while true do pcall(function() trip() while true do end end) end`,
		`coroutine.wrap(function() trip() while true do end end)()`,
		`trip() table.sort({1, 2, 3}, function(a, b) return a < b end)`,
	} {
		err := evaluate(src)
		if err == nil || !strings.Contains(err.Error(), "interrupted") {
			t.Errorf("%s\n%v", src, err)
		}
		if err := evaluate(`assert(co() > 1)`); err != nil {
			t.Errorf("after %s\n%v", src, err)
		}
	}
	if tripped != 4 {
		t.Errorf("tripped %d times", tripped)
	}
	if in.Trip() {
		t.Error("nothing runs, and Trip says that something does")
	}
	if err := evaluate(`assert(co() == 6)`); err != nil {
		t.Error(err)
	}
}
