package fennel

import (
	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

// binder says what a binding form does with the names it meets.
type binder struct {
	declare bool // make locals
	mutable bool // with var
	noMulti bool // refuse a.b
	noUndef bool // set: refuse names that are not bound
	global  bool // the global form
	force   bool // set-forcibly!
	kind    string
}

// source is where the values of a binding come from: a form not compiled yet, or expressions.
type source struct {
	form  Node
	exprs []expr
}

// destructuring is one binding form at work.
type destructuring struct {
	c       *compilation
	opts    binder
	from    Node
	form    *List
	s       *Scope
	b       *block
	pending deferred
}

// destructure binds the pattern to to the values of from.
func (c *compilation) destructure(to, from Node, form *List, s *Scope, b *block, opts binder) {
	d := &destructuring{c: c, opts: opts, from: from, form: form, s: s, b: b}
	d.bind(to, source{form: from}, form, true)
	c.hookDestructure(from, to, s, opts)
	c.applyDeferred(s, &d.pending, form)
}

func (d *destructuring) bind(left Node, right source, up Node, top bool) {
	switch x := left.(type) {
	case *Sym:
		if x.closed {
			d.bindClosed(x)
			return
		}
		if x.Name != "nil" {
			d.bindSym(x, right, top)
			return
		}
	case *Seq, *Table:
		d.bindTable(x, right, top)
		return
	case *List:
		if _, ok := callOf(x, "."); ok {
			d.bindValues([]Node{x}, x, right)
			return
		}
		if !top {
			failAt(x, "can't nest multi-value destructuring")
		}
		d.bindValues(x.Items, x, right)
		return
	}
	fallback := up
	at := Node(nil)
	if l, ok := up.(*List); ok && len(l.Items) > 1 {
		at = l.Items[1]
	} else if q, ok := up.(*Seq); ok && len(q.Items) > 1 {
		at = q.Items[1]
	}
	if at == nil {
		at = up
	}
	failIn(placeOf(at), fallback, "unable to bind %s %s", luaTypeName(left), nodeText(left))
}

// placeOf drops a scalar's place: the reference knows none, and reports the form around it instead.
func placeOf(n Node) Node {
	switch n.(type) {
	case *Str, *Num, *Bool:
		return nil
	}
	return n
}

// target is the Lua place for a symbol.
func (d *destructuring) target(x *Sym, at Node) ast.Expr {
	c := d.c
	if d.opts.noMulti && x.multi != nil {
		failAt(at, "unexpected multi symbol %s", x.Name)
	}
	if d.opts.declare {
		return c.ident(c.declare(x, d.s, x, d.opts.mutable, &d.pending), c.lineOf(x))
	}
	first := x.Name
	if x.multi != nil {
		first = x.multi.parts[0]
		if x.multi.method {
			failAt(x, "cannot set method sym")
		}
	}
	meta := d.s.local(first)
	if x.multi == nil && !d.opts.force {
		if d.opts.global && meta != nil {
			failAt(x, "global %s conflicts with local", x.Name)
		}
		if meta != nil && !meta.mutable {
			failAt(x, "expected var %s", x.Name)
		}
	}
	if meta == nil && d.opts.noUndef && !(d.s.hashfn && first == "$") && !c.globalAllowed(first) {
		failAt(x, "expected local %s", first)
	}
	if d.opts.global {
		if d.aliased(x.Name) {
			failAt(x, "global %s conflicts with local", x.Name)
		}
		d.s.names.add(binding{name: x.Name, lua: Mangle(x.Name)})
		if c.allowed != nil {
			c.allowed[x.Name] = true
		}
	}
	return c.reference(x, d.s, false).x
}

// aliased reports a local that is called luaName in the output.
func (d *destructuring) aliased(luaName string) bool {
	for s := d.s; s != nil; s = s.parent {
		for i := range s.names.list {
			if b := &s.names.list[i]; b.lua == luaName && b.meta != nil {
				return true
			}
		}
	}
	return false
}

func (d *destructuring) bindSym(x *Sym, right source, top bool) {
	place := d.target(x, d.form)
	d.c.checkBinding(x, d.s, x, false)
	if top {
		d.bindTop([]ast.Expr{place}, right.form, d.c.lineOf(x))
		return
	}
	d.assign([]ast.Expr{place}, right.exprs, d.c.lineOf(x))
}

func (d *destructuring) bindClosed(x *Sym) {
	place := d.c.ident(d.c.declare(x, d.s, x, false, &d.pending)+" <close>", d.c.lineOf(x))
	d.bindTop([]ast.Expr{place}, d.from, d.c.lineOf(x))
}

// assign emits the assignment of expressions to places.
func (d *destructuring) assign(places []ast.Expr, right []expr, line int) {
	vals := d.c.values(right)
	if d.opts.declare {
		d.b.emit(d.c.localStmt(names(places), vals, line))
		return
	}
	d.b.emit(d.c.assign(places, vals, line))
}

func names(places []ast.Expr) []string {
	out := make([]string, len(places))
	for i, p := range places {
		out[i] = p.(*ast.IdentExpr).Value
	}
	return out
}

// bindTop compiles a form straight into places. A declaration whose value came out as one assignment becomes
// `local x = …`; otherwise the locals are declared first and assigned inside.
func (d *destructuring) bindTop(places []ast.Expr, form Node, line int) {
	c := d.c
	if !d.opts.declare {
		c.compile(form, d.s, d.b, want{nval: anyValues, target: places})
		return
	}
	inner := &block{}
	c.compile(form, d.s, inner, want{nval: anyValues, target: places})
	ids := names(places)
	if n := len(inner.stmts); n > 0 {
		last, ok := inner.stmts[n-1].(*ast.AssignStmt)
		if ok && assignsTo(last, ids) && !mentions(inner.stmts[:n-1], ids) {
			d.b.stmts = append(d.b.stmts, inner.stmts[:n-1]...)
			d.b.emit(c.localStmt(ids, last.Rhs, last.Line()))
			return
		}
	}
	d.b.emit(c.localStmt(ids, nil, line))
	d.b.stmts = append(d.b.stmts, inner.stmts...)
}

func assignsTo(a *ast.AssignStmt, ids []string) bool {
	if len(a.Lhs) != len(ids) {
		return false
	}
	for i, l := range a.Lhs {
		id, ok := l.(*ast.IdentExpr)
		if !ok || id.Value != ids[i] {
			return false
		}
	}
	return true
}

// mentions is whether statements before the last could assign to the names: only blocks and branches can.
func mentions(stmts []ast.Stmt, ids []string) bool {
	for _, s := range stmts {
		switch st := s.(type) {
		case *ast.LocalAssignStmt, *ast.FuncCallStmt, *luacode.LocalFunction, *luacode.Comment:
		case *ast.DoBlockStmt:
			if !isDiscard(st) {
				return true
			}
		case *ast.AssignStmt:
			if assignsTo(st, ids) {
				return true
			}
		default:
			return true
		}
	}
	return false
}

// dynamicPlace is the place (. table key …) names.
func (d *destructuring) dynamicPlace(x *List) ast.Expr {
	c := d.c
	if len(x.Items) < 2 {
		failAt(d.form, "dynamic set needs symbol target")
	}
	obj, ok := x.Items[1].(*Sym)
	if !ok {
		failAt(d.form, "dynamic set needs symbol target")
	}
	if len(x.Items) < 3 {
		failAt(d.form, "dynamic set needs at least one key")
	}
	var keys []ast.Expr
	for _, k := range x.Items[2:] {
		keys = append(keys, c.compile1(k, d.s, d.b).x)
	}
	place := c.reference(obj, d.s, true).x
	for _, k := range keys {
		place = c.index(place, k, c.lineOf(x))
	}
	return place
}

func (d *destructuring) bindValues(left []Node, at Node, right source) {
	c := d.c
	line := c.lineOf(at)
	places := make([]ast.Expr, 0, len(left))
	type nested struct {
		pattern Node
		name    string
	}
	var tables []nested
	for _, n := range left {
		if x, ok := n.(*Sym); ok {
			if x.Name == "nil" {
				failAt(at, "unable to bind %s %s", luaTypeName(x), x.Name)
			}
			places = append(places, d.target(x, at))
			continue
		}
		if l, ok := callOf(n, "."); ok {
			places = append(places, d.dynamicPlace(l))
			continue
		}
		name := c.gensym(d.s, "_"+d.opts.kind, "")
		places = append(places, c.ident(name, line))
		tables = append(tables, nested{n, name})
	}
	if len(left) == 0 {
		failAt(at, "must provide at least one value")
	}
	if len(tables) > 0 && !d.opts.declare {
		var temps []string
		for _, t := range tables {
			temps = append(temps, t.name)
		}
		d.b.emit(c.localStmt(temps, nil, line))
	}
	switch {
	case right.exprs != nil:
		d.assign(places, right.exprs, line)
	default:
		d.bindTop(places, right.form, line)
	}
	for _, t := range tables {
		d.bind(t.pattern, source{exprs: c.single(c.ident(t.name, line), nameExpr)}, at, false)
	}
}
