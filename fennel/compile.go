package fennel

import (
	"fmt"

	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

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
	at         Node            // the innermost form being compiled that has a place; errors without one are told there
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
		if r := recover(); r != nil {
			if e, ok := r.(*Error); ok {
				e.locate(c.at)
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
	saved, savedAt := c.line, c.at
	if n != nil && n.position().Line > 0 {
		c.line, c.at = int(n.position().Line), n
	}
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
	c.line, c.at = saved, savedAt
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
