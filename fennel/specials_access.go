package fennel

import (
	"github.com/yuin/gopher-lua/ast"
)

func specialDot(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) < 2 {
		failAt(x, "expected table argument")
	}
	obj := c.compile1(x.Items[1], s, b)
	if len(x.Items) == 2 {
		return []expr{obj}, false
	}
	line := c.lineOf(x)
	e := obj.x
	defer c.chain(len(x.Items), x)()
	keys := make([]ast.Expr, 0, len(x.Items)-2)
	for _, k := range x.Items[2:] {
		keys = append(keys, c.compile1(k, s, b).x)
	}
	for _, k := range keys {
		e = c.index(e, k, line)
	}
	return c.single(e, valueExpr), false
}

func specialTset(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) < 4 {
		failAt(x, "expected table, key, and value arguments")
	}
	switch x.Items[1].(type) {
	case *Bool, *Num:
		failAt(x, "cannot set field of literal value")
	}
	place := c.compile1(x.Items[1], s, b).x
	line := c.lineOf(x)
	last := len(x.Items) - 1
	keys := make([]ast.Expr, 0, last-2)
	for _, k := range x.Items[2:last] {
		keys = append(keys, c.compile1(k, s, b).x)
	}
	value := c.compile1(x.Items[last], s, b).x
	for _, k := range keys {
		place = c.index(place, k, line)
	}
	b.emit(c.assign(c.one(place), c.one(value), line))
	return nil, false
}

func specialMethod(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) < 3 {
		failAt(x, "expected at least 2 arguments")
	}
	line := c.lineOf(x)
	obj := c.compile1(x.Items[1], s, b)
	args := c.compileArgs(x.Items[3:], s, b)
	if name, ok := x.Items[2].(*Str); ok && c.identifier(name.Val) {
		return c.single(c.method(obj.x, name.Val, line, args), callExpr), false
	}
	method := c.compile1(x.Items[2], s, b).x
	if _, ok := x.Items[1].(*Sym); ok {
		self := append([]ast.Expr{c.copyPath(obj.x, line)}, args...)
		return c.single(c.call(c.index(obj.x, method, line), line, self...), callExpr), false
	}
	// The receiver may have effects, so it goes into a local before it is used twice.
	name := c.gensym(s, "tgt", "")
	b.emit(c.localStmt([]string{name}, c.one(obj.x), line))
	self := append([]ast.Expr{c.ident(name, line)}, args...)
	return c.single(c.call(c.index(c.ident(name, line), method, line), line, self...), callExpr), false
}

// methodNeedsLocal is whether a method call emits a statement.
func (c *compilation) methodNeedsLocal(x *List) bool {
	if name, ok := at(x.Items, 2).(*Str); ok && c.identifier(name.Val) {
		return false
	}
	_, ok := at(x.Items, 1).(*Sym)
	return !ok
}
