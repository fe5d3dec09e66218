package pipeline

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"
	"weak"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
)

// stand is a Lua state with quire.ci in it, and what a Runtime needs.
type stand struct {
	t     *testing.T
	state *lua.LState
	host  *workshop
	prog  *program
}

func newStand(t *testing.T) *stand {
	t.Helper()
	prog, err := compileProgram(context.Background(), source("nil"))
	if err != nil {
		t.Fatal(err)
	}
	L, _ := prog.open(context.Background(), nil, nil)
	t.Cleanup(func() { vm.Close(L) })
	return &stand{t, L, newWorkshop(t), prog}
}

func (s *stand) runtime() *Runtime {
	clock := newClock(context.Background(), Limits{}.withDefaults())
	s.t.Cleanup(clock.stop)
	job := &Job{ID: "x"}
	return &Runtime{
		job: job, call: Call{Job: "x"}, host: s.host, clock: clock,
		graph: &graph{index: map[string]int{"x": 0}, inputs: [][]int{nil}, ancestors: []bitset{newBitset(1)}},
	}
}

// eval runs Fennel in the stand's state, with the runtime table at hand.
func (s *stand) eval(text string) (lua.LValue, error) {
	s.t.Helper()
	proto, err := fennel.Compile([]byte("(local {: runtime} (require :quire.ci))\n"+text), fennel.Options{Filename: "t.fnl"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.state.Push(s.state.NewFunctionFromProto(proto))
	if err := s.prog.protect(s.state, 0, 1); err != nil {
		return nil, err
	}
	v := s.state.Get(-1)
	s.state.Pop(1)
	return v, nil
}

func (s *stand) raises(text, want string) {
	s.t.Helper()
	if v, err := s.eval(text); err == nil {
		s.t.Errorf("%s gave %v, want an error", text, v)
	} else if !strings.Contains(err.Error(), want) {
		s.t.Errorf("%s raised %q, want %q", text, err, want)
	}
}

func (s *stand) table() *lua.LTable {
	return s.state.G.Registry.RawGetString(tableKey).(*lua.LTable)
}

// isReleased checks everything that Release promises.
func (s *stand) isReleased() {
	s.t.Helper()
	if k, v := s.table().Next(lua.LNil); k != lua.LNil {
		s.t.Errorf("the table still holds %v = %v", k, v)
	}
	if mt := s.table().Metatable; mt != lua.LNil {
		s.t.Errorf("the table still has the metatable %v", mt)
	}
	if rt := installed(s.state); rt != nil {
		s.t.Error("the state still holds the runtime")
	}
	if v := s.state.G.Registry.RawGetString(runtimeKey); v != lua.LNil {
		s.t.Errorf("the registry still holds %v", v)
	}
}

func TestGuardFillsTheTableInPlace(t *testing.T) {
	s := newStand(t)
	before := s.table()
	// A reference taken before the fill, in a local of a function that is called
	// after it.
	if _, err := s.eval(`(local early runtime) (global later (fn [] (early.log "seen")))`); err != nil {
		t.Fatal(err)
	}
	guard, err := s.runtime().Install(s.state)
	if err != nil {
		t.Fatal(err)
	}
	if s.table() != before {
		t.Error("the table was replaced")
	}
	if v, err := s.eval(`(rawequal runtime (. (require :quire.ci) :runtime))`); err != nil || v != lua.LTrue {
		t.Error(v, err)
	}
	if _, err := s.eval(`(later)`); err != nil {
		t.Error(err)
	}
	if got := s.host.log(); len(got) != 1 || got[0] != "x: seen" {
		t.Errorf("log %q", got)
	}
	for _, p := range primitives {
		if v, err := s.eval(fmt.Sprintf(`(type (. runtime %q))`, p.name)); err != nil || v.String() != "function" {
			t.Errorf("%s: %v %v", p.name, v, err)
		}
	}
	guard.Release()
	s.isReleased()
}

func TestUnknownPrimitiveRaises(t *testing.T) {
	s := newStand(t)
	guard, err := s.runtime().Install(s.state)
	if err != nil {
		t.Fatal(err)
	}
	defer guard.Release()
	s.raises(`runtime.container`, "t.fnl:2: unknown runtime primitive 'container'")
	s.raises(`(let [{: logg} runtime] logg)`, "unknown runtime primitive 'logg' — did you mean 'log'?")
	s.raises(`(. runtime {})`, "unknown runtime primitive 'table: ")
	// A program can neither reach the metatable nor take it away.
	if v, err := s.eval(`(getmetatable runtime)`); err != nil || v.String() != "runtime" {
		t.Error(v, err)
	}
	s.raises(`(setmetatable runtime nil)`, "protected metatable")
}

func TestReleaseIsIdempotent(t *testing.T) {
	s := newStand(t)
	guard, err := s.runtime().Install(s.state)
	if err != nil {
		t.Fatal(err)
	}
	guard.Release()
	guard.Release()
	s.isReleased()

	// A late second Release of an old guard leaves a new installation alone.
	again, err := s.runtime().Install(s.state)
	if err != nil {
		t.Fatal(err)
	}
	guard.Release()
	if installed(s.state) == nil {
		t.Error("an old guard released the new runtime")
	}
	again.Release()
	s.isReleased()
	(*Guard)(nil).Release()
}

func TestReleaseOfAClosedState(t *testing.T) {
	s := newStand(t)
	guard, err := s.runtime().Install(s.state)
	if err != nil {
		t.Fatal(err)
	}
	vm.Close(s.state)
	guard.Release()
}

// What the program itself put into the table goes too.
func TestReleaseClearsForeignFields(t *testing.T) {
	s := newStand(t)
	guard, err := s.runtime().Install(s.state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.eval(`(set runtime.mine 1) (tset runtime 1 :a) (tset runtime {} :b) (set runtime.sh nil)`); err != nil {
		t.Fatal(err)
	}
	guard.Release()
	s.isReleased()
}

func TestInstallTwiceIsRefused(t *testing.T) {
	s := newStand(t)
	guard, err := s.runtime().Install(s.state)
	if err != nil {
		t.Fatal(err)
	}
	defer guard.Release()
	if _, err := s.runtime().Install(s.state); err == nil || !strings.Contains(err.Error(), "has one already") {
		t.Error(err)
	}
	if _, err := s.runtime().Install(lua.NewState()); err == nil || !strings.Contains(err.Error(), "no quire.ci module") {
		t.Error(err)
	}
}

func TestOutsideAJob(t *testing.T) {
	s := newStand(t)
	const message = "runtime accessed outside a job — primitives are only available while a run-fn is executing"
	// Before the first installation, reading is enough to raise.
	s.raises(`runtime.sh`, message)
	s.raises(`(runtime.secret :x)`, message)
	s.raises(`((. (require :quire.stdlib) :mirror) {:url "u"})`, message)

	guard, err := s.runtime().Install(s.state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.eval(`(global kept []) (each [k v (pairs runtime)] (tset kept k v))`); err != nil {
		t.Fatal(err)
	}
	guard.Release()
	// Afterwards each primitive that was kept raises, and does nothing else.
	for _, p := range primitives {
		s.raises(fmt.Sprintf(`((. kept %q) "a" "b")`, p.name), message)
	}
	if len(s.host.log()) != 0 || len(s.host.calls) != 0 {
		t.Error("a primitive without a runtime reached the host")
	}
}

// A released Runtime, and the Host behind it, can be collected although the
// state lives on and the program kept all of the primitives.
func TestReleaseLeavesNoReference(t *testing.T) {
	s := newStand(t)
	host := &workshop{dir: "/"}
	rt := s.runtime()
	rt.host = host
	weakRuntime, weakHost := weak.Make(rt), weak.Make(host)
	guard, err := rt.Install(s.state)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.eval(`(global kept {}) (each [k v (pairs runtime)] (tset kept k v)) (kept.log "x") (pcall kept.sh 1)
(global co (coroutine.wrap (fn [] (kept.env "x") (coroutine.yield) (kept.env "y")))) (co)`); err != nil {
		t.Fatal(err)
	}
	guard.Release()
	rt, host = nil, nil
	deadline := time.Now().Add(30 * time.Second)
	for weakRuntime.Value() != nil || weakHost.Value() != nil {
		if time.Now().After(deadline) {
			t.Fatalf("still reachable: runtime %v, host %v", weakRuntime.Value() != nil, weakHost.Value() != nil)
		}
		runtime.GC()
	}
	runtime.KeepAlive(s.state)
	runtime.KeepAlive(guard)
}

// panicking is a Host that breaks.
type panicking struct{ *workshop }

func (panicking) Secret(context.Context, Call, string) (string, error) { panic("the host broke") }

// Whatever way an attempt ends, the runtime is released before its state is
// closed.
func TestRuntimeIsReleasedWhateverHappens(t *testing.T) {
	for _, test := range []struct{ name, body, reason string }{
		{"returns", `{}`, ""},
		{"skips", `nil`, ""},
		{"raises", `(error :no)`, ".quire/ci.fnl:5: no"},
		{"raises a table", `(error {:a 1})`, ".quire/ci.fnl:5: raised {:a 1}"},
		{"bad outputs", `{:f (fn [])}`, "outputs.f is a function; only tables, strings, numbers and booleans can leave a job"},
		{"panic in the host", `(runtime.secret :x)`, ".quire/ci.fnl:5: the host broke"},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := load(t, prelude+"(ci.job :x [:quire/push]\n(fn []\n(let [sh runtime.sh] (tset _G :kept sh))\n"+test.body+"))")
			x := &execution{pipeline: p, host: panicking{newWorkshop(t)}, push: &pushOutputs{}, outputs: make([]plain, 1)}
			a := &attempt{execution: x, job: p.Jobs[0], call: Call{Job: "x"}, clock: newClock(context.Background(), p.limits)}
			defer a.clock.stop()
			find, out := &finder{id: "x"}, &printer{attempt: a}
			L, _ := p.program.open(a.clock.ctx, find.forms(), out)
			defer vm.Close(L)
			a.evaluated(L, find, out)
			got := ""
			if a.err != nil {
				got = a.err.Error()
			}
			if got != test.reason {
				t.Errorf("ended with %q, want %q", got, test.reason)
			}
			s := &stand{t: t, state: L}
			s.isReleased()
		})
	}
}

// A fault of the pipeline package itself, after the runtime is installed,
// releases it too.
func TestRuntimeIsReleasedOnPanic(t *testing.T) {
	s := newStand(t)
	func() {
		defer func() { _ = recover() }()
		guard, err := s.runtime().Install(s.state)
		if err != nil {
			t.Fatal(err)
		}
		defer guard.Release()
		panic(errors.New("anything"))
	}()
	s.isReleased()
}
