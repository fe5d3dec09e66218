package fennel

// insert copies a call with a value put in as first argument or last; any other form is a call without arguments.
func (e *expansion) insert(form, val Node, last bool) Node {
	l, ok := form.(*List)
	if !ok || len(l.Items) == 0 {
		return &List{Pos: orHere(form, e.at), Items: []Node{form, val}}
	}
	items := make([]Node, 0, len(l.Items)+1)
	if last {
		items = append(append(items, l.Items...), val)
	} else {
		items = append(append(append(items, l.Items[0]), val), l.Items[1:]...)
	}
	return &List{Pos: orHere(l, e.at), Items: items}
}

func orHere(n Node, here Pos) Pos {
	if n != nil && n.position().Line != 0 {
		return *n.position()
	}
	return here
}

func (e *expansion) thread(x *List, last bool) Node {
	if len(x.Items) < 2 {
		return nil
	}
	val := x.Items[1]
	if len(x.Items) > maxExpansion {
		failAt(x, "forms nested more than %d deep", maxExpansion)
	}
	for _, form := range x.Items[2:] {
		val = e.insert(form, val, last)
	}
	return val
}

func macroThreadFirst(e *expansion, x *List) Node { return e.thread(x, false) }

func macroThreadLast(e *expansion, x *List) Node { return e.thread(x, true) }

// maybeThread stops at nil. Only the first value is bound here: what follows is threaded by the next expansion.
func (e *expansion) maybeThread(x *List, last bool) Node {
	val := at(x.Items, 1)
	if len(x.Items) < 3 {
		return val
	}
	name := nodeText(x.Items[0])
	if !isIdempotent(val) {
		tmp := e.fresh("tmp")
		again := e.call(name, append([]Node{tmp}, x.Items[2:]...)...)
		return e.call("let", e.seq(tmp, val), again)
	}
	next := e.insert(x.Items[2], val, last)
	rest := e.call(name, append([]Node{next}, x.Items[3:]...)...)
	return e.call("if", e.call("not=", e.nil(), val), rest)
}

func macroMaybeFirst(e *expansion, x *List) Node { return e.maybeThread(x, false) }

func macroMaybeLast(e *expansion, x *List) Node { return e.maybeThread(x, true) }

func macroMaybeDot(e *expansion, x *List) Node {
	head := e.sym(e.c.gensym(e.s, "t", ""))
	body := e.call("do", e.call("var", head, at(x.Items, 1)))
	if len(x.Items) < 2 {
		body = e.call("do", e.call("var", head, e.nil()))
	}
	for i := 2; i < len(x.Items); i++ {
		look := e.call("set", head, e.call(".", head, x.Items[i]))
		body.Items = append(body.Items, e.call("if", e.call("not=", e.nil(), head), look))
	}
	body.Items = append(body.Items, head)
	return body
}

func macroDoto(e *expansion, x *List) Node {
	if len(x.Items) < 2 || x.Items[1] == nil {
		failAt(x, "missing subject")
	}
	val := x.Items[1]
	if !isIdempotent(val) {
		tmp := e.fresh("tmp")
		return e.call("let", e.seq(tmp, val), e.call("doto", append([]Node{tmp}, x.Items[2:]...)...))
	}
	form := e.call("do")
	for _, f := range x.Items[2:] {
		form.Items = append(form.Items, e.insert(f, val, false))
	}
	form.Items = append(form.Items, val)
	return form
}

func macroPartial(e *expansion, x *List) Node {
	if len(x.Items) < 2 {
		failAt(x, "expected a function to partially apply")
	}
	bindings := e.seq()
	body := e.list(x.Items[1])
	for _, a := range x.Items[2:] {
		if isIdempotent(a) {
			body.Items = append(body.Items, a)
			continue
		}
		name := e.sym(e.c.gensym(e.s, "partial", ""))
		bindings.Items = append(bindings.Items, name, a)
		body.Items = append(body.Items, name)
	}
	varg := &Varg{Pos: e.at}
	body.Items = append(body.Items, varg)
	fn := e.call("fn", e.seq(varg), body)
	if len(bindings.Items) == 0 {
		return fn
	}
	return e.call("let", bindings, fn)
}

func macroPickArgs(e *expansion, x *List) Node {
	n, ok := at(x.Items, 1).(*Num)
	if !ok || n.Val < 0 || n.Val > maxPicked {
		failAt(x, "expected a number of arguments")
	}
	e.c.warn(x, "pick-args is deprecated and will be removed in the future.")
	params := e.seq()
	for range int(n.Val) {
		params.Items = append(params.Items, e.sym(e.c.gensym(e.s, "pick", "")))
	}
	return e.call("fn", params, e.list(append([]Node{at(x.Items, 2)}, params.Items...)...))
}
