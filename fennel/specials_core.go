package fennel

import (
	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

// special is a form the compiler knows: it compiles a call of itself to expressions. With done it has returned or
// assigned the values itself if that was wanted.
type special func(c *compilation, x *List, s *Scope, b *block, w want) (list []expr, done bool)

// coreSpecials are shared by all compilations and never changed.
var coreSpecials map[string]special

func init() { // in a function, because special forms refer to the table by way of the compiler

	coreSpecials = map[string]special{
		"do": specialDo, "values": specialValues, "fn": specialFn, "hashfn": specialHashfn, "lua": specialLua,
		".": specialDot, "set": specialSet, "global": specialGlobal, "set-forcibly!": specialSetForcibly,
		"local": specialLocal, "var": specialVar, "let": specialLet, "tset": specialTset, "if": specialIf,
		"each": specialEach, "while": specialWhile, "for": specialFor, ":": specialMethod, "comment": specialComment,
		"+": arithmetic("+", "0", "0"), "..": specialConcat, "^": arithmetic("^", "", ""), "-": specialMinus,
		"*": arithmetic("*", "1", "1"), "%": arithmetic("%", "", ""), "/": arithmetic("/", "", "1"),
		"//": arithmetic("//", "", "1"), "or": logical("or"), "and": logical("and"),
		"lshift": bitwise("<<", "lshift", "", "1"), "rshift": bitwise(">>", "rshift", "", "1"),
		"band": bitwise("&", "band", "-1", "-1"), "bor": bitwise("|", "bor", "0", "0"),
		"bxor": bitwise("~", "bxor", "0", "0"), "bnot": specialBnot,
		">": comparison(">", "and"), "<": comparison("<", "and"), ">=": comparison(">=", "and"),
		"<=": comparison("<=", "and"), "=": comparison("==", "and"), "not=": comparison("~=", "or"),
		"~=": comparison("~=", "or"), "not": specialNot, "length": specialLength, "#": specialLength,
		"quote": specialQuote, "unquote": specialUnquote, "require-macros": specialRequireMacros,
		"macros": specialMacros, "eval-compiler": specialEvalCompiler, "include": specialInclude,
		"tail!": specialTail, "pick-values": specialPickValues, "require": nil,
	}
	delete(coreSpecials, "require") // a plain function, unless requireAsInclude makes it a form
}

// sequence compiles the items from start on into chunk, the last one as w wants it.
func (c *compilation) sequence(items []Node, start int, s *Scope, chunk *block, w want, target []ast.Expr, tail bool) {
	for i := start; i < len(items); i++ {
		inner := want{nval: 0}
		if i == len(items)-1 {
			inner = want{nval: w.nval, tail: tail, target: target}
		}
		list := c.compile(items[i], s, chunk, inner)
		if i != len(items)-1 {
			c.sideEffects(list, chunk, 0, items[i])
		}
	}
}

func specialDo(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	return c.doBody(x, 1, s, newScope(s), b, &block{}, w, nil)
}

// doBody compiles a block with a scope of its own. Where its values are neither returned, assigned, dropped nor
// counted, the block becomes a function that is called at once.
func (c *compilation) doBody(x *List, start int, s, sub *Scope, b, chunk *block, w want, pre []string) ([]expr, bool) {
	c.hook("pre-do", x, sub)
	from, to := c.lineOf(x), c.endOf(x)
	switch {
	case w.target != nil || w.nval == 0 || w.tail:
		c.sequence(x.Items, start, sub, chunk, w, w.target, w.tail)
		b.emit(c.doBlock(chunk.body(), from, to))
		c.hook("do", x, sub)
		return nil, true
	case w.nval != anyValues:
		names := make([]string, w.nval)
		target := make([]ast.Expr, w.nval)
		out := make([]expr, w.nval)
		for i := range names {
			if i < len(pre) {
				names[i] = pre[i]
			} else {
				names[i] = c.gensym(s, "", "")
			}
			target[i] = c.ident(names[i], from)
			out[i] = expr{c.ident(names[i], from), nameExpr}
		}
		b.emit(c.localStmt(names, nil, from))
		c.sequence(x.Items, start, sub, chunk, w, target, false)
		b.emit(c.doBlock(chunk.body(), from, to))
		c.hook("do", x, sub)
		return out, true
	}
	c.sequence(x.Items, start, sub, chunk, w, nil, true)
	c.hook("do", x, sub)
	return c.callNow(chunk, s, from, to), false
}

// callNow wraps statements that return into a function and calls it.
func (c *compilation) callNow(chunk *block, s *Scope, from, to int) []expr {
	fn := c.function(nil, s.vararg, chunk.body(), from, to)
	var args []ast.Expr
	if s.vararg {
		args = c.one(c.varg(from))
	}
	return c.single(c.call(fn, from, args...), callExpr)
}

// operands walks the arguments of a form; a (values …) at the end counts as its own items.
func operands(x *List) []Node {
	items := x.Items[1:]
	var out []Node
	copied := false
	for len(items) > 0 {
		l, ok := callOf(items[len(items)-1], "values")
		if !ok {
			break
		}
		out = append(out, items[:len(items)-1]...)
		items, copied = l.Items[1:], true
	}
	if !copied {
		return items
	}
	return append(out, items...)
}

func specialValues(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	items := operands(x)
	out := make([]expr, 0, len(items))
	for i, n := range items {
		if i < len(items)-1 {
			out = append(out, c.compile1(n, s, b))
			continue
		}
		out = append(out, c.compile(n, s, b, want{nval: anyValues})...)
	}
	if len(out) == 0 {
		out = []expr{}
	}
	return out, false
}

// branch is a condition of `if`, the statements that it needs first, and what happens when it holds.
type branch struct {
	before []ast.Stmt
	cond   ast.Expr
	body   []ast.Stmt
	line   int
}

func specialIf(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) < 3 {
		failAt(x, "expected condition and body")
	}
	items := x.Items[1:]
	if len(items)%2 == 0 {
		if t, ok := items[len(items)-2].(*Bool); ok && t.Val {
			// (if … true z) is (if … z)
			items = append(append([]Node(nil), items[:len(items)-2]...), items[len(items)-1])
		}
	}
	if len(items)%2 == 0 {
		items = append(append(make([]Node, 0, len(items)+1), items...), &Sym{Pos: x.Pos, Name: "nil"})
	}
	if len(items) == 1 {
		return specialDo(c, &List{Pos: x.Pos, Items: []Node{&Sym{Pos: x.Pos, Name: "do"}, items[0]}}, s, b, w)
	}
	inner := w
	var names []string
	var out []expr
	called := false
	switch {
	case !w.tail && w.target == nil && w.nval == anyValues:
		called = true
		inner = want{nval: anyValues, tail: true}
	case w.nval > 0 && w.target == nil:
		target := make([]ast.Expr, w.nval)
		for i := range target {
			name := c.gensym(s, "", "")
			names = append(names, name)
			target[i] = c.ident(name, c.lineOf(x))
			out = append(out, expr{c.ident(name, c.lineOf(x)), nameExpr})
		}
		inner = want{nval: w.nval, tail: w.tail, target: target}
	}
	inner.fallback, inner.handle = nil, nil
	defer c.chain(len(items)/2, x)()
	conds := newScope(s)
	arm := func(n Node) []ast.Stmt {
		chunk := &block{}
		c.sideEffects(c.compile(n, newScope(conds), chunk, inner), chunk, 0, n)
		return chunk.body()
	}
	var branches []branch
	for i := 0; i+1 < len(items); i += 2 {
		before := &block{}
		cond := c.compile1(items[i], conds, before)
		line := c.lineOf(items[i])
		branches = append(branches, branch{before.stmts, cond.x, arm(items[i+1]), line})
	}
	rest := arm(items[len(items)-1])
	if onlyNil(rest) && w.nval == 0 && !w.tail && w.target == nil {
		rest = nil
	}
	from, to := c.lineOf(x), c.endOf(x)
	stmts := rest
	for i := len(branches) - 1; i >= 0; i-- {
		br := branches[i]
		line := br.line
		if i == 0 {
			line = from
		}
		node := c.ifStmt(br.cond, br.body, stmts, line, to)
		stmts = append(br.before[:len(br.before):len(br.before)], node)
	}
	if called {
		return c.callNow(&block{stmts}, s, from, to), false
	}
	if names != nil {
		b.emit(c.localStmt(names, nil, from))
	}
	b.stmts = append(b.stmts, stmts...)
	return out, true
}

func onlyNil(stmts []ast.Stmt) bool { return len(stmts) == 0 }

func specialTail(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 {
		failAt(x, "Expected one argument")
	}
	call, ok := c.macroexpand(x.Items[1], s, false).(*List)
	if ok && len(call.Items) > 0 {
		if head, isHead := call.Items[0].(*Sym); isHead && s.special(head.Name) != nil {
			ok = false
		}
	}
	if !ok {
		failAt(x, "Expected a function call as argument")
	}
	if !w.tail {
		failAt(x, "Must be in tail position")
	}
	return c.compile(call, s, b, w), true
}

func specialPickValues(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	var n *Num
	if len(x.Items) > 1 {
		n, _ = x.Items[1].(*Num)
	}
	if n == nil || n.Val < 0 || n.Val != float64(int(n.Val)) {
		var got Node
		if len(x.Items) > 1 {
			got = x.Items[1]
		}
		failAt(x, "Expected n to be an integer >= 0, got %s", nodeText(got))
	}
	rest := x.Items[2:]
	vals := &List{Pos: x.Pos, Items: append([]Node{&Sym{Pos: x.Pos, Name: "values"}}, rest...)}
	switch n.Val {
	case 0:
		for _, v := range rest {
			c.sideEffects(c.compile(v, s, b, want{nval: 0}), b, 0, v)
		}
		return []expr{}, false
	case 1:
		e := c.compile1(vals, s, b)
		return c.single(luacode.Paren(e.x), valueExpr), false
	}
	if n.Val > maxPicked {
		failAt(x, "too many values at once: %s", nodeText(n))
	}
	// Exactly n locals take the values; a let would make a scope that nobody needs.
	pattern := &List{Pos: x.Pos}
	for range int(n.Val) {
		pattern.Items = append(pattern.Items, &Sym{Pos: x.Pos, Name: c.gensym(s, "pv", "")})
	}
	c.destructure(pattern, vals, x, s, b, binder{declare: true, noMulti: true, noUndef: true, kind: "pv"})
	out := make([]expr, len(pattern.Items))
	for i, p := range pattern.Items {
		out[i] = c.reference(p.(*Sym), s, false)
	}
	return out, false
}

// maxPicked is what fits the registers of a function beside other things.
const maxPicked = 150
