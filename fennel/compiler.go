package fennel

import (
	"context"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// Compiler is a compile-time world: macro modules that were loaded, special forms that programs added, and the Lua
// state in which macros run. It belongs to one goroutine at a time, the one that runs its state.
type Compiler struct {
	L       *lua.LState     // where macros run; nil until one must
	ctx     context.Context // of the state made here
	owned   bool            // L was made here, and is closed here
	types   *luaTypes
	global  *Scope      // special forms and macros of every program
	macros  *Scope      // code in it runs at compile time
	loaded  *lua.LTable // macro modules by name
	current *compilation

	specials  *lua.LTable
	base      *lua.LTable // functions of every environment of macros
	safe      *lua.LTable // metatable that puts the sandbox behind a table
	tracer    *lua.LFunction
	scopes    map[*lua.LTable]*Scope
	natives   map[*macro]lua.LValue
	blocks    map[*lua.LTable]*block // of special forms that scripts are running
	wants     map[*lua.LTable]want
	searchers *lua.LTable
	meta      *lua.LTable
	module    *lua.LTable
	options   *lua.LTable // of the compilation that was last entered by a script

	// NoColor keeps the place of an error from being shown in inverse video. Carets, which comes first, marks it by a
	// line of carets below the source line.
	NoColor, Carets bool

	// Interrupt, if not nil, is the context of L, and breaks off what a conversation evaluates; the conversation goes on.
	Interrupt *vm.Interrupt

	thrown   *Error // the last error raised in Lua, and the value it was raised as
	thrownAs lua.LValue

	forms  int    // that may still be compiled; see formBudget
	places []*Pos // of quoted forms

	replDepth int // conversations that are going on, one in another

	files map[string]*sourceFile // texts read so far, for the excerpts in errors
}

// New makes a world whose macros run in L. With nil they run in a state made for them when the first one is called, so
// that a program without macros of its own pays for none.
func New(L *lua.LState) *Compiler {
	k := &Compiler{L: L}
	k.global = &Scope{vararg: true, macros: coreMacros, specials: coreSpecials}
	k.global.root = k.global
	// What a program adds to every scope must not reach other worlds.
	k.global = &Scope{parent: k.global, vararg: true, depth: 0}
	k.global.root = k.global
	k.macros = rootScope(k.global)
	k.macros.compiler = true
	return k
}

// Close releases the state that was made for macros.
func (k *Compiler) Close() {
	if k.owned && k.L != nil {
		vm.Close(k.L)
		k.L = nil
	}
}

// vm makes sure that there is a state, and gives the world.
func (k *Compiler) vm() *Compiler {
	if k.L == nil {
		k.L = vm.New(vm.Options{Kind: vm.Sandbox, Context: k.ctx})
		k.owned = true
	}
	if k.types == nil {
		k.types = newLuaTypes(k.L)
		k.tracer = k.L.NewFunction(traceMacro)
	}
	if k.loaded == nil {
		k.loaded = k.L.NewTable()
	}
	return k
}

// prepareScope applies the options that change which forms there are.
func (c *compilation) prepareScope(s *Scope) {
	set := func(name string, f special) {
		if s.specials == nil {
			s.specials = map[string]special{}
		}
		s.specials[name] = f
	}
	if c.opts.RequireAsInclude {
		set("require", specialRequireAsInclude)
	}
	if c.opts.ToBeClosed {
		s.setMacro("with-open", nil)
		set("with-open", specialWithOpen)
	}
	if c.opts.AssertAsRepl {
		s.setMacro("assert", s.macro("assert-repl"))
	}
	if c.opts.LambdaAsFn {
		for _, name := range []string{"lambda", "λ"} {
			s.setMacro(name, nil)
			set(name, specialFn)
		}
	}
}

func (c *compilation) moduleName() string {
	if c.opts.module != "" {
		return c.opts.module
	}
	return "fennel"
}

// callable holds for functions and for tables with __call.
func (k *Compiler) callable(v lua.LValue) bool {
	switch x := v.(type) {
	case *lua.LFunction:
		return true
	case *lua.LTable:
		mt, ok := x.Metatable.(*lua.LTable)
		return ok && mt.RawGetString("__call") != lua.LNil
	case *lua.LUserData:
		mt, ok := x.Metatable.(*lua.LTable)
		return ok && mt.RawGetString("__call") != lua.LNil
	}
	return false
}
