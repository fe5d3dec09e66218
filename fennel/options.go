package fennel

import (
	"context"
	"strings"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

// Options say how a program is compiled. The zero value compiles a program of no name without checking its globals.
type Options struct {
	// Filename is what errors and debug information call the source.
	Filename string
	// ModuleName is what the program is required as; expressions in import-macros and include see it as `...`.
	ModuleName string
	// AllowedGlobals are the global names the program may use, as it writes them; any other is the compile error
	// "unknown identifier", at its place. Nil allows all, an empty list none. It is a check against typing mistakes,
	// not a wall: _G.name and what _G holds are not looked at, so that what a program can reach is up to the state
	// that runs it. Macros are not bound by it: they see their own environment. Globals that the program itself
	// declares with (global …) are allowed from there on.
	AllowedGlobals []string
	// LoadModule finds the source of a macro module, or of a module to include. Without it there are none.
	LoadModule func(name string) (source []byte, filename string, ok bool)
	// State runs the program's macros. Nil makes a bare state when the first macro needs one, and closes it.
	State *lua.LState
	// Context ends macros that do not end by themselves, in the state made for them. A State that is given has its own.
	Context context.Context
	// Scope keeps locals and macros from one compilation to the next. Nil starts afresh.
	Scope *Scope
	// CompilerEnv is the environment of macros: nil for the sandbox.
	CompilerEnv *lua.LTable
	// ExtraCompilerEnv is added to the sandbox.
	ExtraCompilerEnv *lua.LTable
	// Keywords are names besides Lua's own which the output may not use for variables.
	Keywords map[string]bool
	// UseMetadata keeps argument lists and docstrings of functions in fennel.metadata; MetadataName is the Lua
	// expression for that table when it is not required from the module.
	UseMetadata  bool
	MetadataName string
	// RequireAsInclude embeds required modules that LoadModule finds; SkipInclude names modules to leave out.
	RequireAsInclude bool
	SkipInclude      []string
	// LambdaAsFn drops the nil checks of lambda. AssertAsRepl turns assert into assert-repl. ToBeClosed makes with-open
	// a Lua 5.4 to-be-closed variable in text.
	LambdaAsFn, AssertAsRepl, ToBeClosed bool
	// UseBitLib writes bit operations as calls of LuaJIT's bit library in text. Prototypes always use it.
	UseBitLib bool
	// NoGlobalMangling reads globals with odd names as _G["name"] instead of by a mangled name.
	NoGlobalMangling bool
	// Correlate puts statements of text on the lines of the source. Indent is one level of text, two spaces by default.
	Correlate bool
	Indent    string
	NoIndent  bool
	// Comments keeps comments of the source when reading.
	Comments bool
	// Warn is told of questionable code. Nil keeps silent.
	Warn func(msg, file string, line, col int)

	text      bool
	plugins   *plugins
	lua       *lua.LTable   // the options a script passed
	module    string        // what (require :fennel) is called
	allowedIn []*lua.LTable // environments whose globals are allowed, in place of AllowedGlobals
}

// Compile makes a prototype of a program. The prototype takes `...`, and may be shared by states and goroutines.
func Compile(source []byte, opts Options) (*lua.FunctionProto, error) {
	c := New(opts.State)
	c.ctx = opts.Context
	defer c.Close()
	return c.Compile(source, opts)
}

// CompileToLua writes a program as Lua text.
func CompileToLua(source []byte, opts Options) (string, error) {
	c := New(opts.State)
	c.ctx = opts.Context
	defer c.Close()
	return c.CompileToLua(source, opts)
}

// Compile is the function of that name, in a world that lasts: macro modules stay loaded.
func (k *Compiler) Compile(source []byte, opts Options) (*lua.FunctionProto, error) {
	chunk, err := k.chunk(source, opts)
	if err != nil {
		return nil, err
	}
	proto, err := assemble(chunk, opts.Filename)
	if e, ok := err.(*Error); ok {
		// What is too much for one function is known by its line alone.
		e.setSource(&sourceFile{name: e.File, text: source}, e.Line)
		e.EndCol = utf8.RuneCountInString(e.SourceLine) - 1
	}
	return proto, err
}

func assemble(chunk []ast.Stmt, filename string) (*lua.FunctionProto, error) {
	if filename == "" {
		filename = "unknown"
	}
	proto, err := luacode.Compile(chunk, filename)
	if limit, ok := err.(*luacode.LimitError); ok {
		if strings.Contains(limit.Message, "register overflow") {
			limit.Message = "too many local variables, or too deep an expression, for one function"
		}
		return nil, &Error{Kind: CompileError, File: filename, Line: limit.Line, Message: limit.Message,
			Advice: advise(limit.Message), Form: "fn", noSource: true}
	}
	return proto, err
}

// CompileToLua is the function of that name, in a world that lasts.
func (k *Compiler) CompileToLua(source []byte, opts Options) (string, error) {
	opts.text = true
	chunk, err := k.chunk(source, opts)
	if err != nil {
		return "", err
	}
	return luacode.Print(chunk, opts.style()), nil
}

func (o *Options) style() luacode.Style {
	s := luacode.Style{Indent: o.Indent, Correlate: o.Correlate}
	if s.Indent == "" && !o.NoIndent {
		s.Indent = "  "
	}
	return s
}
