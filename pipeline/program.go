package pipeline

import (
	"context"
	_ "embed"
	"io"
	"strings"
	"sync"

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

//go:embed macros.fnl
var ciMacros []byte

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
		text: src.Text,
		lib:  &library{find: src.Lib, modules: map[string]*module{}},
	}
	var err error
	p.proto, err = p.lib.compile(ctx, src.Text, src.Name, "")
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
	stdlib := L.CreateTable(0, 1)
	stdlib.RawSetString("mirror", L.NewFunction(stdlibMirrorFunction))

	pkg, _ := L.GetGlobal("package").(*lua.LTable)
	loaded, _ := pkg.RawGetString("loaded").(*lua.LTable)
	loaded.RawSetString(ciModule, ci)
	loaded.RawSetString(stdlibModule, stdlib)
	loaded.RawSetString(runtimeModule, table)
	return L, ci
}

var stdlibMirrorFunction = ask(stdlibMirror)

// evaluate runs the main file in a state that open made. The error is as
// protect's.
func (p *program) evaluate(L *lua.LState) error {
	L.Push(L.NewFunctionFromProto(p.proto))
	return p.protect(L, 0, 0)
}

// library compiles the modules of the commit, each once for all states.
type library struct {
	find func(string) ([]byte, string, bool)

	mu      sync.Mutex
	modules map[string]*module
}

type module struct {
	name, file string
	text       []byte
	found      bool
	proto      *lua.FunctionProto
	err        error // of compiling; set when proto is nil and the module was required
}

// source finds a module's text. The caller holds mu.
func (l *library) source(name string) *module {
	m, ok := l.modules[name]
	if !ok {
		m = &module{name: name}
		if l.find != nil {
			m.text, m.file, m.found = l.find(name)
		}
		l.modules[name] = m
	}
	return m
}

func (l *library) textOf(file string) []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.modules {
		if m.found && m.file == file {
			return m.text
		}
	}
	if file == ciMacrosFile {
		return ciMacros
	}
	return nil
}

// search is the searcher that require asks.
func (l *library) search(L *lua.LState) int {
	name := L.Get(1).String()
	m := l.load(L.Context(), name)
	switch {
	case !m.found:
		// It is the last searcher, so this is the end of the search.
		where := "nothing can have that name"
		if files := LibFiles(name); len(files) > 0 {
			where = "there is no " + files[0] + " in the pushed commit"
		}
		L.RaiseError("module '%s' not found: %s", printable(name), where)
	case m.err != nil:
		L.RaiseError("%s", m.err.Error())
	default:
		L.Push(L.NewFunctionFromProto(m.proto))
	}
	return 1
}

func (l *library) load(ctx context.Context, name string) *module {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := l.source(name)
	if m.found && m.proto == nil && m.err == nil {
		m.proto, m.err = l.compileLocked(ctx, m.text, m.file, name)
	}
	return m
}

// broken is a required module's compile error that text, an error raised in a
// state, passes on.
func (l *library) broken(text string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.modules {
		if m.err != nil && strings.Contains(text, m.err.Error()) {
			return m.err
		}
	}
	return nil
}

func (l *library) compile(ctx context.Context, text []byte, file, name string) (*lua.FunctionProto, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.compileLocked(ctx, text, file, name)
}

const ciMacrosFile = "quire.ci macros"

func (l *library) compileLocked(ctx context.Context, text []byte, file, name string) (*lua.FunctionProto, error) {
	opts := fennel.Options{
		Filename:       file,
		ModuleName:     name,
		AllowedGlobals: sandboxGlobals(),
		LoadModule: func(name string) ([]byte, string, bool) {
			if name == ciModule {
				return ciMacros, ciMacrosFile, true
			}
			m := l.source(name)
			return m.text, m.file, m.found
		},
	}
	// Macros run at compile time. They get a state that ctx stops; a text that
	// cannot have macros of its own is spared the making of it.
	if strings.Contains(string(text), "macro") || strings.Contains(string(text), "eval-compiler") {
		opts.State = vm.New(vm.Options{Kind: vm.Sandbox, Context: ctx})
		defer vm.Close(opts.State)
	}
	return fennel.Compile(text, opts)
}

// sandboxGlobals are the global names that a program may use: those that are
// there. Anything else is a compile error with a place, rather than a nil.
var sandboxGlobals = sync.OnceValue(func() []string {
	L := vm.New(vm.Options{Kind: vm.Sandbox})
	defer vm.Close(L)
	var names []string
	for k := range pairs(L.G.Global) {
		names = append(names, k.String())
	}
	return names
})
