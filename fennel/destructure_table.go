package fennel

import (
	"github.com/yuin/gopher-lua/ast"

	"quire/fennel/luacode"
)

// simplePlaces holds for a sequence of plain names, which needs no table: [a b] from [x y] is a, b = x, y.
func simplePlaces(n Node) bool {
	q, ok := n.(*Seq)
	if !ok || len(q.Items) == 0 {
		return false
	}
	for _, i := range q.Items {
		if x, ok := i.(*Sym); ok && x.Name != "nil" && !isAmp(x) {
			continue
		}
		if _, ok := callOf(i, "."); ok {
			continue
		}
		return false
	}
	return true
}

func (d *destructuring) bindTable(left Node, right source, top bool) {
	c := d.c
	if top {
		switch right.form.(type) {
		case nil, *Str, *Num, *Bool:
			failAt(left, "could not destructure literal")
		}
		if isNil(right.form) {
			failAt(left, "could not destructure literal")
		}
		if q, ok := right.form.(*Seq); ok && simplePlaces(left) {
			values := &List{Pos: q.Pos, Items: append([]Node{&Sym{Pos: q.Pos, Name: "values"}}, q.Items...)}
			d.bindValues(left.(*Seq).Items, left, source{form: values})
			return
		}
	}
	line := c.lineOf(left)
	var from func() ast.Expr
	if sym, ok := right.form.(*Sym); ok && top {
		list := c.compile(sym, d.s, d.b, one)
		base := list[0].x
		from = func() ast.Expr { return c.copyPath(base, line) }
	} else {
		list := right.exprs
		if top {
			list = c.compile(d.from, d.s, d.b, want{nval: anyValues})
		}
		vals := c.values(list)
		if len(vals) == 0 {
			vals = c.one(c.nilAt(line))
		}
		name := c.gensym(d.s, "_"+d.opts.kind, "")
		d.b.emit(c.localStmt([]string{name}, vals, line))
		from = func() ast.Expr { return c.ident(name, line) }
	}
	switch x := left.(type) {
	case *Seq:
		d.bindSequence(x, from)
	case *Table:
		d.bindKeys(x, from)
	}
}

// copyPath makes a second expression for a variable or a path of fields.
func (c *compilation) copyPath(e ast.Expr, line int) ast.Expr {
	switch x := e.(type) {
	case *ast.IdentExpr:
		return c.ident(x.Value, line)
	case *ast.AttrGetExpr:
		return c.index(c.copyPath(x.Object, line), c.copyPath(x.Key, line), line)
	case *ast.StringExpr:
		return c.str(x.Value, line)
	}
	return e
}

func (d *destructuring) bindSequence(x *Seq, from func() ast.Expr) {
	c := d.c
	items := x.Items
	for i, item := range items {
		if i > 0 && isAmp(items[i-1]) {
			continue
		}
		line := c.lineOf(item)
		switch {
		case isSym(item, "&"):
			if i+2 < len(items) && !isSym(items[i+2], "&as") || i+1 >= len(items) {
				failAt(x, "expected rest argument before last parameter")
			}
			rest := c.restOf(from(), i+1, line)
			d.bind(items[i+1], source{exprs: c.single(rest, valueExpr)}, x, false)
		case isSym(item, "&as"):
			if i+2 < len(items) || i+1 >= len(items) {
				failAt(x, "expected &as argument before last parameter")
			}
			d.bindWhole(items[i+1], from(), x)
		default:
			get := c.index(from(), c.numeral(luaNumber(float64(i+1)), line), line)
			d.bind(item, source{exprs: c.single(get, valueExpr)}, x, false)
		}
	}
}

func (d *destructuring) bindWhole(n Node, from ast.Expr, at Node) {
	x, ok := n.(*Sym)
	if !ok || x.Name == "nil" {
		failAt(at, "unable to bind %s %s", luaTypeName(n), nodeText(n))
	}
	d.bindSym(x, source{exprs: d.c.single(from, nameExpr)}, false)
}

func (d *destructuring) bindKeys(x *Table, from func() ast.Expr) {
	c := d.c
	var excluded []string
	for i, k := range x.Keys {
		v := x.Vals[i]
		line := c.lineOf(v)
		switch key := k.(type) {
		case *Sym:
			switch key.Name {
			case "&":
				rest := c.keysExcept(from(), excluded, line)
				d.bind(v, source{exprs: c.single(rest, valueExpr)}, x, false)
				continue
			case "&as":
				d.bindWhole(v, from(), x)
				continue
			}
			failIn(k, x, "expected key to be a literal")
		case *Str:
			excluded = append(excluded, key.Val)
			d.bind(v, source{exprs: c.single(c.field(from(), key.Val, line), valueExpr)}, x, false)
		case *Num:
			d.bind(v, source{exprs: c.single(c.index(from(), c.number(key.Val, line), line), valueExpr)}, x, false)
		case *Bool:
			d.bind(v, source{exprs: c.single(c.index(from(), c.boolean(key.Val, line), line), valueExpr)}, x, false)
		default:
			failIn(k, x, "expected key to be a literal")
		}
	}
}

// restOf takes the items of a table from index k on. The metamethod __fennelrest may answer in its place.
func (c *compilation) restOf(from ast.Expr, k, line int) ast.Expr {
	fn := luacode.Snippet(`function(t, k)
		return ((getmetatable(t) or {}).__fennelrest or function(t, k) return {(table.unpack or unpack)(t, k)} end)(t, k)
	end`, line)
	return c.call(fn, line, from, c.numeral(luaNumber(float64(k)), line))
}

// keysExcept copies a table without the keys that other names took.
func (c *compilation) keysExcept(from ast.Expr, keys []string, line int) ast.Expr {
	fn := luacode.Snippet(`function(t, e)
		local rest = {}
		for k, v in pairs(t) do if not e[k] then rest[k] = v end end
		return rest
	end`, line)
	except := &ast.TableExpr{}
	except.SetLine(line)
	for _, k := range keys {
		except.Fields = append(except.Fields, &ast.Field{Key: c.str(k, line), Value: c.boolean(true, line)})
	}
	return c.call(fn, line, from, except)
}
