package fennel

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

var (
	commandLine  = regexp.MustCompile(`^\s*,`)
	commandWord  = regexp.MustCompile(`,([^\s/]+)`)
	pluginPrefix = "repl-command-"
)

func isCommand(src string) bool { return commandLine.MatchString(src) }

func commandName(src string) string {
	if m := commandWord.FindStringSubmatch(src); m != nil {
		return m[1]
	}
	return ""
}

type replCommand struct {
	doc string
	run func(r *repl)
}

// replCommands are the commands that stand behind a comma, but for ,exit and ,return, which the loop itself obeys.
var replCommands map[string]replCommand

func init() {
	replCommands = map[string]replCommand{
		"help":              {"Show this message.", (*repl).help},
		"reload":            {"Reload the specified module.", withForm((*repl).reload)},
		"reset":             {"Erase all repl-local scope.", (*repl).reset},
		"complete":          {"Print all possible completions for a given input symbol.", (*repl).complete},
		"apropos":           {"Print all functions matching a pattern in all loaded modules.", withForm((*repl).apropos)},
		"apropos-doc":       {"Print all functions that match the pattern in their docs", withForm((*repl).aproposDoc)},
		"apropos-show-docs": {"Print all documentations matching a pattern in function name", withForm((*repl).aproposShowDocs)},
		"find":              {"Print the filename and line number for a given function", withForm((*repl).find)},
		"doc":               {"Print the docstring and arglist for a function, macro, or special form.", withForm((*repl).doc)},
		"compile":           {"compiles the expression into lua and prints the result.", withForm((*repl).compileCommand)},
	}
}

// withForm reads the form that a command is about and reports what goes wrong.
func withForm(f func(r *repl, form Node)) func(r *repl) {
	return func(r *repl) {
		form, ok, err := r.read()
		if err != nil {
			r.onError("Parse", lua.LString("Couldn't parse input."))
			return
		}
		if !ok {
			return
		}
		if err := r.interruptible(func() { f(r, form) }); err != nil {
			r.onError("Runtime", errorValue(err))
		}
	}
}

// formText is a form as tostring gives it: the name of a symbol, the text of a string.
func (r *repl) formText(form Node) string {
	switch n := form.(type) {
	case *Sym:
		return n.Name
	case *Str:
		return n.Val
	}
	return vm.ToString(r.L, r.k.types.toLua(r.L, form))
}

func (r *repl) command(name string) {
	if fn, ok := r.commands[name]; ok {
		r.pluginCommand(fn)
		return
	}
	if c, ok := replCommands[name]; ok {
		c.run(r)
		return
	}
	r.onValues(lua.LString("Unknown command"), lua.LString(name))
}

// pluginCommands takes commands from the options' plugins. The first that has one wins.
func (r *repl) pluginCommands() {
	list := fieldTable(r.opts, "plugins")
	if list == nil {
		return
	}
	for i := list.Len(); i >= 1; i-- {
		if p, ok := list.RawGetInt(i).(*lua.LTable); ok {
			p.ForEach(func(key, v lua.LValue) {
				if name, ok := strings.CutPrefix(key.String(), pluginPrefix); ok {
					r.commands[name] = v
				}
			})
		}
	}
}

// pluginCommand calls (command env read on-values on-error scope chars options).
func (r *repl) pluginCommand(fn lua.LValue) {
	L := r.L
	chars := L.NewTable()
	tell := func() {
		for _, c := range r.chars[chars.Len():] {
			chars.Append(lua.LString([]byte{c}))
		}
	}
	tell()
	read := L.NewFunction(func(L *lua.LState) int {
		q := *r
		q.L = L
		form, ok, err := q.read()
		r.buf, r.chars = q.buf, q.chars
		tell()
		if err != nil {
			L.RaiseError("%s", errorValue(err).String())
		}
		if !ok {
			return 0
		}
		L.Push(lua.LTrue)
		L.Push(r.k.types.toLua(L, form))
		return 2
	})
	r.call(fn, r.env, read, r.callbacks.RawGetString("onValues"), r.callbacks.RawGetString("onError"),
		r.k.scopeValue(r.scope), chars, r.opts)
}

func (r *repl) help() {
	docs := map[string]string{}
	for name, c := range replCommands {
		docs[name] = c.doc
	}
	for name, fn := range r.commands {
		docs[name] = "undocumented"
		if doc, ok := r.k.metaOf(fn, "fnl/docstring").(lua.LString); ok {
			docs[name] = string(doc)
		}
	}
	var lines []string
	for name, doc := range docs {
		lines = append(lines, "  ,"+name+" - "+doc)
	}
	slices.Sort(lines)
	r.onValues(lua.LString(`Welcome to Fennel.
This is the REPL where you can enter code to be evaluated.
You can also run these repl commands:

` + strings.Join(lines, "\n") + `
  ,return FORM - Evaluate FORM and return its value to the REPL's caller.
  ,exit - Leave the repl.

Use ,doc something to see descriptions for individual macros and special forms.
Values from previous inputs are kept in *1, *2, and *3.

For more information about the language, see https://fennel-lang.org/reference`))
}

func (r *repl) reset() {
	r.resetLocals()
	r.onValues(lua.LString("ok"))
}

func (r *repl) require(name string) (lua.LValue, error) {
	r.L.Push(r.L.GetField(r.env, "require"))
	r.L.Push(lua.LString(name))
	if err := vm.PCall(r.L, 1, 1, nil); err != nil {
		return nil, err
	}
	v := r.L.Get(-1)
	r.L.Pop(1)
	return v, nil
}

// reload requires a module anew. Code that holds the old module's table sees the new contents in it.
func (r *repl) reload(form Node) {
	name := r.formText(form)
	loaded, _ := r.L.GetField(r.L.GetGlobal("package"), "loaded").(*lua.LTable)
	old, err := r.require(name)
	if err != nil {
		msg := errorValue(err).String()
		switch {
		case strings.Contains(msg, "loop or previous error loading module") && loaded != nil:
			loaded.RawSetString(name, lua.LNil)
			r.reload(form)
		case r.k.loaded.RawGetString(name) != lua.LNil:
			r.k.loaded.RawSetString(name, lua.LNil)
		default:
			first, _, _ := strings.Cut(msg, "\n")
			r.onError("Runtime", lua.LString(first))
		}
		return
	}
	oldMacros := r.k.loaded.RawGetString(name)
	r.k.loaded.RawSetString(name, lua.LNil)
	loaded.RawSetString(name, lua.LNil)
	fresh, err := r.require(name)
	if err != nil {
		r.onError("Repl", errorValue(err))
		r.k.loaded.RawSetString(name, oldMacros)
		loaded.RawSetString(name, old)
		fresh = old
	}
	if was, ok := old.(*lua.LTable); ok {
		if is, ok := fresh.(*lua.LTable); ok && was != is {
			replaceContents(was, is)
			loaded.RawSetString(name, was)
		}
	}
	r.onValues(lua.LString("ok"))
}

func replaceContents(old, fresh *lua.LTable) {
	var gone []lua.LValue
	old.ForEach(func(k, _ lua.LValue) {
		if fresh.RawGet(k) == lua.LNil {
			gone = append(gone, k)
		}
	})
	for _, k := range gone {
		old.RawSet(k, lua.LNil)
	}
	fresh.ForEach(func(k, v lua.LValue) { old.RawSet(k, v) })
}

// resolve evaluates a name as the conversation sees it; nil if it has no value.
func (r *repl) resolve(name string) lua.LValue {
	var value lua.LValue = lua.LNil
	parts := strings.Split(name, ".")
	err := r.protect(func() {
		v := lua.LValue(lua.LNil)
		if locals := r.locals(); locals != nil {
			v = locals.RawGetString(parts[0])
		}
		if v == lua.LNil {
			v = r.L.GetField(r.env, Mangle(parts[0]))
		}
		for _, p := range parts[1:] {
			if v == lua.LNil {
				return
			}
			v = r.L.GetField(v, p)
		}
		value = v
	})
	if err != nil {
		return lua.LNil
	}
	return value
}

// describable is the special form, macro or value that a name stands for.
func (r *repl) describable(name string) lua.LValue {
	if specials, ok := r.k.scopeField(r.scope, "specials").(*lua.LTable); ok {
		if v := r.L.GetField(specials, name); v != lua.LNil {
			return v
		}
	}
	if m := r.scope.macro(name); m != nil {
		return r.k.macroValue(m)
	}
	head, rest, dotted := strings.Cut(name, ".")
	if m := r.scope.macro(head); m != nil && dotted {
		if t, ok := r.k.macroValue(m).(*lua.LTable); ok {
			if v := r.L.GetField(t, rest); v != lua.LNil {
				return v
			}
		}
	}
	return r.resolve(name)
}

func (r *repl) doc(form Node) {
	name := r.formText(form)
	var target lua.LValue = lua.LNil
	if _, ok := form.(*Sym); ok {
		target = r.describable(name)
	}
	r.onValues(r.k.callModule(r.L, "doc", target, lua.LString(name)))
}

func (r *repl) find(form Node) {
	var fn *lua.LFunction
	if _, ok := form.(*Sym); ok {
		fn, _ = r.resolve(r.formText(form)).(*lua.LFunction)
	}
	switch {
	case fn == nil:
		r.onError("Repl", lua.LString("Unknown value"))
	case fn.IsG:
		r.onError("Repl", lua.LString("No source info"))
	default:
		r.onValues(lua.LString(fmt.Sprintf("%s:%d", fn.Proto.SourceName, fn.Proto.LineDefined)))
	}
}

func (r *repl) compileCommand(form Node) {
	var text lua.LValue
	err := r.protect(func() {
		text = r.k.callModule(r.L, "compile", r.k.types.toLua(r.L, form), r.opts)
	})
	if err != nil {
		r.onError("Repl", lua.LString("Error compiling expression: "+errorValue(err).String()))
		return
	}
	r.onValues(text)
}
