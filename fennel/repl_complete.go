package fennel

import (
	"maps"
	"regexp"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// maxCompletions bounds a list that a person has to look at.
const maxCompletions = 2000

var (
	beforeWord    = regexp.MustCompile(`(?s)^.*[\s)(]+`)
	commandPrefix = regexp.MustCompile(`^\s*,([^\s()\[\]]*)$`)
)

// luaComplete is the completer that registerCompleter gets: (complete text ?whole-line from to).
func (r *repl) luaComplete(L *lua.LState) int {
	q := *r
	q.L = L
	text := L.CheckString(1)
	whole := text
	if s, ok := L.Get(2).(lua.LString); ok {
		whole = string(s)
	}
	list := L.NewTable()
	for _, m := range q.completions(text, whole) {
		list.Append(lua.LString(m))
	}
	L.Push(list)
	return 1
}

// complete is the command: it takes the text of the next form.
func (r *repl) complete() {
	if _, _, err := r.read(); err != nil {
		r.onError("Parse", lua.LString("Couldn't parse input."))
		return
	}
	text := strings.TrimLeft(string(r.chars), " \t\n")
	fragment := strings.TrimSpace(strings.TrimPrefix(text, ",complete"))
	r.onStrings(r.completions(fragment, fragment))
}

// completions are the names that a piece of text may become.
func (r *repl) completions(text, whole string) []string {
	c := &completer{r: r, seen: map[string]bool{}}
	if m := commandPrefix.FindStringSubmatch(whole); m != nil {
		names := []string{}
		for name := range replCommands {
			names = append(names, name)
		}
		for name := range r.commands {
			names = append(names, name)
		}
		slices.Sort(names)
		for _, n := range names {
			c.add(m[1], n, ",")
		}
		return c.found
	}
	input := beforeWord.ReplaceAllString(text, "")
	c.specials(input)
	c.macros(input)
	if c.stop {
		return c.found
	}
	locals := r.locals()
	if locals == nil {
		locals = r.L.NewTable()
	}
	c.scoped(input, locals)
	if !c.stop {
		c.scoped(input, r.env)
	}
	if !c.stop {
		if g, ok := r.L.GetField(r.env, "_G").(*lua.LTable); ok {
			c.matches(input, g, "")
		}
	}
	return c.found
}

type completer struct {
	r     *repl
	found []string
	seen  map[string]bool
	stop  bool // a table was entered: nothing else can be meant
}

func (c *completer) add(input, name, prefix string) {
	if strings.HasPrefix(name, input) && !c.seen[name] && len(c.found) < maxCompletions {
		c.seen[name] = true
		c.found = append(c.found, prefix+name)
	}
}

// keys adds keys of a table; behind a colon those of functions only.
func (c *completer) keys(input string, t *lua.LTable, prefix string, method bool) {
	stablePairs(t, func(key, v lua.LValue) bool {
		if name, ok := key.(lua.LString); ok && (!method || v.Type() == lua.LTFunction) {
			c.add(input, string(name), prefix)
		}
		return true
	})
}

func (c *completer) specials(input string) {
	for s := c.r.scope; s != nil; s = s.parent {
		for _, name := range slices.Sorted(maps.Keys(s.specials)) {
			c.add(input, name, "")
		}
	}
}

// macros adds macros, and those in a table of macros.
func (c *completer) macros(input string) {
	head, tail, dotted := strings.Cut(input, ".")
	for s := c.r.scope; s != nil; s = s.parent {
		for _, name := range slices.Sorted(maps.Keys(s.macros)) {
			if !dotted && c.r.scope.macro(name) != nil {
				c.add(input, name, "")
			}
		}
	}
	if !dotted {
		return
	}
	if m := c.r.scope.macro(head); m != nil {
		if t, ok := c.r.k.macroValue(m).(*lua.LTable); ok {
			c.stop = true
			c.matches(tail, t, head+".")
		}
	}
}

// scoped looks in a table whose fields are the variables of the conversation: names that have a value and names that
// were declared without one.
func (c *completer) scoped(input string, t *lua.LTable) {
	if strings.ContainsAny(input, ".:") {
		c.matches(input, t, "")
		return
	}
	for s := c.r.scope; s != nil; s = s.parent {
		for _, b := range s.names.list {
			if b.name != "" && !strings.HasPrefix(b.name, "*") {
				c.add(input, b.name, "")
			}
		}
	}
}

// matches completes a path in a table.
func (c *completer) matches(input string, t *lua.LTable, prefix string) {
	if head, tail, dotted := strings.Cut(input, "."); dotted {
		if sub, ok := c.field(t, head).(*lua.LTable); ok {
			c.stop = true
			c.matches(tail, sub, prefix+head+".")
		}
		return
	}
	if head, tail, method := strings.Cut(input, ":"); method {
		if sub, ok := c.field(t, head).(*lua.LTable); ok {
			c.stop = true
			c.keys(tail, sub, prefix+head+":", true)
		}
		return
	}
	c.keys(input, t, prefix, false)
}

// field reads a field whose metamethod may raise: a completion must not.
func (c *completer) field(t *lua.LTable, name string) lua.LValue {
	var v lua.LValue = lua.LNil
	if err := c.r.protect(func() { v = c.r.L.GetField(t, name) }); err != nil {
		return lua.LNil
	}
	return v
}
