package fennel

import (
	lua "github.com/yuin/gopher-lua"
	"github.com/yuin/gopher-lua/ast"
)

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
