package fennel

func (r *reader) table(f *openForm) Node {
	items := f.items
	var kept *tableComments
	if r.comments {
		items, kept = extractComments(items)
	}
	if len(items)%2 != 0 {
		r.fail("expected even number of values in table literal", -1, false)
	}
	n := len(items) / 2
	t := &Table{Pos: f.Pos, comments: kept}
	if n == 0 {
		return t
	}
	cells := make([]Node, 2*n)
	t.Keys, t.Vals = cells[:0:n], cells[n:n]
	var seen map[any]int
	for i := 0; i < len(items); i += 2 {
		k, v := items[i], items[i+1]
		if s, ok := v.(*Sym); ok && isSym(k, ":") {
			k = &Str{Pos: *k.position(), Val: s.Name}
		}
		id, scalar := scalarKey(k)
		if scalar {
			if seen == nil {
				seen = make(map[any]int, n)
			}
			if at, dup := seen[id]; dup {
				t.Vals[at] = v
				continue
			}
			seen[id] = len(t.Keys)
		}
		t.Keys = append(t.Keys, k)
		t.Vals = append(t.Vals, v)
	}
	return t
}

// scalarKey gives a value that is equal for equal scalar keys.
func scalarKey(n Node) (any, bool) {
	switch x := n.(type) {
	case *Str:
		return x.Val, true
	case *Num:
		return x.Val, true
	case *Bool:
		return x.Val, true
	}
	return nil, false
}

func extractComments(items []Node) ([]Node, *tableComments) {
	c := &tableComments{}
	for len(items) > 0 {
		last, ok := items[len(items)-1].(*Comment)
		if !ok {
			break
		}
		c.last = append([]Node{last}, c.last...)
		items = items[:len(items)-1]
	}
	// A comment belongs to the key or the value that follows it.
	var rest []Node
	afterKey := false
	for i, n := range items {
		if _, ok := n.(*Comment); !ok {
			afterKey = !afterKey
			rest = append(rest, n)
			continue
		}
		to := nextNonComment(items, i)
		if afterKey {
			c.values = attach(c.values, to, n)
		} else {
			c.keys = attach(c.keys, to, n)
		}
	}
	return rest, c
}

func nextNonComment(items []Node, i int) Node {
	for ; i < len(items); i++ {
		if _, ok := items[i].(*Comment); ok {
			continue
		}
		if isSym(items[i], ":") && i+1 < len(items) {
			return &Str{Val: nodeText(items[i+1])}
		}
		return items[i]
	}
	return nil
}

func attach(list []attachedComment, to, c Node) []attachedComment {
	for i := range list {
		if list[i].to == to || sameScalar(list[i].to, to) {
			list[i].all = append(list[i].all, c)
			return list
		}
	}
	return append(list, attachedComment{to, []Node{c}})
}
