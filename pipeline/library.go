package pipeline

import (
	"bytes"
	"context"
	_ "embed"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
)

// ciMacros is the macro module of the name quire.ci.
//
//go:embed macros.fnl
var ciMacros []byte

const ciMacrosFile = "quire.ci macros" // as errors name it

// library holds the modules of the commit, each found and compiled once for all
// the states of a pipeline.
type library struct {
	finding sync.Mutex // held while find runs, which may take its time
	find    Finder

	mu      sync.Mutex
	modules map[string]*module
}

// module is a name that was asked for. Its text does not change any more.
type module struct {
	file   string
	text   []byte
	found  bool
	unread error // it is there and cannot be read

	mu    sync.Mutex
	proto *lua.FunctionProto
	err   error // of compiling
}

func newLibrary(find Finder) *library {
	if find == nil {
		find = func(string) ([]byte, string, error) { return nil, "", ErrNoModule }
	}
	return &library{find: find, modules: map[string]*module{}}
}

// module finds a module's text.
func (l *library) module(name string) *module {
	l.finding.Lock()
	defer l.finding.Unlock()
	l.mu.Lock()
	m, ok := l.modules[name]
	l.mu.Unlock()
	if !ok {
		m = &module{}
		var err error
		if m.text, m.file, err = l.find(name); err == nil {
			m.text, m.found = withoutMark(m.text), true
		} else if !errors.Is(err, ErrNoModule) {
			m.unread = err
		}
		l.mu.Lock()
		l.modules[name] = m
		l.mu.Unlock()
	}
	return m
}

// textOf is the text of a file that a module came from, nil if none did.
func (l *library) textOf(file string) []byte {
	if file == ciMacrosFile {
		return ciMacros
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, m := range l.modules {
		if m.found && m.file == file {
			return m.text
		}
	}
	return nil
}

// unread is why a module that was asked for cannot be read; nil if all can.
func (l *library) unread() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, name := range slices.Sorted(maps.Keys(l.modules)) {
		if err := l.modules[name].unread; err != nil {
			return errors.New(unreadable(name, err))
		}
	}
	return nil
}

func unreadable(module string, err error) string {
	return fmt.Sprintf("module '%s' cannot be read: %v", printableWhole(module), err)
}

// search is the searcher that require asks.
func (l *library) search(L *lua.LState) int {
	name := L.Get(1).String()
	m := l.module(name)
	if m.unread != nil {
		L.RaiseError("%s", unreadable(name, m.unread))
	}
	if !m.found {
		// It is the last searcher, so this is the end of the search.
		where := "nothing can have that name"
		if files := LibFiles(name); len(files) > 0 {
			where = "there is no " + files[0] + " in the pushed commit"
		}
		L.RaiseError("module '%s' not found: %s", printableWhole(name), where)
	}
	proto, err := l.load(L.Context(), m, name)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	L.Push(L.NewFunctionFromProto(proto))
	return 1
}

// load compiles a module that was found. That its caller's time was over is not
// kept against it: other states have time of their own.
func (l *library) load(ctx context.Context, m *module, name string) (*lua.FunctionProto, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.proto == nil && m.err == nil {
		proto, err := l.compile(ctx, m.text, m.file, name)
		if err != nil && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		m.proto, m.err = proto, err
	}
	return m.proto, m.err
}

// broken is a module's compile error that text, an error raised in a state,
// passes on; nil if it passes on none.
func (l *library) broken(text string) error {
	l.mu.Lock()
	modules := slices.Collect(maps.Values(l.modules))
	l.mu.Unlock()
	for _, m := range modules {
		m.mu.Lock()
		err := m.err
		m.mu.Unlock()
		if err != nil && strings.Contains(text, err.Error()) {
			return err
		}
	}
	return nil
}

// compile compiles a text. Macros of its own run in a state that ctx stops; a
// text that cannot have any is spared the making of one.
func (l *library) compile(ctx context.Context, text []byte, file, name string) (*lua.FunctionProto, error) {
	opts := fennel.Options{
		Filename:       file,
		ModuleName:     name,
		AllowedGlobals: sandboxGlobals(),
		LoadModule: func(name string) ([]byte, string, bool) {
			if name == ciModule {
				return ciMacros, ciMacrosFile, true
			}
			m := l.module(name)
			return m.text, m.file, m.found
		},
	}
	if bytes.Contains(text, []byte("macro")) || bytes.Contains(text, []byte("eval-compiler")) {
		opts.State = vm.New(vm.Options{Kind: vm.Sandbox, Later: true, Context: ctx})
		defer vm.Close(opts.State)
	}
	return fennel.Compile(text, opts)
}

// sandboxGlobals are the global names that a program may use: those that are
// there. Anything else is a compile error with a place, rather than a nil.
var sandboxGlobals = sync.OnceValue(func() []string {
	L := vm.New(vm.Options{Kind: vm.Sandbox, Later: true})
	defer vm.Close(L)
	names := []string{fennelGlobal}
	for k := range pairs(L.G.Global) {
		names = append(names, k.String())
	}
	return names
})
