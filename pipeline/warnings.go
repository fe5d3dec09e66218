package pipeline

import (
	"fmt"
	"math"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
)

// Warnings are what is odd about a pipeline that is sound, in the order of the
// source: an input that is ignored, a variable that a job sets in vain, a number
// that Lua 5.4 would print in another way. It reads the program once more, and
// is meant for the person who writes the pipeline, not for a run.
func (p *Pipeline) Warnings() Diagnostics {
	w := &warner{program: p.program, where: newPlaces(p.program.textOf), read: map[string][]fennel.Node{}}
	w.found = slices.Clone(p.odd)
	for _, j := range p.Jobs {
		if p.template != nil {
			w.lostVariables(j, p.template.runs[j.ID])
		}
	}
	for _, file := range p.program.files() {
		w.floats(file)
	}
	found := w.found.inOrder(p.program.name).legible()
	return found[:min(len(found), maxDiagnostics)]
}

// IgnoredInputs are the warnings that also a run should tell: a job starts
// without what it was perhaps meant to wait for.
func (p *Pipeline) IgnoredInputs() Diagnostics { return slices.Clone(p.odd).legible() }

type warner struct {
	program *program
	where   *places
	read    map[string][]fennel.Node // files
	found   Diagnostics
}

// forms are what a file holds; none if it cannot be read.
func (w *warner) forms(file string) []fennel.Node {
	nodes, ok := w.read[file]
	if !ok {
		nodes, _ = fennel.Read(w.program.textOf(file), file)
		w.read[file] = nodes
	}
	return nodes
}

// warn adds a warning about a form, which may be nil: then it is about a line.
func (w *warner) warn(file string, line int, form fennel.Node, message, advice string) {
	text := w.program.textOf(file)
	d := Diagnostic{File: file, Line: line, Warning: true, Message: message, Advice: advice}
	d.Col, d.EndCol = wholeLine(text, line)
	if form != nil {
		if s, ok := spanOf(form, text); ok {
			d.Line, d.Col, d.EndCol = s.line, s.col, s.end
		}
	}
	d.Excerpt = fennel.Excerpt(text, d.Line, d.Col, d.EndCol)
	for _, have := range w.found {
		if have.File == d.File && have.Line == d.Line && have.Col == d.Col && have.Advice == d.Advice {
			return // two jobs with one function
		}
	}
	w.found = append(w.found, d)
}

// lostVariables warns of variables of the program's that a job's function sets:
// each job has a state of its own, and nobody else ever sees them.
func (w *warner) lostVariables(j *Job, run lua.LValue) {
	if options, ok := run.(*lua.LTable); ok && j.Mirror != nil {
		run = options.RawGetString("tag")
	}
	seen := map[*lua.LFunction]bool{}
	var visit func(v lua.LValue, depth int)
	visit = func(v lua.LValue, depth int) {
		f, ok := v.(*lua.LFunction)
		if !ok || f.IsG || seen[f] || depth > maxPlainDepth {
			return
		}
		seen[f] = true
		for _, a := range vm.Assigned(f) {
			name := fennel.Unmangle(a.Name)
			if a.Global || w.topLevelVar(a.Source, name) {
				w.lost(j, a, name)
			}
		}
		for _, u := range f.Upvalues {
			visit(u.Value(), depth+1) // a function that it may call
		}
	}
	visit(run, 0)
}

func (w *warner) lost(j *Job, a vm.Assignment, name string) {
	kind := "top-level variable"
	if a.Global {
		kind = "global"
	}
	var form fennel.Node
	for _, n := range w.forms(a.Source) {
		walk(n, func(n fennel.Node) {
			list, ok := n.(*fennel.List)
			if ok && form == nil && int(list.Line) == a.Line && len(list.Items) > 1 && symbolIn(list.Items[1], name) {
				if head, ok := list.Items[0].(*fennel.Sym); ok && (head.Name == "set" || head.Name == "global") {
					form = list
				}
			}
		})
	}
	w.warn(a.Source, a.Line, form,
		fmt.Sprintf("Job '%s' sets the %s '%s', which no other job will see: each has its own.", j.ID, kind, printable(name)),
		"Return a table from the run-fn, and read it with (runtime.jobs …) in the job behind.")
}

// topLevelVar tells whether a file declares a variable outside of all forms.
func (w *warner) topLevelVar(file, name string) bool {
	for _, n := range w.forms(file) {
		list, ok := n.(*fennel.List)
		if !ok || len(list.Items) < 2 {
			continue
		}
		if head, ok := list.Items[0].(*fennel.Sym); ok && head.Name == "var" && symbolIn(list.Items[1], name) {
			return true
		}
	}
	return false
}

func symbolIn(n fennel.Node, name string) (found bool) {
	walk(n, func(n fennel.Node) {
		s, ok := n.(*fennel.Sym)
		found = found || ok && s.Name == name
	})
	return found
}

// floats warns of what is a float on Lua 5.4 and has ".0" when it is printed.
func (w *warner) floats(file string) {
	var visit func(n fennel.Node, rounded bool)
	visit = func(n fennel.Node, rounded bool) {
		var below []fennel.Node
		within := false
		switch n := n.(type) {
		case *fennel.List:
			below = n.Items
			head := ""
			if len(n.Items) > 0 {
				if s, ok := n.Items[0].(*fennel.Sym); ok {
					head = s.Name
				}
			}
			within = head == "math.floor" || head == "math.ceil"
			if (head == "/" || head == "^") && !rounded && maybeWhole(head, n.Items[1:]) {
				w.warn(file, int(n.Line), n,
					fmt.Sprintf("A whole result of %s is written here as 2, and by Lua 5.4, for which pipelines of the Rust forge are, as 2.0.", head),
					`Where the text matters, say which: (math.floor x), or (string.format "%.1f" x).`)
			}
		case *fennel.Seq:
			below = n.Items
		case *fennel.Table:
			below = slices.Concat(n.Keys, n.Vals)
		}
		for _, b := range below {
			visit(b, within)
		}
	}
	for _, n := range w.forms(file) {
		visit(n, false)
	}
}

// maybeWhole tells whether a quotient or a power may be a whole number.
func maybeWhole(operator string, operands []fennel.Node) bool {
	var value float64
	for i, o := range operands {
		n, ok := o.(*fennel.Num)
		switch {
		case !ok:
			return true
		case i == 0 && len(operands) > 1:
			value = n.Val
		case operator == "/" && i == 0:
			value = 1 / n.Val
		case operator == "/":
			value /= n.Val
		default:
			value = math.Pow(value, n.Val)
		}
	}
	return len(operands) > 0 && value == math.Trunc(value)
}

// files are the program's own: the pipeline, and the modules that were found.
func (p *program) files() []string {
	files := []string{p.name}
	p.lib.mu.Lock()
	defer p.lib.mu.Unlock()
	for _, m := range p.lib.modules {
		if m.found && !strings.HasSuffix(m.file, ".lua") && !slices.Contains(files, m.file) {
			files = append(files, m.file)
		}
	}
	return files
}
