package pipeline

import (
	"context"
	"io"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
)

// Names under which a pipeline requires what this package offers.
const (
	ciModule      = "quire.ci"
	stdlibModule  = "quire.stdlib"
	runtimeModule = "quire.runtime" // the runtime table by itself, as the Rust forge documents it
)

// fennelGlobal is a global, and a module, that prints values: {: view : version}.
const fennelGlobal = "fennel"

// viewFunction is the same in every state, so that a template's can be kept.
var viewFunction = &lua.LFunction{IsG: true, GFunction: func(L *lua.LState) int {
	options, _ := L.Get(2).(*lua.LTable)
	L.Push(lua.LString(fennel.View(L, L.Get(1), options)))
	return 1
}}

// program is a compiled pipeline with the modules it may require: all that is
// needed to evaluate it in a new state. It is shared by the states of a run.
type program struct {
	name  string
	text  []byte
	proto *lua.FunctionProto
	lib   *library
}

// compileProgram compiles the pipeline's main file; ctx bounds its macros.
func compileProgram(ctx context.Context, src Source) (*program, error) {
	p := &program{
		name: src.Name,
		text: withoutMark(src.Text),
		lib:  newLibrary(src.Lib),
	}
	var err error
	p.proto, err = p.lib.compile(ctx, p.text, src.Name, "")
	return p, err
}

// textOf is the source text that a file's name stands for, nil if unknown.
func (p *program) textOf(file string) []byte {
	if file == p.name {
		return p.text
	}
	return p.lib.textOf(file)
}

// open makes a state that holds quire.ci with the given forms, and evaluates
// nothing yet. print, which may be nil, gets what the program prints.
func (p *program) open(ctx context.Context, forms map[string]lua.LGFunction, print io.Writer) (*lua.LState, *lua.LTable) {
	L := vm.New(vm.Options{
		Kind:      vm.Sandbox,
		Later:     true,
		Context:   ctx,
		Searchers: []lua.LGFunction{p.lib.search},
		Stdout:    print,
	})
	ci := L.CreateTable(0, len(forms)+1)
	for name, f := range forms {
		ci.RawSetString(name, L.NewFunction(f))
	}
	table := makeRuntimeTable(L)
	ci.RawSetString("runtime", table)
	fnl := L.CreateTable(0, 2)
	fnl.RawSetString("version", lua.LString(fennel.Version))
	fnl.RawSetString("view", viewFunction)
	L.G.Global.RawSetString(fennelGlobal, fnl)
	stdlib := L.CreateTable(0, 1)
	stdlib.RawSetString("mirror", L.NewFunction(stdlibMirrorFunction))

	pkg, _ := L.GetGlobal("package").(*lua.LTable)
	loaded, _ := pkg.RawGetString("loaded").(*lua.LTable)
	loaded.RawSetString(fennelGlobal, fnl)
	loaded.RawSetString(ciModule, ci)
	loaded.RawSetString(stdlibModule, stdlib)
	loaded.RawSetString(runtimeModule, table)
	return L, ci
}

// closeState gives a state back. It runs in defers, also when the state's own
// code has just panicked, and must not panic again.
func closeState(L *lua.LState) {
	defer func() { _ = recover() }()
	vm.Close(L)
}

var stdlibMirrorFunction = ask(stdlibMirror)

// evaluate runs the main file in a state that open made. The error is as
// protect's.
func (p *program) evaluate(L *lua.LState) error {
	L.Push(L.NewFunctionFromProto(p.proto))
	return p.protect(L, 0, 0)
}
