package fennel

import (
	"context"
	"fmt"
	"strings"

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
	// AllowedGlobals are the global names the program may use. Nil allows all.
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
	return assemble(chunk, opts.Filename)
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

func (k *Compiler) chunk(source []byte, opts Options) (chunk []ast.Stmt, err error) {
	defer catch(&err)
	name := opts.Filename
	if name == "" {
		name = "unknown"
	}
	r := newReader(source, name)
	k.prepareReader(r, &opts)
	if k.current == nil {
		k.forms = formBudget
	}
	k.forms += len(source) // a form is a byte at least
	var forms []Node
	for {
		n, ok := r.next()
		if !ok {
			break
		}
		forms = append(forms, n)
	}
	return k.compileForms(forms, opts), nil
}

// compilation is the state of one program's compilation.
type compilation struct {
	links      int            // of chains around the form being compiled
	suffixes   map[string]int // of names that are shadowed very often
	text       bool           // the output is Lua text, to be run elsewhere
	k          *Compiler
	opts       *Options
	root       *Scope
	rootBlk    *block
	allowed    map[string]bool // nil: all globals
	line       int             // of the form being compiled, for nodes without a place
	depth      int
	macroScope *Scope // of the macro call being expanded
	slab       slabs
}

// compileForms compiles a whole program. It panics with *Error.
func (k *Compiler) compileForms(forms []Node, opts Options) []ast.Stmt {
	if k.current == nil && k.forms <= 0 {
		k.forms = formBudget
	}
	scope := opts.Scope
	if scope == nil {
		scope = rootScope(k.global)
	}
	c := &compilation{k: k, opts: &opts, root: scope, rootBlk: &block{}, line: 1, text: opts.text}
	c.setAllowed(opts.AllowedGlobals)
	c.prepareScope(scope)
	previous := k.current
	k.current = c
	defer func() {
		k.current = previous
		if c.opts.plugins == nil {
			return
		}
		if r := recover(); r != nil {
			if e, ok := r.(*Error); ok {
				c.hookError(e)
			}
			panic(r)
		}
	}()
	b := c.rootBlk
	for i, n := range forms {
		w := want{nval: 0}
		if i == len(forms)-1 {
			w = want{nval: anyValues, tail: true}
		}
		c.sideEffects(c.compile(n, scope, b, w), b, 0, n)
		if i == len(forms)-1 {
			c.hook("chunk", n, scope)
		}
		forms[i] = nil // not needed again, and a third of the memory of a compilation
	}
	return b.body()
}

func (c *compilation) setAllowed(names []string) {
	if names == nil {
		if c.opts.allowedIn != nil {
			c.allowed = map[string]bool{}
		}
		return
	}
	c.allowed = make(map[string]bool, len(names))
	for _, n := range names {
		c.allowed[n] = true
	}
}

func (c *compilation) globalAllowed(name string) bool {
	if c.allowed == nil || c.allowed[name] {
		return true
	}
	for _, env := range c.opts.allowedIn {
		if defines(env, name) {
			c.allowed[name] = true
			return true
		}
	}
	return false
}

func (c *compilation) lineOf(n Node) int {
	if n != nil {
		if l := n.position().Line; l > 0 {
			return int(l)
		}
	}
	return c.line
}

func (c *compilation) endOf(n Node) int {
	if n != nil {
		if l := n.position().EndLine; l > 0 {
			return int(l)
		}
	}
	return c.lineOf(n)
}

// maxExpansion bounds how deep forms may nest once macros are expanded; a macro that expands to itself ends here.
const maxExpansion = 4 * maxDepth

// formBudget is how many forms a program may come to besides those that are written in it. Two macros which call each
// other's arguments twice make millions out of a line.
const formBudget = 400_000

// compile turns one form into Lua. Statements it needs go to b; what it returns are the expressions for its values. A
// form that is returned or assigned as w says gives no expressions.
func (c *compilation) compile(n Node, s *Scope, b *block, w want) []expr {
	c.depth++
	if c.k.forms--; c.k.forms < 0 {
		failAt(n, "macros expand to more than %d forms", formBudget)
	}
	if c.depth > maxExpansion {
		failAt(n, "forms nested more than %d deep", maxExpansion)
	}
	saved := c.line
	c.line = c.lineOf(n)
	n = c.macroexpand(n, s, false)
	var out []expr
	switch x := n.(type) {
	case *List:
		out = c.compileCall(x, s, b, w)
	case *Varg:
		if !s.vararg {
			if s.hashfn {
				failAt(x, "use $... in hashfn")
			}
			failAt(x, "unexpected vararg")
		}
		out = c.deliver(c.single(c.varg(c.line), vargExpr), b, w, n)
	case *Sym:
		out = c.deliver(c.compileSym(x, s), b, w, n)
	case *Seq, *Table:
		out = c.deliver(c.compileTable(x, s, b), b, w, n)
	case *Str:
		out = c.deliver(c.single(c.str(x.Val, c.lineOf(x)), literalExpr), b, w, n)
	case *Num:
		out = c.deliver(c.single(c.number(x.Val, c.lineOf(x)), literalExpr), b, w, n)
	case *Bool:
		out = c.deliver(c.single(c.boolean(x.Val, c.lineOf(x)), literalExpr), b, w, n)
	case nil, *Comment:
		out = c.deliver(c.single(c.nilAt(c.line), literalExpr), b, w, n)
	default:
		failAt(n, "could not compile value of type %s", luaTypeName(n))
	}
	c.line = saved
	c.depth--
	return out
}

// compile1 compiles a form for one value.
func (c *compilation) compile1(n Node, s *Scope, b *block) expr {
	return c.compile(n, s, b, one)[0]
}

// deliver fits a form's values to what is wanted: cuts or fills to the number, returns or assigns them.
func (c *compilation) deliver(list []expr, b *block, w want, n Node) []expr {
	if w.nval != anyValues && len(list) != w.nval {
		if len(list) > w.nval {
			c.sideEffects(list, b, w.nval, n)
			list = list[:w.nval:w.nval]
		} else {
			for len(list) < w.nval {
				list = append(list[:len(list):len(list)], expr{c.nilAt(c.line), literalExpr})
			}
		}
	}
	if !w.tail && w.target == nil {
		return list
	}
	line := c.lineOf(n)
	if w.tail {
		b.emit(c.returnStmt(c.values(list), line))
	}
	if w.target != nil {
		vals := c.values(list)
		if len(vals) == 0 {
			vals = c.one(c.nilAt(line))
		}
		b.emit(c.assign(c.places(w.target, line), vals, line))
	}
	return nil
}

// places copies the targets of an assignment, since every statement wants nodes of its own.
func (c *compilation) places(target []ast.Expr, line int) []ast.Expr {
	var out []ast.Expr
	if len(target) == 1 {
		out = c.one(nil)
	} else {
		out = make([]ast.Expr, len(target))
	}
	for i, t := range target {
		switch x := t.(type) {
		case *ast.IdentExpr:
			out[i] = c.ident(x.Value, line)
		case *ast.AttrGetExpr:
			out[i] = c.index(x.Object, x.Key, line)
		default:
			out[i] = t
		}
	}
	return out
}

// sideEffects emits what the expressions from start on do, and drops their values.
func (c *compilation) sideEffects(list []expr, b *block, start int, n Node) {
	for i := start; i < len(list); i++ {
		e := list[i]
		line := e.x.Line()
		switch e.kind {
		case valueExpr:
			if _, ok := e.x.(*ast.NilExpr); ok {
				continue
			}
			b.emit(c.doBlock([]ast.Stmt{c.localStmt([]string{"_"}, c.one(e.x), line)}, line, line))
		case callExpr:
			switch x := e.x.(type) {
			case *ast.FuncCallExpr:
				if !x.AdjustRet {
					b.emit(c.callStmt(x, line))
					continue
				}
			case *luacode.RawExpr:
				b.emit(c.callStmt(x, line))
				continue
			}
			b.emit(c.doBlock([]ast.Stmt{c.localStmt([]string{"_"}, c.one(e.x), line)}, line, line))
		}
	}
}

func (c *compilation) compileSym(x *Sym, s *Scope) []expr {
	if x.multi != nil && x.multi.method {
		failAt(x, "multisym method calls may only be in call position")
	}
	if x.Name == "nil" {
		return c.single(c.nilAt(c.lineOf(x)), literalExpr)
	}
	e := c.reference(x, s, true)
	return c.single(e.x, e.kind)
}

// reference gives the Lua expression a symbol stands for. Unless it is to be bound or set, a global must be allowed.
func (c *compilation) reference(x *Sym, s *Scope, read bool) expr {
	c.hookReference(x, s, read)
	first := x.Name
	if x.multi != nil {
		first = x.multi.parts[0]
	}
	if s.hashfn && first == "$" {
		first = "$1"
	}
	bound := s.lookup(first)
	if s.hashfn && first[0] == '$' {
		bound = c.hashBinding(first, bound, s)
	}
	if bound != nil && bound.meta != nil {
		bound.meta.used = true
		if bound.meta.lua != nil {
			bound.meta.lua.RawSetString("used", lua.LTrue)
		}
	}
	if s.macro(first) != nil {
		failAt(x, "tried to reference a macro without calling it")
	}
	if s.special(first) != nil && first != "require" {
		failAt(x, "tried to reference a special form without calling it")
	}
	if read && bound == nil && first != "_ENV" && !x.trusted && !c.globalAllowed(first) {
		failAt(x, "unknown identifier: %s", first)
	}
	if c.allowed != nil && bound == nil && s.parent != nil {
		if s.parent.refs == nil {
			s.parent.refs = map[string]bool{}
		}
		s.parent.refs[first] = true
	}
	line := c.lineOf(x)
	var e ast.Expr
	if bound != nil {
		e = c.ident(bound.lua, line)
	} else {
		e = c.global(first, line)
	}
	if x.multi == nil {
		return expr{e, nameExpr}
	}
	for _, p := range x.multi.parts[1:] {
		e = c.field(e, p, line)
	}
	return expr{e, valueExpr}
}

// hashBinding finds $1 to $9 of the innermost hash function. A macro may bring one in that the body does not mention.
func (c *compilation) hashBinding(name string, bound *binding, s *Scope) *binding {
	i, ok := hashArg(name)
	if !ok {
		return bound
	}
	for ; s != nil; s = s.parent {
		if b := s.names.find(name); b != nil {
			return b
		}
		if s.hashRoot != nil {
			c.declareHash(s, i)
			return s.names.find(name)
		}
	}
	return bound
}

func (c *compilation) global(name string, line int) ast.Expr {
	if c.identifier(name) {
		return c.ident(name, line)
	}
	if c.opts.NoGlobalMangling {
		return c.field(c.ident("_G", line), name, line)
	}
	return c.ident(Mangle(name), line)
}

func (c *compilation) compileTable(n Node, s *Scope, b *block) []expr {
	t := &ast.TableExpr{}
	t.SetLine(c.lineOf(n))
	t.SetLastLine(c.endOf(n))
	positional := func(items []Node) {
		for i, item := range items {
			w := one
			if i == len(items)-1 {
				w.nval = anyValues
			}
			for _, e := range c.compile(item, s, b, w) {
				t.Fields = append(t.Fields, &ast.Field{Value: e.x})
			}
		}
	}
	switch x := n.(type) {
	case *Seq:
		t.Fields = make([]*ast.Field, 0, len(x.Items))
		positional(x.Items)
	case *Table:
		t.Fields = make([]*ast.Field, 0, len(x.Keys))
		items := sequentialPart(x)
		positional(items)
		for i, k := range x.Keys {
			if num, ok := k.(*Num); ok && num.Val >= 1 && num.Val <= float64(len(items)) && num.Val == float64(int(num.Val)) {
				continue
			}
			v := c.compile1(x.Vals[i], s, b)
			var key ast.Expr
			if str, ok := k.(*Str); ok {
				key = c.str(str.Val, c.lineOf(k))
			} else {
				key = c.compile1(k, s, b).x
			}
			t.Fields = append(t.Fields, &ast.Field{Key: key, Value: v.x})
		}
	}
	return c.single(t, valueExpr)
}

// sequentialPart is sequential, without looking at every key of a table that has no numbers.
func sequentialPart(t *Table) []Node {
	var numbered map[float64]Node
	for i, k := range t.Keys {
		if num, ok := k.(*Num); ok {
			if numbered == nil {
				numbered = map[float64]Node{}
			}
			numbered[num.Val] = t.Vals[i]
		}
	}
	if numbered == nil {
		return nil
	}
	var items []Node
	for i := 1.0; numbered[i] != nil; i++ {
		items = append(items, numbered[i])
	}
	return items
}

func (c *compilation) compileCall(x *List, s *Scope, b *block, w want) []expr {
	c.hook("call", x, s)
	if len(x.Items) == 0 {
		failAt(x, "expected a function, macro, or special to call")
	}
	if head, ok := x.Items[0].(*Sym); ok {
		if head.multi == nil {
			if f := s.special(head.Name); f != nil {
				return c.runSpecial(f, x, s, b, w)
			}
		} else if head.multi.method {
			return c.compileMethodSym(x, head, s, b, w)
		}
	}
	return c.compileFunctionCall(x, s, b, w)
}

func (c *compilation) runSpecial(f special, x *List, s *Scope, b *block, w want) []expr {
	list, done := f(c, x, s, b, w)
	if done {
		if w.tail || w.target != nil {
			return nil
		}
		return list
	}
	if list == nil {
		list = c.single(c.nilAt(c.lineOf(x)), literalExpr)
	}
	return c.deliver(list, b, w, x)
}

// compileMethodSym compiles (a.b:c …) as (: a.b :c …).
func (c *compilation) compileMethodSym(x *List, head *Sym, s *Scope, b *block, w want) []expr {
	parts := head.multi.parts
	obj := &Sym{Pos: head.Pos, Name: parts[0]}
	if len(parts) > 2 {
		obj.Name = head.Name[:len(head.Name)-len(parts[len(parts)-1])-1]
		obj.multi = splitMulti(obj.Name)
	}
	items := make([]Node, 0, len(x.Items)+2)
	items = append(items, &Sym{Pos: head.Pos, Name: ":"}, obj, &Str{Pos: head.Pos, Val: parts[len(parts)-1]})
	items = append(items, x.Items[1:]...)
	return c.compile(&List{Pos: x.Pos, Items: items}, s, b, w)
}

func (c *compilation) compileFunctionCall(x *List, s *Scope, b *block, w want) []expr {
	callee := c.compile1(x.Items[0], s, b)
	ok := false
	if callee.kind == literalExpr {
		_, ok = callee.x.(*ast.StringExpr)
	} else {
		switch x.Items[0].(type) {
		case *Sym, *List:
			ok = true
		}
	}
	if !ok {
		failAt(x, "cannot call literal value %s", nodeText(x.Items[0]))
	}
	args := c.compileArgs(x.Items[1:], s, b)
	call := c.call(callee.x, c.lineOf(x), args...)
	return c.deliver(c.single(call, callExpr), b, w, x)
}

// compileArgs compiles arguments: one value each, and all values of the last.
func (c *compilation) compileArgs(items []Node, s *Scope, b *block) []ast.Expr {
	if len(items) == 0 {
		return nil
	}
	args := make([]ast.Expr, 0, len(items))
	for i, item := range items {
		if i < len(items)-1 {
			args = append(args, c.compile1(item, s, b).x)
			continue
		}
		for _, e := range c.compile(item, s, b, want{nval: anyValues}) {
			args = append(args, e.x)
		}
	}
	return args
}

func (c *compilation) warn(at Node, format string, args ...any) {
	if c.opts.Warn == nil {
		return
	}
	p := &Pos{}
	if at != nil {
		p = at.position()
	}
	c.opts.Warn(fmt.Sprintf(format, args...), p.filename(), int(p.Line), int(p.Col))
}
