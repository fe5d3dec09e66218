package fennel

import (
	"fmt"
	"strconv"

	lua "github.com/yuin/gopher-lua"
)

func macroWhen(e *expansion, x *List) Node {
	if len(x.Items) < 3 {
		failAt(x, "expected body")
	}
	return e.call("if", x.Items[1], e.call("do", x.Items[2:]...))
}

// withOpen runs the body under xpcall and closes every binding before the values, or the error, go on.
func macroWithOpen(e *expansion, x *List) Node {
	bindings, ok := at(x.Items, 1).(*Seq)
	if !ok {
		failAt(x, "expected binding sequence")
	}
	varg := &Varg{Pos: e.at}
	okSym, closeSym := e.fresh("ok"), e.fresh("close-handlers")
	closer := e.call("fn", closeSym, e.seq(okSym, varg))
	for i := len(bindings.Items) - 2; i >= 0; i -= 2 {
		if _, isName := bindings.Items[i].(*Sym); !isName {
			failAt(x, "with-open only allows symbols in bindings")
		}
		closer.Items = append(closer.Items, e.call(":", bindings.Items[i], e.str("close")))
	}
	closer.Items = append(closer.Items, e.call("if", okSym, varg, e.list(e.multi("_G.error"), varg, e.num(0))))
	module := e.c.moduleName()
	loaded := e.call("?.", e.multi("_G"), e.str("package"), e.str("loaded"), e.str(module))
	none := &Table{Pos: e.at, Keys: []Node{e.str("traceback")}, Vals: []Node{e.call("hashfn", e.str(""))}}
	traceback := e.call(".", e.call("or", loaded, e.multi("_G.debug"), none), e.str("traceback"))
	var run Node
	body := x.Items[2:]
	if e.s.vararg {
		args, n, unpack := e.fresh("args"), e.fresh("n"), e.fresh("unpack")
		fn := e.call("fn", append([]Node{e.seq(varg)}, body...)...)
		inner := e.list(fn, e.list(unpack, args, e.num(1), n))
		run = e.call("let", e.seq(args, e.seq(varg), n, e.list(e.multi("_G.select"), e.str("#"), varg),
			unpack, e.call("or", e.multi("_G.unpack"), e.multi("_G.table.unpack"))),
			e.list(e.multi("_G.xpcall"), e.call("fn", e.seq(), inner), traceback))
	} else {
		fn := e.call("fn", append([]Node{e.seq()}, body...)...)
		run = e.list(e.multi("_G.xpcall"), fn, traceback)
	}
	return e.call("let", bindings, closer, e.list(closeSym, run))
}

// lambda is fn with a check that every parameter has a value, save those whose name begins with ? or _.
func macroLambda(e *expansion, x *List) Node {
	items := append([]Node(nil), x.Items[1:]...)
	pos := 0
	if _, ok := at(items, 0).(*Sym); ok {
		pos = 1
	}
	params := at(items, pos)
	if !isTable(params) {
		failAt(x, "expected arg list")
	}
	_, last := functionMetadata(append([]Node{e.sym("lambda")}, items...), params, pos+1)
	// last counts from the head of the form, so in items the body starts there.
	var checks []Node
	e.checks(params, &checks)
	body := items[min(last, len(items)):]
	if len(body) == 0 {
		body = []Node{e.nil()}
	}
	out := e.call("fn", items[:min(last, len(items))]...)
	// The reference puts every check before the one found earlier.
	for i := len(checks) - 1; i >= 0; i-- {
		out.Items = append(out.Items, checks[i])
	}
	out.Items = append(out.Items, body...)
	return out
}

func (e *expansion) checks(n Node, out *[]Node) {
	switch x := n.(type) {
	case *Seq:
		for _, i := range x.Items {
			e.checks(i, out)
		}
	case *Table:
		for _, v := range x.Vals {
			e.checks(v, out)
		}
	case *Sym:
		switch {
		case x.Name == "" || x.Name[0] == '_' || x.Name[0] == '?', x.Name == "&", x.Name == "&as", x.Name == "nil":
			return
		}
		file, line := x.filename(), "?"
		if file == "" {
			file = "unknown"
		}
		if x.Line > 0 {
			line = strconv.Itoa(int(x.Line))
		}
		msg := fmt.Sprintf("Missing argument %s on %s:%s", x.Name, file, line)
		raise := e.list(e.multi("_G.error"), e.str(msg), e.num(2))
		*out = append(*out, e.call("when", e.call("=", e.nil(), x), raise))
	}
}

func macroMacro(e *expansion, x *List) Node {
	name, ok := at(x.Items, 1).(*Sym)
	if !ok {
		failAt(x, "expected symbol for macro name")
	}
	fn := e.call("fn", x.Items[2:]...)
	return e.call("macros", &Table{Pos: e.at, Keys: []Node{&Str{Pos: name.Pos, Val: name.Name}}, Vals: []Node{fn}})
}

func macroMacrodebug(e *expansion, x *List) Node {
	handle := "print"
	if r := at(x.Items, 2); r != nil && !isNil(r) {
		handle = "do"
	}
	form := e.c.macroexpand(at(x.Items, 1), e.s, false)
	k := e.c.k.vm()
	opts := k.L.NewTable()
	opts.RawSetString("detect-cycles?", lua.LFalse)
	return e.call(handle, e.str(View(k.L, k.types.toLua(k.L, form), opts)))
}

func macroAssertRepl(e *expansion, x *List) Node {
	unpack, pack, vals := e.fresh("unpack"), e.fresh("pack"), e.fresh("vals")
	cond, message := e.fresh("condition"), e.fresh("message")
	opts, fennel, locals := e.fresh("opts"), e.fresh("fennel"), e.fresh("locals")
	k, v := e.fresh("k"), e.fresh("v")
	all := &Table{Pos: e.at}
	for s := e.s; s != nil; s = s.parent {
		for i := range s.names.list {
			if b := &s.names.list[i]; b.meta != nil && b.name != "" {
				if all.get(e.str(b.name)) == nil {
					all.set(e.str(b.name), e.sym(b.name))
				}
			}
		}
	}
	packer := e.call("hashfn", e.call("doto", e.seq(e.sym("$...")),
		e.call("tset", e.str("n"), e.list(e.multi("select"), e.str("#"), e.sym("$...")))))
	field := func(obj *Sym, name string) Node { return e.call(".", obj, e.str(name)) }
	setField := func(obj *Sym, name string, val Node) Node { return e.call("tset", obj, e.str(name), val) }
	return e.call("let", e.seq(
		unpack, e.call("or", e.multi("table.unpack"), e.multi("_G.unpack")),
		pack, e.call("or", e.multi("table.pack"), packer),
		vals, e.list(append([]Node{pack}, x.Items[1:]...)...),
		cond, e.call(".", vals, e.num(1)),
		message, e.call("or", e.call(".", vals, e.num(2)), e.str("assertion failed, entering repl."))),
		e.call("if", e.call("not", cond),
			e.call("let", e.seq(
				opts, &Table{Pos: e.at, Keys: []Node{e.str("assert-repl?")}, Vals: []Node{&Bool{Pos: e.at, Val: true}}},
				fennel, e.list(e.multi("require"), e.str(e.c.moduleName())),
				locals, all),
				setField(opts, "message", e.list(field(fennel, "traceback"), message)),
				e.call("each", e.seq(k, v, e.list(e.multi("pairs"), e.multi("_G"))),
					e.call("when", e.call("=", e.nil(), e.call(".", locals, k)), e.call("tset", locals, k, v))),
				setField(opts, "env", locals),
				e.list(e.multi("_G.assert"), e.list(field(fennel, "repl"), opts))),
			e.call("values", e.list(unpack, vals, e.num(1), field(vals, "n")))))
}
