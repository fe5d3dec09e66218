package fennel

import (
	"strings"
)

// matching is one call of case or match at work.
type matching struct {
	e     *expansion
	x     *List
	infer bool // match: a name in scope is compared with, not bound
	table bool // the subject is a table literal, so that its type needs no test
}

// patternMode says what a pattern may be where it stands.
type patternMode struct {
	multival bool // several values, as a list
	where    bool // inside where
	top      bool
}

// outcome is what a pattern compiles to: a condition, names and values to bind for the body, and, for alternatives
// that bind names, a binding to make before the condition is looked at.
type outcome struct {
	cond   Node
	bind   []Node
	before []Node
}

func macroCase(e *expansion, x *List) Node { return e.match(x, false) }

func macroMatch(e *expansion, x *List) Node { return e.match(x, true) }

func (e *expansion) match(x *List, infer bool) Node {
	if len(x.Items) < 2 {
		failAt(x, "missing subject")
	}
	clauses := x.Items[2:]
	if len(clauses)%2 != 0 {
		failAt(x, "expected even number of pattern/body pairs")
	}
	if len(clauses) == 0 {
		failAt(x, "expected at least one pattern/body pair")
	}
	m := &matching{e: e, x: x, infer: infer}
	subject := x.Items[1]
	m.table = isTable(subject)
	val, clauses := m.unwrapLiteral(subject, clauses)
	count := 0
	for i := 0; i < len(clauses); i += 2 {
		count = max(count, valuesWanted(clauses[i]))
	}
	if count == 1 && isIdempotent(val) {
		return m.condition([]Node{val}, clauses)
	}
	names := e.list()
	for range count {
		names.Items = append(names.Items, e.sym(e.c.gensym(e.s, "case", "")))
	}
	return e.call("let", e.seq(names, val), m.condition(names.Items, clauses))
}

// unwrapLiteral matches a sequence literal against sequence patterns as several values, without making the table.
func (m *matching) unwrapLiteral(subject Node, clauses []Node) (Node, []Node) {
	q, ok := subject.(*Seq)
	if !ok {
		return subject, clauses
	}
	for i := 0; i < len(clauses); i += 2 {
		p, ok := clauses[i].(*Seq)
		if !ok || len(p.Items) == 0 {
			return subject, clauses
		}
		for _, n := range p.Items {
			if isAmp(n) {
				return subject, clauses
			}
		}
	}
	out := append([]Node(nil), clauses...)
	for i := 0; i < len(out); i += 2 {
		p := out[i].(*Seq)
		out[i] = &List{Pos: p.Pos, Items: p.Items}
	}
	vals := &List{Pos: q.Pos, Items: append([]Node{m.e.sym("values")}, q.Items...)}
	return vals, out
}

// valuesWanted is how many values a pattern looks at.
func valuesWanted(n Node) int {
	l, ok := n.(*List)
	if !ok {
		return 1
	}
	switch {
	case isSym(at(l.Items, 1), "?"):
		return valuesWanted(l.Items[0])
	case isSym(at(l.Items, 0), "where"):
		return valuesWanted(at(l.Items, 1))
	case isSym(at(l.Items, 0), "or"):
		most := 0
		for _, p := range l.Items {
			most = max(most, valuesWanted(p))
		}
		return most
	}
	return len(l.Items)
}

// condition makes the `if` over all clauses.
func (m *matching) condition(vals, clauses []Node) Node {
	e := m.e
	root := e.call("if")
	out := root
	for i := 0; i < len(clauses); i += 2 {
		o := m.pattern(vals, clauses[i], map[string]Node{}, patternMode{multival: true, top: true})
		if o.before != nil {
			// What must be bound first opens a new `if`; the clauses after it stand inside.
			tail := e.call("if")
			out.Items = append(out.Items, &Bool{Pos: e.at, Val: true}, e.call("let", e.seq(o.before...), tail))
			out = tail
		}
		out.Items = append(out.Items, o.cond, e.call("let", e.seq(o.bind...), clauses[i+1]))
	}
	return root
}

func (m *matching) inScope(name string) bool { return m.e.s.lookup(name) != nil }

// pattern compiles one pattern against values. pins are the names bound so far, which must be equal when they recur.
func (m *matching) pattern(vals []Node, n Node, pins map[string]Node, mode patternMode) outcome {
	e := m.e
	var val Node = e.nil()
	if len(vals) > 0 {
		val = vals[0]
	}
	switch p := n.(type) {
	case *Sym:
		return m.name(val, p, pins)
	case *List:
		return m.listPattern(vals, val, p, pins, mode)
	case *Seq, *Table:
		return m.tablePattern(val, p, pins, mode, m.table && mode.top)
	}
	return outcome{cond: e.call("=", val, n)}
}

func (m *matching) name(val Node, p *Sym, pins map[string]Node) outcome {
	e := m.e
	pinned := p.Name == "nil"
	if m.infer && p.Name != "_" {
		pinned = pinned || m.inScope(p.Name) || (p.multi != nil && m.inScope(p.multi.parts[0]))
	}
	if pinned {
		return outcome{cond: e.call("=", val, p)}
	}
	if before := pins[p.Name]; before != nil {
		return outcome{cond: e.call("=", before, val)}
	}
	wild := strings.HasPrefix(p.Name, "_")
	if !wild {
		pins[p.Name] = val
	}
	var cond Node = &Bool{Pos: e.at, Val: true}
	if !wild && !strings.HasPrefix(p.Name, "?") {
		cond = e.call("not=", e.nil(), val)
	}
	return outcome{cond: cond, bind: []Node{p, val}}
}

func (m *matching) listPattern(vals []Node, val Node, p *List, pins map[string]Node, mode patternMode) outcome {
	head, second := at(p.Items, 0), at(p.Items, 1)
	if _, isName := second.(*Sym); isName && isSym(head, "=") {
		return m.pin(val, p, mode)
	}
	switch {
	case isSym(head, "where"):
		if !mode.top {
			failAt(p, "can't nest (where) pattern")
		}
		mode.where = true
		var guards []Node
		if len(p.Items) > 2 {
			guards = p.Items[2:]
		}
		if alt, ok := callOf(second, "or"); ok {
			return m.alternatives(vals, alt, guards, pins, mode)
		}
		return m.guarded(vals, second, guards, pins, mode)
	case isSym(head, "or"):
		if !mode.top {
			failAt(p, "can't nest (or) pattern")
		}
		failAt(p, "(or) must be used in (where) patterns")
	case isSym(second, "?"):
		if !m.infer {
			failAt(p, "legacy guard clause not supported in case")
		}
		return m.guarded(vals, head, p.Items[2:], pins, mode)
	}
	if !mode.multival {
		failAt(p, "can't nest multi-value destructuring")
	}
	cond := m.e.call("and")
	var bind []Node
	mode.multival, mode.top = false, false
	for i, item := range p.Items {
		var v []Node
		if i < len(vals) {
			v = vals[i : i+1]
		}
		o := m.pattern(v, item, pins, mode)
		cond.Items = append(cond.Items, o.cond)
		bind = append(bind, o.bind...)
	}
	return outcome{cond: cond, bind: bind}
}

// pin compares with a name in scope: (= x).
func (m *matching) pin(val Node, p *List, mode patternMode) outcome {
	name := p.Items[1].(*Sym)
	if len(p.Items) != 2 {
		failAt(p, "(=) should take only one argument")
	}
	if m.infer {
		failAt(p, "(=) cannot be used inside of match")
	}
	if !mode.where {
		failAt(p, "(=) must be used in (where) patterns")
	}
	if name.Name == "nil" {
		failAt(name, "= has to bind to a symbol")
	}
	return outcome{cond: m.e.call("=", val, name)}
}

func (m *matching) guarded(vals []Node, p Node, guards []Node, pins map[string]Node, mode patternMode) outcome {
	mode.top = false
	o := m.pattern(vals, p, pins, mode)
	if len(guards) == 0 {
		return o
	}
	e := m.e
	o.cond = e.call("and", o.cond, e.call("let", e.seq(o.bind...), e.call("and", guards...)))
	return o
}

func (m *matching) tablePattern(val, n Node, pins map[string]Node, mode patternMode, known bool) outcome {
	e := m.e
	cond := e.call("and")
	if !known {
		cond.Items = append(cond.Items, e.call("=", e.list(e.multi("_G.type"), val), e.str("table")))
	}
	var bind []Node
	mode.multival, mode.top = false, false
	sub := func(key, p Node) {
		o := m.pattern([]Node{e.call(".", val, key)}, p, pins, mode)
		cond.Items = append(cond.Items, o.cond)
		bind = append(bind, o.bind...)
	}
	switch p := n.(type) {
	case *Seq:
		for i, item := range p.Items {
			switch {
			case i > 0 && (isSym(p.Items[i-1], "&") || isSym(p.Items[i-1], "&as")):
			case isSym(item, "&"):
				if i+2 < len(p.Items) || i+1 >= len(p.Items) {
					failAt(m.x, "expected & rest argument before last parameter")
				}
				rest := p.Items[i+1]
				tail := e.list(e.multi("select"), e.num(float64(i+1)),
					e.list(e.call("or", e.multi("table.unpack"), e.multi("_G.unpack")), val))
				if _, plain := rest.(*Sym); !plain {
					o := m.tablePattern(e.call("pick-values", e.num(1), tail), rest, pins, mode, false)
					cond.Items = append(cond.Items, o.cond)
				}
				bind = append(bind, rest, e.seq(tail))
			case isSym(item, "&as"):
				if i+2 < len(p.Items) || i+1 >= len(p.Items) {
					failAt(m.x, "expected &as argument before last parameter")
				}
				bind = append(bind, p.Items[i+1], val)
			default:
				sub(e.num(float64(i+1)), item)
			}
		}
	case *Table:
		for i, k := range p.Keys {
			if isSym(k, "&as") {
				bind = append(bind, p.Vals[i], val)
				continue
			}
			sub(k, p.Vals[i])
		}
	}
	return outcome{cond: cond, bind: bind}
}
