package fennel

import (
	lua "github.com/yuin/gopher-lua"
)

// macro turns a call into the form to compile in its place. Built-in macros are native; a program's own are Lua values.
type macro struct {
	native func(m *expansion, x *List) Node
	value  lua.LValue
}

// expansion is one call of a macro at work.
type expansion struct {
	c  *compilation
	s  *Scope
	at Pos // where made nodes say they are: at the call
}

var coreMacros map[string]*macro

func init() { // in a function, because macros refer to the table by way of the compiler
	native := map[string]func(*expansion, *List) Node{
		"->": macroThreadFirst, "->>": macroThreadLast, "-?>": macroMaybeFirst, "-?>>": macroMaybeLast,
		"?.": macroMaybeDot, "doto": macroDoto, "when": macroWhen, "with-open": macroWithOpen,
		"collect": macroCollect, "icollect": macroIcollect, "fcollect": macroFcollect,
		"accumulate": macroAccumulate, "faccumulate": macroFaccumulate, "partial": macroPartial,
		"lambda": macroLambda, "λ": macroLambda, "pick-args": macroPickArgs, "macro": macroMacro,
		"macrodebug": macroMacrodebug, "import-macros": macroImportMacros, "assert-repl": macroAssertRepl,
		"case": macroCase, "match": macroMatch, "case-try": macroCaseTry, "match-try": macroMatchTry,
	}
	coreMacros = make(map[string]*macro, len(native))
	for name, f := range native {
		coreMacros[name] = &macro{native: f}
	}
}

// findMacro gives the macro that a call is of: by name, or inside a table of macros by a name with segments.
func (c *compilation) findMacro(x *List, s *Scope) *macro {
	if len(x.Items) == 0 {
		return nil
	}
	head, ok := x.Items[0].(*Sym)
	if !ok {
		return nil
	}
	if m := s.macro(head.Name); m != nil || head.multi == nil {
		return m
	}
	m := s.macro(head.multi.parts[0])
	if m == nil {
		return nil
	}
	v := m.value
	for _, p := range head.multi.parts[1:] {
		t, ok := v.(*lua.LTable)
		if !ok {
			v = nil
			break
		}
		v = c.k.vm().L.GetField(t, p)
	}
	if v == nil || !c.k.callable(v) {
		// The words of the release 1.6.1, and of the tree since: people search for either.
		failAt(head, "macro not found in imported macro module (macro not found, or not callable, in macro table)")
	}
	return &macro{value: v}
}

// macroexpand expands a form until its head is no macro any more, or once.
func (c *compilation) macroexpand(n Node, s *Scope, once bool) Node {
	for count := 0; ; count++ {
		x, ok := n.(*List)
		if !ok {
			return n
		}
		m := c.findMacro(x, s)
		if m == nil {
			return n
		}
		if count > maxExpansion {
			failAt(x, "macro expanded more than %d times in a row", maxExpansion)
		}
		outer := c.macroScope
		c.macroScope = s
		if m.native != nil {
			e := &expansion{c: c, s: s, at: x.Pos}
			if e.at.Line == 0 {
				e.at.Line = int32(c.line)
			}
			n = m.native(e, x)
		} else {
			n = c.runMacro(m.value, x, s)
		}
		c.macroScope = outer
		c.hookMacroexpand(x, n, s)
		if once || n == nil {
			return n
		}
	}
}

// Nodes that macros make. All stand at the call.

func (e *expansion) sym(name string) *Sym { return &Sym{Pos: e.at, Name: name} }

func (e *expansion) list(items ...Node) *List { return &List{Pos: e.at, Items: items} }

func (e *expansion) call(name string, args ...Node) *List {
	items := make([]Node, 0, len(args)+1)
	return &List{Pos: e.at, Items: append(append(items, e.sym(name)), args...)}
}

func (e *expansion) seq(items ...Node) *Seq { return &Seq{Pos: e.at, Items: items} }

func (e *expansion) str(s string) *Str { return &Str{Pos: e.at, Val: s} }

func (e *expansion) num(f float64) *Num { return &Num{Pos: e.at, Val: f} }

func (e *expansion) nil() *Sym { return e.sym("nil") }

// multi is a path into the globals, such as _G.type.
func (e *expansion) multi(name string) *Sym {
	s := newSym(name, e.at)
	s.trusted = true
	return s
}

// fresh is a symbol nobody else has.
func (e *expansion) fresh(base string) *Sym {
	return e.sym(e.c.gensym(e.s, base, ""))
}
