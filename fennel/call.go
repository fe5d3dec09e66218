package fennel

import (
	"github.com/yuin/gopher-lua/ast"
)

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
