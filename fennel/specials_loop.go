package fennel

import (
	"github.com/yuin/gopher-lua/ast"
)

// clause is the name of an &until or &into clause, written with & or as a string.
func clause(n Node) (string, bool) {
	switch x := n.(type) {
	case *Str:
		return x.Val, true
	case *Sym:
		if x.multi == nil && len(x.Name) > 1 && x.Name[0] == '&' {
			return x.Name[1:], true
		}
	}
	return "", false
}

// takeUntil removes the &until clause from the bindings of a loop.
func takeUntil(items []Node, form *List) (rest []Node, until Node) {
	rest = append([]Node(nil), items...)
	for i := len(rest) - 2; i >= 2; i-- {
		name, ok := clause(rest[i])
		if !ok {
			continue
		}
		if name != "until" || until != nil {
			failAt(form, "unexpected iterator clause: %s", name)
		}
		until = rest[i+1]
		rest = append(rest[:i], rest[i+2:]...)
	}
	return rest, until
}

func (c *compilation) compileUntil(until Node, s *Scope, chunk *block) {
	if until == nil {
		return
	}
	cond := c.compile1(until, s, chunk)
	chunk.emit(c.breakIf(cond.x, c.lineOf(until)))
}

// loopBody compiles forms for what they do.
func (c *compilation) loopBody(x *List, start int, s *Scope, chunk *block) {
	sub := newScope(s)
	for _, n := range x.Items[start:] {
		c.compile(n, sub, chunk, want{nval: 0})
	}
}

func specialEach(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) < 3 {
		failIn(at(x.Items, 0), x, "expected body expression")
	}
	if !isTable(x.Items[1]) {
		failAt(x, "expected binding table")
	}
	sub := newScope(s)
	bindings, until := takeUntil(sequential(x.Items[1]), x)
	var iter Node
	if n := len(bindings); n > 0 {
		iter, bindings = bindings[n-1], bindings[:n-1]
	}
	if len(bindings) == 1 {
		if l, ok := bindings[0].(*List); ok {
			bindings = l.Items
		}
	} else {
		for _, n := range bindings {
			if _, ok := n.(*List); ok {
				c.warn(n, "unexpected parens in iterator")
			}
		}
	}
	c.hookEach(x, sub, bindings, iter, until)
	var names []string
	type nested struct {
		pattern Node
		raw     *Sym
	}
	var patterns []nested
	var pending deferred
	for _, n := range bindings {
		if sym, ok := n.(*Sym); ok {
			if sym.Name == "nil" {
				failAt(x, "unable to bind %s %s", luaTypeName(n), nodeText(n))
			}
			names = append(names, c.declare(sym, sub, x, false, &pending))
			continue
		}
		raw := &Sym{Pos: *n.position(), Name: c.gensym(sub, "", "")}
		names = append(names, c.declare(raw, sub, x, false, nil))
		patterns = append(patterns, nested{n, raw})
	}
	vals := c.values(c.compile(iter, s, b, want{nval: anyValues}))
	if len(names) == 0 {
		failAt(x, "expected binding and iterator")
	}
	chunk := &block{}
	for _, p := range patterns {
		form := x
		if q, ok := x.Items[1].(*Seq); ok {
			form = &List{Pos: q.Pos, Items: q.Items}
		}
		c.destructure(p.pattern, p.raw, form, sub, chunk, binder{declare: true, noMulti: true, kind: "each"})
	}
	c.applyDeferred(sub, &pending, x)
	c.compileUntil(until, sub, chunk)
	c.loopBody(x, 2, sub, chunk)
	n := &ast.GenericForStmt{Names: names, Exprs: vals, Stmts: chunk.body()}
	n.SetLine(c.lineOf(x))
	n.SetLastLine(c.endOf(x))
	b.emit(n)
	return nil, false
}

func specialWhile(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	before := &block{}
	cond := c.compile1(at(x.Items, 1), s, before).x
	line := c.lineOf(x)
	chunk := &block{}
	if len(before.stmts) > 0 {
		chunk.stmts = before.stmts
		chunk.emit(c.breakIf(c.not(cond, line), line))
		cond = c.boolean(true, line)
	}
	c.loopBody(x, min(2, len(x.Items)), s, chunk)
	n := &ast.WhileStmt{Condition: cond, Stmts: chunk.body()}
	n.SetLine(line)
	n.SetLastLine(c.endOf(x))
	b.emit(n)
	return nil, false
}

func specialFor(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if !isTable(at(x.Items, 1)) {
		failAt(x, "expected binding table")
	}
	where := x.Items[1]
	ranges, until := takeUntil(sequential(where), x)
	var name Node
	if len(ranges) > 0 {
		name, ranges = ranges[0], ranges[1:]
	}
	sub := newScope(s)
	sym, ok := name.(*Sym)
	if !ok {
		failIn(where, x, "unable to bind %s %s", luaTypeName(name), nodeText(name))
	}
	if len(x.Items) < 3 {
		failIn(x.Items[0], x, "expected body expression")
	}
	if len(ranges) > 3 {
		failIn(where, x, "unexpected arguments")
	}
	if len(ranges) < 2 {
		failIn(where, x, "expected range to include start and stop")
	}
	c.hookFor(x, sub, sym)
	var args [3]ast.Expr
	for i, r := range ranges {
		args[i] = c.compile1(r, s, b).x
	}
	chunk := &block{}
	n := &ast.NumberForStmt{Name: c.declare(sym, sub, x, false, nil), Init: args[0], Limit: args[1], Step: args[2]}
	c.compileUntil(until, sub, chunk)
	c.loopBody(x, 2, sub, chunk)
	n.Stmts = chunk.body()
	n.SetLine(c.lineOf(x))
	n.SetLastLine(c.endOf(x))
	b.emit(n)
	return nil, false
}
