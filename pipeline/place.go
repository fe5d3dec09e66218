package pipeline

import (
	"bytes"
	"strings"
	"unicode/utf8"

	"quire/fennel"
	"quire/fennel/vm"
)

// part says which part of a registering call a fault is about.
type part struct {
	argument int    // from 1; 0 is the whole call
	field    string // a field of the table that is the argument
	key      bool   // the field's name, not its value
	element  string // a string in a list: of that field or argument, or anywhere in the call
}

// places finds columns. Lua knows the line of a call and no more; the rest is
// read from the source, and only when there is something to point at.
type places struct {
	text  func(file string) []byte
	calls map[string]map[int][]*fennel.List // by file and line
}

func newPlaces(text func(file string) []byte) *places {
	return &places{text, map[string]map[int][]*fennel.List{}}
}

// diagnostic is a fault with its place found.
func (p *places) diagnostic(at call, about part, message, advice string) Diagnostic {
	d := Diagnostic{File: at.file, Line: at.line, Message: message, Advice: advice}
	if at.line == 0 {
		return d
	}
	text := p.text(at.file)
	if span, ok := p.find(at, about); ok {
		d.Line, d.Col, d.EndCol = span.line, span.col, span.end
	} else {
		d.Col, d.EndCol = wholeLine(text, at.line)
	}
	d.Excerpt = fennel.Excerpt(text, d.Line, d.Col, d.EndCol)
	return d
}

// column is where in its line a call begins.
func (p *places) column(at call) int {
	if span, ok := p.find(at, part{}); ok && span.line == at.line {
		return span.col
	}
	col, _ := wholeLine(p.text(at.file), at.line)
	return col
}

// span is a stretch of one line; columns count characters from 0, end is the
// last one.
type span struct{ line, col, end int }

// find looks for the call in the source and for the part in the call. A part
// that is not written out there (a variable, a macro's work) is found as the
// smallest thing around it that is.
func (p *places) find(at call, about part) (span, bool) {
	form := p.form(at)
	if form == nil {
		return span{}, false
	}
	var node fennel.Node = form
	if about.argument > 0 && about.argument < len(form.Items) {
		node = form.Items[about.argument]
	}
	if about.field != "" {
		if n := fieldOf(node, about.field, about.key); n != nil {
			node = n
		}
	}
	if about.element != "" {
		if n := elementIn(node, about.element); n != nil {
			node = n
		}
	}
	return spanOf(node, p.text(at.file))
}

// form is the call as it is written.
func (p *places) form(at call) *fennel.List {
	byLine, ok := p.calls[at.file]
	if !ok {
		byLine = map[int][]*fennel.List{}
		if nodes, err := fennel.Read(p.text(at.file), at.file); err == nil {
			for _, n := range nodes {
				walk(n, func(n fennel.Node) {
					if list, ok := n.(*fennel.List); ok && len(list.Items) > 0 {
						byLine[int(list.Line)] = append(byLine[int(list.Line)], list)
					}
				})
			}
		}
		p.calls[at.file] = byLine
	}
	var best *fennel.List
	bestScore := 0
	for _, list := range byLine[at.line] {
		score := 0
		if head, ok := list.Items[0].(*fennel.Sym); ok {
			name := head.Name[strings.LastIndexAny(head.Name, ".:")+1:]
			if name == at.form {
				score += 2
			}
		}
		if len(list.Items) > 1 {
			if at.id != "" && names(list.Items[1], at.id) {
				score += 2
			}
		}
		if score > bestScore {
			best, bestScore = list, score
		}
	}
	return best
}

// names reports whether a literal is a job's name as nameOf reads it.
func names(n fennel.Node, name string) bool {
	switch n := n.(type) {
	case *fennel.Str:
		return n.Val == name
	case *fennel.Num:
		return vm.FormatNumber(n.Val) == name
	}
	return false
}

// walk visits a form and all that is in it.
func walk(n fennel.Node, visit func(fennel.Node)) {
	visit(n)
	switch n := n.(type) {
	case *fennel.List:
		for _, item := range n.Items {
			walk(item, visit)
		}
	case *fennel.Seq:
		for _, item := range n.Items {
			walk(item, visit)
		}
	case *fennel.Table:
		for i := range n.Keys {
			walk(n.Keys[i], visit)
			walk(n.Vals[i], visit)
		}
	}
}

// fieldOf is the value, or the key, of a field in a table that is written out.
func fieldOf(n fennel.Node, name string, key bool) fennel.Node {
	t, ok := n.(*fennel.Table)
	if !ok {
		return nil
	}
	for i, k := range t.Keys {
		if s, ok := k.(*fennel.Str); ok && s.Val == name {
			if key {
				return k
			}
			return t.Vals[i]
		}
	}
	return nil
}

// elementIn is a string in a list that is written out, n itself or below it.
// What functions hold is not looked at.
func elementIn(n fennel.Node, value string) fennel.Node {
	switch n := n.(type) {
	case *fennel.Seq:
		for _, item := range n.Items {
			if names(item, value) {
				return item
			}
		}
	case *fennel.Table:
		for _, v := range n.Vals {
			if found := elementIn(v, value); found != nil {
				return found
			}
		}
	case *fennel.List:
		for i, item := range n.Items {
			if _, isList := item.(*fennel.List); isList || i == 0 {
				continue
			}
			if found := elementIn(item, value); found != nil {
				return found
			}
		}
	}
	return nil
}

// spanOf is where a node stands, or the part of it in its first line.
func spanOf(n fennel.Node, text []byte) (span, bool) {
	var pos fennel.Pos
	switch n := n.(type) {
	case *fennel.List:
		pos = n.Pos
	case *fennel.Seq:
		pos = n.Pos
	case *fennel.Table:
		pos = n.Pos
	case *fennel.Sym:
		pos = n.Pos
	case *fennel.Str:
		pos = n.Pos
	case *fennel.Num:
		pos = n.Pos
	case *fennel.Bool:
		pos = n.Pos
	}
	if pos.Line == 0 {
		return span{}, false
	}
	s := span{int(pos.Line), int(pos.Col), int(pos.EndCol)}
	if pos.EndLine != pos.Line {
		_, s.end = wholeLine(text, s.line)
	}
	return s, true
}

// wholeLine is a line without the blanks around it.
func wholeLine(text []byte, line int) (col, end int) {
	for ; line > 1; line-- {
		i := bytes.IndexByte(text, '\n')
		if i < 0 {
			return 0, 0
		}
		text = text[i+1:]
	}
	text, _, _ = bytes.Cut(text, []byte("\n"))
	trimmed := bytes.TrimLeft(text, " \t")
	col = utf8.RuneCount(text[:len(text)-len(trimmed)])
	end = col + utf8.RuneCount(bytes.TrimRight(trimmed, " \t\r")) - 1
	return col, max(col, end)
}

// endOfForm is the last column of the form that begins at a place, col itself
// if none is found there.
func endOfForm(text []byte, line, col int) int {
	nodes, err := fennel.Read(text, "")
	if err != nil {
		return col
	}
	end := col
	for _, n := range nodes {
		walk(n, func(n fennel.Node) {
			if s, ok := spanOf(n, text); ok && s.line == line && s.col == col {
				end = s.end
			}
		})
	}
	return end
}
