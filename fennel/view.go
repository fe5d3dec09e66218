package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// View is fennel.view: v as Fennel source, to the character what the reference
// prints. opts, which may be nil, is its table of options, listed in the
// reference's manual under fennel.view. View runs metamethods and the options'
// functions, and raises their errors as any function called from Lua.
func View(L *lua.LState, v lua.LValue, opts *lua.LTable) string {
	p := &viewer{L: L, size: new(int)}
	return p.value(v, p.newOptions(v, opts), 0, nil)
}

// viewFunction is (fennel.view x ?options).
func viewFunction(L *lua.LState) int {
	opts, _ := L.Get(2).(*lua.LTable)
	L.Push(lua.LString(View(L, L.Get(1), opts)))
	return 1
}

// viewer prints one value. Its state is the table of options, which a
// __fennelview metamethod sees, may change, and hands back.
type viewer struct {
	L    *lua.LState
	self *lua.LFunction // value as a Lua function, made when a metamethod wants it
	// shared is whether any table occurs twice in the value: then cycles have to
	// be looked for.
	shared  bool
	counted map[*lua.LTable]bool
	size    *int // bytes that were printed, but for indentation
}

// maxViewLevel bounds Go's stack where the option depth does not.
const maxViewLevel = 10_000

// value prints x. colon says whether a string that can be a :keyword is one; nil
// leaves that to the options.
func (p *viewer) value(x lua.LValue, opts *lua.LTable, indent int, colon *bool) string {
	if fn := opts.RawGetString("preprocess"); lua.LVAsBool(fn) {
		x = p.call(fn, x, opts)
	}
	switch x := x.(type) {
	case *lua.LTable:
		return p.table(x, opts, indent)
	case *lua.LUserData:
		if metafield(p.L, x, "__fennelview") != lua.LNil {
			return p.table(x, opts, indent)
		}
	}
	s := p.scalar(x, opts, indent, colon)
	// Forty tables, each twice in the next, are a terabyte where cycles are not
	// detected.
	*p.size += len(s) + 1
	vm.CheckStringLength(p.L, *p.size)
	return s
}

func (p *viewer) scalar(x lua.LValue, opts *lua.LTable, indent int, colon *bool) string {
	switch x := x.(type) {
	case lua.LNumber:
		return p.number(float64(x), opts)
	case lua.LString:
		if isColonString(string(x)) && p.wantsColon(x, opts, colon) {
			return ":" + string(x)
		}
		return p.str(string(x), opts, indent)
	case lua.LBool, *lua.LNilType:
		return x.String()
	}
	return "#<" + vm.ToString(p.L, x) + ">"
}

func (p *viewer) wantsColon(x lua.LString, opts *lua.LTable, colon *bool) bool {
	if colon != nil {
		return *colon
	}
	if fn, ok := opts.RawGetString("prefer-colon?").(*lua.LFunction); ok {
		return lua.LVAsBool(p.call(fn, x))
	}
	return optionTrue(opts, "prefer-colon?")
}

func (p *viewer) call(fn lua.LValue, args ...lua.LValue) lua.LValue {
	p.L.Push(fn)
	for _, a := range args {
		p.L.Push(a)
	}
	p.L.Call(len(args), 1)
	r := p.L.Get(-1)
	p.L.Pop(1)
	return r
}

// metafield is a field of what getmetatable shows of x; nil if that is no table.
func metafield(L *lua.LState, x lua.LValue, name string) lua.LValue {
	if mt, ok := L.GetMetatable(x).(*lua.LTable); ok {
		return L.GetField(mt, name)
	}
	return lua.LNil
}

// viewPair is an entry of a table.
type viewPair struct{ key, value lua.LValue }

// table prints a table, or a userdata with a __fennelview metamethod.
func (p *viewer) table(x lua.LValue, opts *lua.LTable, indent int) string {
	level := optionInt(p.L, opts, "level") + 1
	if level > maxViewLevel {
		p.L.RaiseError("value nested too deeply to print (more than %d levels)", maxViewLevel)
	}
	if ctx := p.L.Context(); ctx != nil && ctx.Err() != nil {
		p.L.RaiseError("%s", ctx.Err().Error())
	}
	*p.size += 2
	vm.CheckStringLength(p.L, *p.size)
	opts.RawSetString("level", lua.LNumber(level))
	out := p.tableBody(x, opts, indent)
	opts.RawSetString("level", lua.LNumber(optionInt(p.L, opts, "level")-1))
	return out
}

func (p *viewer) tableBody(x lua.LValue, opts *lua.LTable, indent int) string {
	if optionTrue(opts, "metamethod?") {
		if m := metafield(p.L, x, "__fennelview"); lua.LVAsBool(m) {
			return p.metamethod(x, m, opts, indent)
		}
	}
	pairs, sequence := p.pairs(x, opts)
	switch {
	case len(pairs) == 0:
		return emptyView(opts)
	case sequence:
		return p.sequence(x, pairs, opts, indent)
	}
	return p.associative(x, pairs, opts, indent)
}

func emptyView(opts *lua.LTable) string {
	if optionTrue(opts, "empty-as-sequence?") {
		return "[]"
	}
	return "{}"
}

// bracket is what stands before the elements of a table: the mark of one that
// occurs again inside itself, and how far its elements are indented. done is
// the whole text, if the table is not to be entered.
func (p *viewer) bracket(x lua.LValue, opts *lua.LTable, indent int, elided string) (mark string, inner int, done string) {
	if optionInt(p.L, opts, "depth") <= optionInt(p.L, opts, "level") {
		return "", 0, elided
	}
	if id := p.seen(opts, x); id != "" && optionTrue(opts, "detect-cycles?") {
		return "", 0, "@" + id + elided
	}
	if p.visibleCycle(x, opts) {
		id := p.seen(opts, x)
		return "@" + id, indent + len(id) + 2, ""
	}
	return "", indent + 1, ""
}

func (p *viewer) associative(x lua.LValue, pairs []viewPair, opts *lua.LTable, indent int) string {
	mark, indent, done := p.bracket(x, opts, indent, "{...}")
	if done != "" {
		return done
	}
	inner := p.normalized(opts, false)
	asColon := true
	multiline := false
	width := optionInt(p.L, opts, "line-length")
	lines := make([]string, 0, 2*len(pairs))
	for _, kv := range pairs {
		k := p.value(kv.key, inner, indent+1, &asColon)
		v := p.value(kv.value, inner, indent, nil)
		multiline = multiline || strings.Contains(k, "\n") || strings.Contains(v, "\n") || width < len(k)+1+len(v)
		lines = append(lines, k, v)
	}
	if !multiline {
		for i := 0; i < len(lines); i += 2 {
			lines[i/2] = lines[i] + " " + lines[i+1]
		}
		lines = lines[:len(lines)/2]
	}
	return p.join(lines, opts, multiline, indent, mark+"{", "}", false)
}

func (p *viewer) sequence(x lua.LValue, pairs []viewPair, opts *lua.LTable, indent int) string {
	mark, indent, done := p.bracket(x, opts, indent, "[...]")
	if done != "" {
		return done
	}
	lastComment := isCommentValue(p.lastElement(x))
	inner := p.normalized(opts, false)
	multiline := false
	lines := make([]string, len(pairs))
	for i, kv := range pairs {
		lines[i] = p.value(kv.value, inner, indent, nil)
		multiline = multiline || strings.Contains(lines[i], "\n") || strings.HasPrefix(lines[i], ";")
	}
	return p.join(lines, opts, multiline, indent, mark+"[", "]", lastComment)
}

func (p *viewer) lastElement(x lua.LValue) lua.LValue {
	n := p.L.ObjLen(x)
	if t, ok := x.(*lua.LTable); ok && t.Metatable == lua.LNil {
		return t.RawGetInt(n)
	}
	return p.L.GetTable(x, lua.LNumber(n))
}

// isCommentValue tells a comment of the reader's, whose first field is its text.
func isCommentValue(x lua.LValue) bool {
	t, ok := x.(*lua.LTable)
	if !ok {
		return false
	}
	s, ok := t.RawGetInt(1).(lua.LString)
	return ok && strings.HasPrefix(string(s), ";")
}

// join puts elements on one line if they fit, else one on each. Behind a comment
// the bracket has to stand on a line of its own.
func (p *viewer) join(lines []string, opts *lua.LTable, multiline bool, indent int, open, shut string, lastComment bool) string {
	if !optionTrue(opts, "one-line?") {
		if !multiline && !lastComment {
			length := len(open) + len(shut) + len(lines) - 1
			for _, l := range lines {
				length += len(l)
			}
			multiline = optionInt(p.L, opts, "line-length") < indent+length
		}
		if multiline || lastComment {
			newline := "\n" + strings.Repeat(" ", indent)
			if lastComment {
				shut = newline + shut
			}
			return open + strings.Join(lines, newline) + shut
		}
	}
	return open + strings.Join(lines, " ") + shut
}

// metamethod calls (metamethod x view options indent), whose result is the text
// or its lines, and whether these have to stay apart.
func (p *viewer) metamethod(x, fn lua.LValue, opts *lua.LTable, indent int) string {
	if optionInt(p.L, opts, "depth") <= optionInt(p.L, opts, "level") {
		if optionTrue(opts, "empty-as-sequence?") {
			return "[...]"
		}
		return "{...}"
	}
	// Asks about the options it was set in, not about those it is found in.
	opts.RawSetString("visible-cycle?", p.L.NewFunction(func(L *lua.LState) int {
		q := *p
		q.L = L
		L.Push(lua.LBool(q.visibleCycle(L.Get(1), opts)))
		return 1
	}))
	L := p.L
	L.Push(fn)
	L.Push(x)
	L.Push(p.function())
	L.Push(p.normalized(opts, true))
	L.Push(lua.LNumber(indent))
	L.Call(4, 2)
	lines, force := L.Get(-2), lua.LVAsBool(L.Get(-1))
	L.Pop(2)
	opts.RawSetString("visible-cycle?", lua.LNil)
	switch lines := lines.(type) {
	case lua.LString:
		return string(lines)
	case *lua.LTable:
		return p.joinLines(lines, opts, indent, force)
	}
	L.RaiseError("__fennelview metamethod must return a table of lines")
	return ""
}

func (p *viewer) joinLines(t *lua.LTable, opts *lua.LTable, indent int, force bool) string {
	var lines, trimmed []string
	for i := 1; ; i++ {
		v := t.RawGetInt(i)
		if v == lua.LNil {
			break
		}
		if !lua.LVCanConvToString(v) {
			p.L.RaiseError("__fennelview metamethod must return a table of lines")
		}
		line := vm.ToString(p.L, v)
		lines = append(lines, line)
		trimmed = append(trimmed, strings.TrimLeft(line, " \t\n\v\f\r"))
	}
	if len(lines) == 0 {
		return emptyView(opts)
	}
	oneline := strings.Join(trimmed, " ")
	if !optionTrue(opts, "one-line?") &&
		(force || strings.Contains(oneline, "\n") || optionInt(p.L, opts, "line-length") < indent+len(oneline)) {
		return strings.Join(lines, "\n"+strings.Repeat(" ", indent))
	}
	return oneline
}

// function is the printer as metamethods get it: (view x options indent colon?).
func (p *viewer) function() *lua.LFunction {
	if p.self == nil {
		p.self = p.L.NewFunction(func(L *lua.LState) int {
			q := *p
			q.L = L
			opts, ok := L.Get(2).(*lua.LTable)
			if !ok {
				opts = q.newOptions(L.Get(1), nil)
			}
			indent := 0
			if n, ok := L.Get(3).(lua.LNumber); ok {
				indent = int(n)
			}
			var colon *bool
			if v := L.Get(4); v != lua.LNil {
				c := lua.LVAsBool(v)
				colon = &c
			}
			L.Push(lua.LString(q.value(L.Get(1), opts, indent, colon)))
			return 1
		})
	}
	return p.self
}
