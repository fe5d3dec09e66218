package fennel

import (
	"strings"
)

// alternatives compiles (where (or …)). Names bound by every alternative reach the body.
func (m *matching) alternatives(vals []Node, alt *List, guards []Node, pins map[string]Node, mode patternMode) outcome {
	e := m.e
	patterns := alt.Items[1:]
	shared := m.sharedNames(patterns)
	mode.top = false
	if len(shared) == 0 {
		cond := e.call("or")
		for _, p := range patterns {
			cond.Items = append(cond.Items, m.pattern(vals, p, pins, mode).cond)
		}
		if len(guards) > 0 {
			return outcome{cond: e.call("and", append([]Node{cond}, guards...)...)}
		}
		return outcome{cond: cond}
	}
	matched := e.sym(e.c.gensym(e.s, "matched?", ""))
	names := e.list()
	held := e.list(matched)
	heldValues := e.call("values")
	for _, s := range shared {
		names.Items = append(names.Items, s)
		h := e.sym(e.c.gensym(e.s, s.Name, ""))
		held.Items = append(held.Items, h)
		heldValues.Items = append(heldValues.Items, h)
	}
	first := e.call("if")
	for _, p := range patterns {
		o := m.guarded(vals, p, guards, map[string]Node{}, mode)
		got := e.call("values", append([]Node{&Bool{Pos: e.at, Val: true}}, names.Items...)...)
		first.Items = append(first.Items, o.cond, e.call("let", e.seq(o.bind...), got))
	}
	return outcome{cond: matched, bind: []Node{names, heldValues}, before: []Node{held, first}}
}

// sharedNames are the symbols that every pattern binds, in the order of the first.
func (m *matching) sharedNames(patterns []Node) []*Sym {
	var shared []*Sym
	for i, p := range patterns {
		here := boundNames(p, nil)
		if i == 0 {
			shared = here
			continue
		}
		var both []*Sym
		for _, s := range shared {
			if hasName(here, s.Name) {
				both = append(both, s)
			}
		}
		shared = both
	}
	var out []*Sym
	for _, s := range shared {
		if !(m.infer && m.inScope(s.Name)) {
			out = append(out, s)
		}
	}
	return out
}

func hasName(list []*Sym, name string) bool {
	for _, s := range list {
		if s.Name == name {
			return true
		}
	}
	return false
}

// boundNames are the symbols that a pattern could bind.
func boundNames(n Node, out []*Sym) []*Sym {
	switch p := n.(type) {
	case *Sym:
		if p.Name != "or" && p.Name != "nil" && !strings.HasPrefix(p.Name, "&") && !hasName(out, p.Name) {
			out = append(out, p)
		}
	case *List:
		switch {
		case isSym(at(p.Items, 0), "where"), isSym(at(p.Items, 0), "="):
			return boundNames(at(p.Items, 1), out)
		case isSym(at(p.Items, 1), "?"):
			return boundNames(p.Items[0], out)
		}
		for _, i := range p.Items {
			out = boundNames(i, out)
		}
	case *Seq:
		for _, i := range p.Items {
			out = boundNames(i, out)
		}
	case *Table:
		for i := range p.Keys {
			out = boundNames(p.Keys[i], out)
			out = boundNames(p.Vals[i], out)
		}
	}
	return out
}
