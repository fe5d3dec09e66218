package fennel

func specialLet(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	var bindings []Node
	if len(x.Items) > 1 {
		switch t := x.Items[1].(type) {
		case *Seq:
			bindings = t.Items
		case *Table:
			if len(sequentialPart(t)) == len(t.Keys) {
				bindings = sequentialPart(t)
				break
			}
			failIn(t, x, "expected binding sequence")
		default:
			failIn(placeOf(t), x, "expected binding sequence")
		}
	} else {
		failIn(x.Items[0], x, "expected binding sequence")
	}
	if len(bindings)%2 != 0 {
		failIn(x.Items[1], x, "expected even number of name/value bindings")
	}
	if len(x.Items) < 3 {
		failIn(x.Items[0], x, "expected body expression")
	}
	var pre []string
	for i := 0; i < w.nval; i++ {
		pre = append(pre, c.gensym(s, "", ""))
	}
	sub := newScope(s)
	chunk := &block{}
	for i := 0; i < len(bindings); i += 2 {
		c.destructure(bindings[i], bindings[i+1], x, sub, chunk, binder{declare: true, noMulti: true, kind: "let"})
	}
	return c.doBody(x, 2, s, sub, b, chunk, w, pre)
}

func nameAndValue(x *List) {
	if len(x.Items) != 3 {
		failAt(x, "expected name and value")
	}
}

func specialLocal(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if w.nval != 0 && !w.tail {
		failAt(x, "can't introduce local here")
	}
	nameAndValue(x)
	c.destructure(x.Items[1], x.Items[2], x, s, b, binder{declare: true, noMulti: true, kind: "local"})
	return nil, false
}

func specialVar(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	if w.nval != 0 && !w.tail {
		failAt(x, "can't introduce var here")
	}
	nameAndValue(x)
	c.destructure(x.Items[1], x.Items[2], x, s, b, binder{declare: true, mutable: true, noMulti: true, kind: "var"})
	return nil, false
}

func specialSet(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	nameAndValue(x)
	c.destructure(x.Items[1], x.Items[2], x, s, b, binder{noUndef: true, kind: "set"})
	return nil, false
}

func specialSetForcibly(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	nameAndValue(x)
	c.destructure(x.Items[1], x.Items[2], x, s, b, binder{force: true, kind: "set"})
	return nil, false
}

func specialGlobal(c *compilation, x *List, s *Scope, b *block, w want) ([]expr, bool) {
	nameAndValue(x)
	c.destructure(x.Items[1], x.Items[2], x, s, b, binder{global: true, noMulti: true, kind: "global"})
	return nil, false
}
