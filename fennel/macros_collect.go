package fennel

// takeInto removes the &into clause from the bindings of a comprehension.
func (e *expansion) takeInto(bindings *Seq, x *List) (rest *Seq, into Node) {
	items := append([]Node(nil), bindings.Items...)
	for i := len(items) - 1; i >= 1; i-- {
		s, isStr := items[i].(*Str)
		if !isSym(items[i], "&into") && !(isStr && s.Val == "into") {
			continue
		}
		if into != nil {
			failAt(x, "expected only one &into clause")
		}
		into = at(items, i+1)
		switch into.(type) {
		case *Sym, *Seq, *Table, *List:
		default:
			failAt(x, "expected table, function call, or symbol in &into clause")
		}
		items = append(items[:i], items[min(i+2, len(items)):]...)
	}
	return &Seq{Pos: bindings.Pos, Items: items}, into
}

// iterator checks the binding table of a comprehension.
func iterator(x *List, least int, msg string) *Seq {
	q, ok := at(x.Items, 1).(*Seq)
	if !ok || len(q.Items) < least {
		failAt(x, "%s", msg)
	}
	return q
}

func macroCollect(e *expansion, x *List) Node {
	bindings := iterator(x, 2, "expected iterator binding table")
	if len(x.Items) < 3 {
		failAt(x, "expected key and value expression")
	}
	if len(x.Items) > 4 {
		failAt(x, "expected 1 or 2 body expressions; wrap multiple expressions with do")
	}
	pair := x.Items[2]
	if len(x.Items) == 4 {
		pair = e.call("values", x.Items[2], x.Items[3])
	} else if _, ok := pair.(*List); !ok {
		failAt(x, "need key and value")
	}
	rest, into := e.takeInto(bindings, x)
	if into == nil {
		into = e.seq()
	}
	tbl, k, v := e.fresh("tbl"), e.fresh("k"), e.fresh("v")
	store := e.call("if", e.call("and", e.call("not=", k, e.nil()), e.call("not=", v, e.nil())), e.call("tset", tbl, k, v))
	return e.call("let", e.seq(tbl, into),
		e.call("each", rest, e.call("let", e.seq(e.list(k, v), pair), store)), tbl)
}

func (e *expansion) collectSequence(how string, bindings *Seq, x *List) Node {
	if len(x.Items) < 3 {
		failAt(x, "expected table value expression")
	}
	if len(x.Items) > 3 {
		failAt(x, "expected exactly one body expression. Wrap multiple expressions in do")
	}
	rest, into := e.takeInto(bindings, x)
	tbl, val := e.fresh("tbl"), e.fresh("val")
	if into != nil {
		add := e.list(e.multi("table.insert"), tbl, val)
		return e.call("let", e.seq(tbl, into), e.call(how, rest, e.call("let", e.seq(val, x.Items[2]), add)), tbl)
	}
	// A counter is faster than table.insert, and does not ask for the length of the table.
	i := e.fresh("i")
	add := e.call("when", e.call("not=", e.nil(), val),
		e.call("set", i, e.call("+", i, e.num(1))), e.call("tset", tbl, i, val))
	return e.call("let", e.seq(tbl, e.seq()), e.call("var", i, e.num(0)),
		e.call(how, rest, e.call("let", e.seq(val, x.Items[2]), add)), tbl)
}

func macroIcollect(e *expansion, x *List) Node {
	return e.collectSequence("each", iterator(x, 2, "expected iterator binding table"), x)
}

func macroFcollect(e *expansion, x *List) Node {
	return e.collectSequence("for", iterator(x, 3, "expected range binding table"), x)
}

func (e *expansion) accumulate(how string, x *List) Node {
	q := iterator(x, 4, "expected initial value and iterator binding table")
	if len(x.Items) < 3 {
		failAt(x, "expected body expression")
	}
	if len(x.Items) > 3 {
		failAt(x, "expected exactly one body expression. Wrap multiple expressions in do")
	}
	acc := q.Items[0]
	result := acc
	if l, ok := acc.(*List); ok {
		result = e.call("values", l.Items...)
	}
	iter := &Seq{Pos: e.at, Items: append([]Node(nil), q.Items[2:]...)}
	return e.call("do", e.call("var", acc, q.Items[1]),
		e.call(how, iter, e.call("set", acc, x.Items[2])), result)
}

func macroAccumulate(e *expansion, x *List) Node { return e.accumulate("each", x) }

func macroFaccumulate(e *expansion, x *List) Node { return e.accumulate("for", x) }
