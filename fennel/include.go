package fennel

import (
	"bytes"

	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

// include is a module that was put into the output already, or is being put there.
type include struct {
	loading bool
	call    func(c *compilation, line int) expr
}

func specialRequireAsInclude(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	w.fallback = func(e expr, quiet bool) expr {
		if !quiet {
			name := "..."
			if str, ok := e.x.(*ast.StringExpr); ok {
				name = luacode.Quote(str.Value)
			}
			c.warn(x, "include module not found, falling back to require: %s", name)
		}
		line := c.lineOf(x)
		return expr{c.call(c.ident("require", line), line, e.x), callExpr}
	}
	return specialInclude(c, x, s, b, w)
}

// specialInclude puts the source of a module into the output, where package.preload finds it.
func specialInclude(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 {
		failAt(x, "expected one argument")
	}
	line := c.lineOf(x)
	name, ok := c.tryModuleName(x)
	if !ok {
		e := c.compile1(x.Items[1], s, b)
		if w.fallback == nil {
			failAt(x, "module name must be string literal")
		}
		return []expr{w.fallback(e, true)}, false
	}
	literal := expr{c.str(name, line), literalExpr}
	for _, skip := range c.opts.SkipInclude {
		if skip == name && w.fallback != nil {
			return []expr{w.fallback(literal, true)}, false
		}
	}
	if known := c.root.include(name); known != nil {
		if known.loading {
			if w.fallback == nil {
				failAt(x, "circular include detected")
			}
			return []expr{w.fallback(literal, false)}, false
		}
		return []expr{known.call(c, line)}, false
	}
	src, file, isLua, found := c.findInclude(name)
	if !found {
		if w.fallback == nil {
			failAt(x, "module not found %s", name)
		}
		return []expr{w.fallback(literal, false)}, false
	}
	saved := *c.opts
	inner := saved
	inner.ModuleName = name
	c.opts = &inner
	e := c.includeSource(name, src, file, isLua, x)
	c.opts = &saved
	return []expr{e(c, line)}, false
}

// tryModuleName evaluates the name of an include; an expression that fails at compile time is left for run time.
func (c *compilation) tryModuleName(x *List) (name string, ok bool) {
	if s, isStr := x.Items[1].(*Str); isStr {
		return s.Val, true
	}
	defer func() {
		if r := recover(); r != nil {
			if _, isError := r.(*Error); !isError {
				panic(r)
			}
			name, ok = "", false
		}
	}()
	return c.moduleNameOf(x.Items[1], x)
}

func (c *compilation) findInclude(name string) (src []byte, file string, isLua, ok bool) {
	if c.opts.LoadModule != nil {
		if src, file, ok = c.opts.LoadModule(name); ok {
			return src, file, hasSuffix(file, ".lua"), true
		}
	}
	return c.k.findModule(name)
}

func hasSuffix(s, suffix string) bool {
	return len(s) >= len(suffix) && s[len(s)-len(suffix):] == suffix
}

func (c *compilation) includeSource(name string, src []byte, file string, isLua bool, x *List) func(*compilation, int) expr {
	line := c.lineOf(x)
	if c.root.includes == nil {
		c.root.includes = map[string]*include{}
	}
	entry := &include{loading: true}
	c.root.includes[name] = entry
	src = bytes.TrimRight(src, "\r\n")
	place := func() ast.Expr {
		return c.index(c.field(c.ident("package", line), "preload", line), c.str(name, line), line)
	}
	body := &ast.FunctionExpr{ParList: &ast.ParList{HasVargs: true}}
	body.SetLine(line)
	body.SetLastLine(line)
	keep := c.logical("or", place(), body, line)
	// The module goes to the top level, in front of the statement being compiled, where it sees the locals before it.
	c.rootBlk.emit(c.assign(c.one(place()), c.one(keep), line))
	if isLua {
		chunk, err := luacode.Parse(string(src), file)
		if err != nil {
			failAt(x, "%s", luaSyntax(err))
		}
		raw := &luacode.RawStmts{Text: string(src), Stmts: chunk}
		raw.SetLine(line)
		body.Stmts = []ast.Stmt{raw}
	} else {
		body.Stmts = c.includeForms(src, file)
	}
	entry.loading = false
	entry.call = func(c *compilation, line int) expr {
		return expr{c.call(c.ident("require", line), line, c.str(name, line)), callExpr}
	}
	return entry.call
}

func (c *compilation) includeForms(src []byte, file string) []ast.Stmt {
	forms, err := parseAll(src, file)
	if err != nil {
		panic(err.(*Error))
	}
	s := newScope(c.root)
	if c.opts.RequireAsInclude {
		s.specials = map[string]special{"require": specialRequireAsInclude}
	}
	chunk := &block{}
	for i, n := range forms {
		w := want{nval: 0}
		if i == len(forms)-1 {
			w = want{nval: anyValues, tail: true}
		}
		c.sideEffects(c.compile(n, s, chunk, w), chunk, 0, n)
	}
	return chunk.body()
}

// specialWithOpen is with-open by Lua 5.4's to-be-closed variables, in text only.
func specialWithOpen(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	bindings, ok := at(x.Items, 1).(*Seq)
	if !ok {
		failAt(x, "expected binding sequence")
	}
	for i := 0; i < len(bindings.Items); i += 2 {
		sym, ok := bindings.Items[i].(*Sym)
		if !ok {
			failAt(x, "with-open only allows symbols in bindings")
		}
		sym.closed = true
	}
	return specialLet(c, x, s, b, w)
}
