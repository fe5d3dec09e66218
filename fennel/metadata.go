package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// Metadata is the table of what is known about functions: parameters, docstrings and what programs add. Its keys are
// the functions, and do not keep them alive where the state's collector honours that (gopher-lua's does not).
func (k *Compiler) Metadata() *lua.LTable {
	k.vm()
	if k.meta != nil {
		return k.meta
	}
	L := k.L
	k.meta = L.NewTable()
	methods := L.NewTable()
	methods.RawSetString("get", L.NewFunction(func(L *lua.LState) int {
		t, ok := L.CheckTable(1).RawGet(L.Get(2)).(*lua.LTable)
		switch {
		case !ok:
			L.Push(lua.LNil)
		case L.Get(3) == lua.LNil:
			L.Push(t)
		default:
			L.Push(t.RawGet(L.Get(3)))
		}
		return 1
	}))
	methods.RawSetString("set", L.NewFunction(func(L *lua.LState) int {
		self, target := L.CheckTable(1), L.Get(2)
		t, ok := self.RawGet(target).(*lua.LTable)
		if !ok {
			t = L.NewTable()
			self.RawSet(target, t)
		}
		t.RawSet(L.Get(3), L.Get(4))
		L.Push(target)
		return 1
	}))
	methods.RawSetString("setall", L.NewFunction(func(L *lua.LState) int {
		if L.GetTop()%2 != 0 {
			L.RaiseError("metadata:setall() expected even number of k/v pairs")
		}
		setAll(L, L.CheckTable(1), 2)
		L.Push(L.Get(2))
		return 1
	}))
	mt := L.NewTable()
	mt.RawSetString("__index", methods)
	mt.RawSetString("__mode", lua.LString("k"))
	k.meta.Metatable = mt
	return k.meta
}

func (k *Compiler) metaOf(v lua.LValue, key string) lua.LValue {
	t, ok := k.Metadata().RawGet(v).(*lua.LTable)
	if !ok {
		return lua.LNil
	}
	return t.RawGetString(key)
}

// luaDoc describes a function: (doc target name).
func (k *Compiler) luaDoc(L *lua.LState) int {
	target := L.Get(1)
	name, ok := L.Get(2).(lua.LString)
	if !ok {
		L.RaiseError("name must be a string")
	}
	if !lua.LVAsBool(target) {
		L.Push(lua.LString(string(name) + " not found"))
		return 1
	}
	doc := "#<undocumented>"
	if d, ok := k.metaOf(target, "fnl/docstring").(lua.LString); ok {
		doc = string(d)
	}
	doc = strings.ReplaceAll(strings.TrimSuffix(doc, "\n"), "\n", "\n  ")
	head := string(name)
	if k.callable(target) {
		words := []string{string(name)}
		if list, ok := k.metaOf(target, "fnl/arglist").(*lua.LTable); ok {
			for i := 1; i <= list.Len(); i++ {
				words = append(words, vm.ToString(L, list.RawGetInt(i)))
			}
		} else {
			words = append(words, "#<unknown-arguments>")
		}
		head = "(" + strings.Join(words, " ") + ")"
	}
	L.Push(lua.LString(head + "\n  " + doc))
	return 1
}

var (
	bodyForms = nameSet("when with-open collect icollect fcollect lambda λ macro match match-try case case-try " +
		"accumulate faccumulate doto do fn let each for while comment hashfn eval-compiler")
	bindingForms    = nameSet("collect icollect fcollect each for let with-open accumulate faccumulate")
	definingForms   = nameSet("fn lambda λ var local macro macros global")
	deprecatedForms = nameSet("~= # global require-macros pick-args")
)

func nameSet(words string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(words) {
		set[w] = true
	}
	return set
}

// luaSyntax gives a table of every form there is and what kind it is of, for editors.
func (k *Compiler) luaSyntax(L *lua.LState) int {
	out := L.NewTable()
	entry := func(name, kind string) *lua.LTable {
		t := L.NewTable()
		t.RawSetString(kind, lua.LTrue)
		flag := func(key string, set map[string]bool) {
			if set[name] {
				t.RawSetString(key, lua.LTrue)
			}
		}
		flag("body-form?", bodyForms)
		flag("binding-form?", bindingForms)
		flag("define?", definingForms)
		if kind == "special?" {
			flag("deprecated?", deprecatedForms)
		}
		out.RawSetString(name, t)
		return t
	}
	for s := k.global; s != nil; s = s.parent {
		for name := range s.specials {
			entry(name, "special?")
		}
		for name := range s.macros {
			entry(name, "macro?")
		}
	}
	global := func(name string, function bool) {
		t := L.NewTable()
		t.RawSetString("global?", lua.LTrue)
		if function {
			t.RawSetString("function?", lua.LTrue)
		}
		out.RawSetString(name, t)
	}
	L.G.Global.ForEach(func(key, v lua.LValue) {
		name, ok := key.(lua.LString)
		if !ok {
			return
		}
		switch x := v.(type) {
		case *lua.LFunction:
			global(string(name), true)
		case *lua.LTable:
			if strings.HasPrefix(string(name), "_") {
				return
			}
			x.ForEach(func(inner, f lua.LValue) {
				if _, ok := f.(*lua.LFunction); ok {
					global(string(name)+"."+inner.String(), true)
				}
			})
			global(string(name), false)
		}
	})
	L.Push(out)
	return 1
}
