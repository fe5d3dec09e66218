package fennel

import (
	"sort"
	"strconv"
	"strings"

	"github.com/yuin/gopher-lua/ast"
)

// metaField is one entry of a function's metadata.
type metaField struct {
	key string
	val Node
}

// functionMetadata takes the docstring and the metadata table after the parameters at index; it gives the index of
// the last item that is not body. Neither counts when it is the whole body.
func functionMetadata(items []Node, params Node, index int) ([]metaField, int) {
	fields := []metaField{{"fnl/arglist", params}}
	set := func(key string, val Node) {
		for i := range fields {
			if fields[i].key == key {
				fields[i].val = val
				return
			}
		}
		fields = append(fields, metaField{key, val})
	}
	if doc, ok := at(items, index+1).(*Str); ok && index+2 < len(items) {
		set("fnl/docstring", doc)
		index++
	}
	if t, ok := at(items, index+1).(*Table); ok && index+2 < len(items) && hasKeys(t) {
		for i, k := range t.Keys {
			key, ok := k.(*Str)
			if !ok {
				failIn(k, t, "expected string keys in metadata table, got: %s", viewNode(k))
			}
			set(key.Val, t.Vals[i])
		}
		index++
	}
	return fields, index
}

func hasKeys(t *Table) bool { return len(t.Keys) > len(sequentialPart(t)) }

func at(items []Node, i int) Node {
	if i < len(items) {
		return items[i]
	}
	return nil
}

func specialFn(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	f := newScope(s)
	f.vararg = false
	var place expr
	name := ""
	index := 1
	if sym, ok := at(x.Items, 1).(*Sym); ok && sym.Name != "nil" {
		index = 2
		if sym.multi != nil {
			if sym.multi.method {
				failAt(sym, "unexpected multi symbol %s", sym.Name)
			}
			first := sym.multi.parts[0]
			if s.local(first) == nil && !c.globalAllowed(first) {
				failAt(sym, "expected local table %s", first)
			}
			place = c.reference(sym, s, false)
		} else {
			name = c.declare(sym, s, x, false, nil)
		}
	}
	params := at(x.Items, index)
	if !isTable(params) {
		failAt(x, "expected parameters table")
	}
	fields, last := functionMetadata(x.Items, params, index)
	p := &paramList{c: c, form: x, scope: f, list: sequential(params), at: params}
	p.compile()
	body := &p.body
	c.hookFn("pre-fn", x, f)
	for i := last + 1; i < len(x.Items); i++ {
		inner := want{nval: 0}
		if i == len(x.Items)-1 {
			inner = want{nval: anyValues, tail: true}
		}
		c.compile(x.Items[i], f, body, inner)
	}
	from, to := c.lineOf(x), c.endOf(x)
	fn := c.function(p.names, f.vararg && p.varargs, body.body(), from, to)
	out := place
	switch {
	case name != "":
		b.emit(c.localFunction(name, fn))
		out = expr{c.ident(name, from), nameExpr}
	case place.x != nil:
		b.emit(c.assign(c.one(place.x), c.one(fn), from))
		out = expr{c.copyPath(place.x, from), nameExpr}
	case c.opts.UseMetadata:
		name = c.gensym(s, "", "")
		b.emit(c.localFunction(name, fn))
		out = expr{c.ident(name, from), nameExpr}
	default:
		out = expr{fn, nameExpr}
	}
	if c.opts.UseMetadata {
		c.emitMetadata(out.x, fields, b, from)
	}
	c.hookFn("fn", x, f)
	return c.single(out.x, out.kind), false
}

// paramList compiles the parameters of a function.
type paramList struct {
	c       *compilation
	form    *List
	scope   *Scope
	list    []Node
	at      Node
	names   []string
	varargs bool
	body    block
}

func (p *paramList) compile() {
	for i, n := range p.list {
		if p.varargs {
			if _, ok := n.(*Varg); ok {
				failAt(p.form, "expected vararg as last parameter")
			}
			return // the name after & was taken with it
		}
		p.param(n, i)
	}
}

func (p *paramList) param(n Node, i int) {
	c := p.c
	switch x := n.(type) {
	case *Varg:
		if i != len(p.list)-1 {
			failAt(p.form, "expected vararg as last parameter")
		}
		p.varargs, p.scope.vararg = true, true
		return
	case *Sym:
		if x.Name == "&" {
			p.rest(i)
			return
		}
		if x.Name != "nil" && x.multi == nil {
			p.names = append(p.names, c.declare(x, p.scope, p.form, false, nil))
			return
		}
	case *Seq, *Table:
		raw := &Sym{Pos: *n.position(), Name: c.gensym(p.scope, "", "")}
		p.names = append(p.names, c.declare(raw, p.scope, p.form, false, nil))
		c.destructure(n, raw, p.form, p.scope, &p.body, binder{declare: true, noMulti: true, kind: "arg"})
		return
	}
	failIn(p.at, p.form, "expected symbol for function parameter: %s", nodeText(n))
}

// rest binds what follows & to a table of the remaining arguments.
func (p *paramList) rest(i int) {
	if i != len(p.list)-2 {
		failIn(placeOf(at(p.list, i+1)), p.at, "expected rest argument before last parameter")
	}
	p.varargs, p.scope.vararg = true, true
	where := *p.list[i].position()
	all := &Seq{Pos: where, Items: []Node{&Varg{Pos: where}}}
	p.c.destructure(p.list[i+1], all, p.form, p.scope, &p.body, binder{declare: true, noMulti: true, kind: "arg"})
}

// emitMetadata records a function's parameters, docstring and whatever else its metadata says.
func (c *compilation) emitMetadata(fn ast.Expr, fields []metaField, b *block, line int) {
	sort.Slice(fields, func(i, j int) bool { return fields[i].key < fields[j].key })
	args := []ast.Expr{c.copyPath(fn, line)}
	for _, f := range fields {
		args = append(args, c.str(f.key, line))
		if f.key == "fnl/arglist" {
			args = append(args, c.arglist(f.val, line))
			continue
		}
		if !literalOnly(f.val) {
			failIn(f.val, nil, "expected literal value in metadata table, got: %s %s", strconv.Quote(f.key), viewNode(f.val))
		}
		args = append(args, c.compile1(f.val, newScope(c.root), &block{}).x)
	}
	if c.opts.MetadataName != "" {
		obj := c.rawExpr(c.opts.MetadataName, nil)
		b.emit(c.callStmt(c.method(obj, "setall", line, args), line))
		return
	}
	module := c.opts.module
	if module == "" {
		module = "fennel"
	}
	obj := c.field(c.call(c.ident("require", line), line, c.str(module, line)), "metadata", line)
	set := c.callStmt(c.method(obj, "setall", line, args), line)
	wrapped := c.function(nil, false, []ast.Stmt{set}, line, line)
	b.emit(c.callStmt(c.call(c.ident("pcall", line), line, wrapped), line))
}

func (c *compilation) arglist(params Node, line int) ast.Expr {
	t := &ast.TableExpr{}
	t.SetLine(line)
	for _, p := range sequential(params) {
		t.Fields = append(t.Fields, &ast.Field{Value: c.str(viewNode(p), line)})
	}
	return t
}

// literalOnly holds for values with no calls in them.
func literalOnly(n Node) bool {
	switch x := n.(type) {
	case *List:
		return false
	case *Seq:
		for _, i := range x.Items {
			if !literalOnly(i) {
				return false
			}
		}
	case *Table:
		for i := range x.Keys {
			if !literalOnly(x.Keys[i]) || !literalOnly(x.Vals[i]) {
				return false
			}
		}
	}
	return true
}

var hashArgs = func() (names [9]string) {
	for i := range names {
		names[i] = "$" + strconv.Itoa(i+1)
	}
	return names
}()

func specialHashfn(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if len(x.Items) != 2 {
		failAt(x, "expected one argument")
	}
	f := newScope(s)
	f.vararg, f.hashfn = false, true
	f.hashRoot = x
	items := []Node{x.Items[1]}
	args, vararg := scanHash(items)
	for i := range args {
		c.declareHash(f, i)
	}
	f.vararg = vararg
	chunk := &block{}
	c.compile(items[0], f, chunk, want{nval: anyValues, tail: true})
	used := 0
	var params []string
	for i, name := range hashArgs {
		b := f.names.find(name)
		if b == nil {
			break
		}
		params = append(params, b.lua)
		if b.meta.used {
			used = i + 1
		}
	}
	if f.vararg && used > 0 {
		failAt(x, "$ and $... in hashfn are mutually exclusive")
	}
	from, to := c.lineOf(x), c.endOf(x)
	fn := c.function(params[:used], f.vararg, chunk.body(), from, to)
	return c.single(fn, nameExpr), false
}

// declareHash makes the argument $i+1 of a hash function, and those before it.
func (c *compilation) declareHash(f *Scope, i int) {
	for j := 0; j <= i; j++ {
		if f.names.find(hashArgs[j]) == nil {
			c.declare(&Sym{Pos: f.hashRoot.Pos, Name: hashArgs[j]}, f, f.hashRoot, false, nil)
		}
	}
}

// hashArg is the number of the argument that a name like $ or $3 stands for, from 0.
func hashArg(name string) (int, bool) {
	switch {
	case name == "$":
		return 0, true
	case len(name) == 2 && name[0] == '$' && name[1] >= '1' && name[1] <= '9':
		return int(name[1] - '1'), true
	}
	return 0, false
}

// scanHash replaces $... by ... in the body of a hash function, outside of hash functions inside it, and says how many
// arguments it mentions and whether it takes any number.
func scanHash(items []Node) (args int, vararg bool) {
	see := func(list []Node) {
		n, v := scanHash(list)
		args, vararg = max(args, n), vararg || v
	}
	for i, n := range items {
		switch x := n.(type) {
		case *Sym:
			if x.Name == "$..." {
				items[i] = &Varg{Pos: x.Pos}
				vararg = true
				continue
			}
			first := x.Name
			if x.multi != nil {
				first = x.multi.parts[0]
			}
			if k, ok := hashArg(first); ok {
				args = max(args, k+1)
			}
		case *List:
			if len(x.Items) > 0 && isSym(x.Items[0], "hashfn") {
				continue
			}
			see(x.Items)
		case *Seq:
			see(x.Items)
		case *Table:
			see(x.Keys)
			see(x.Vals)
		}
	}
	return args, vararg
}

// escapeComment keeps text from ending the comment that holds it.
func escapeComment(s string) string { return strings.ReplaceAll(s, "]]", `]\]`) }

func luaSyntax(err error) string {
	return strings.TrimSpace(strings.ReplaceAll(err.Error(), "\n", " "))
}
