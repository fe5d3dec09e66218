package fennel

import (
	"maps"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// functionsMatching lists the functions of all loaded modules whose path matches a Lua pattern. A dot in a module's
// name shows as a slash.
func (r *repl) functionsMatching(pattern string) []string {
	pattern = strings.TrimPrefix(pattern, "_G.")
	pkg, _ := r.L.GetGlobal("package").(*lua.LTable)
	if pkg == nil {
		return nil
	}
	loaded, _ := pkg.RawGetString("loaded").(*lua.LTable)
	var names []string
	seen := map[*lua.LTable]bool{}
	var walk func(t *lua.LTable, prefix string)
	walk = func(t *lua.LTable, prefix string) {
		stablePairs(t, func(key, v lua.LValue) bool {
			name, ok := key.(lua.LString)
			if !ok || v == lua.LValue(pkg) {
				return true
			}
			switch v := v.(type) {
			case *lua.LFunction:
				if full := prefix + string(name); r.matches(full, pattern) {
					names = append(names, full)
				}
			case *lua.LTable:
				if !seen[v] {
					seen[v] = true
					walk(v, prefix+strings.ReplaceAll(string(name), ".", "/")+".")
				}
			}
			return true
		})
	}
	if loaded == nil {
		return nil
	}
	// What stands in a library and in _G as well is called by the library.
	if g, ok := loaded.RawGetString("_G").(*lua.LTable); ok {
		seen[g] = true
		walk(loaded, "")
		walk(g, "_G.")
		return names
	}
	walk(loaded, "")
	return names
}

// matches asks string.match.
func (r *repl) matches(s, pattern string) bool {
	str, ok := r.L.G.Global.RawGetString("string").(*lua.LTable)
	return ok && r.call(str.RawGetString("match"), lua.LString(s), lua.LString(pattern)) != lua.LNil
}

// functionAt follows a path of functionsMatching.
func (r *repl) functionAt(path string) lua.LValue {
	v := lua.LValue(r.L.GetField(r.L.GetGlobal("package"), "loaded"))
	for _, p := range strings.Split(path, ".") {
		t, ok := v.(*lua.LTable)
		if !ok {
			return lua.LNil
		}
		v = t.RawGetString(strings.ReplaceAll(p, "/", "."))
	}
	return v
}

func (r *repl) apropos(form Node) {
	r.onStrings(r.functionsMatching(r.formText(form)))
}

func (r *repl) onStrings(list []string) {
	values := make([]lua.LValue, len(list))
	for i, s := range list {
		values[i] = lua.LString(s)
	}
	r.onValues(values...)
}

func (r *repl) aproposDoc(form Node) {
	pattern := r.formText(form)
	var found []string
	for _, name := range slices.Sorted(maps.Keys(builtinDocs)) {
		if r.matches(builtinDocs[name][1], pattern) {
			found = append(found, name)
		}
	}
	for _, path := range r.functionsMatching(".*") {
		if doc, ok := r.k.metaOf(r.functionAt(path), "fnl/docstring").(lua.LString); ok && r.matches(string(doc), pattern) {
			found = append(found, path)
		}
	}
	r.onStrings(found)
}

func (r *repl) aproposShowDocs(form Node) {
	for _, path := range r.functionsMatching(r.formText(form)) {
		fn := r.functionAt(path)
		if r.k.metaOf(fn, "fnl/docstring") != lua.LNil {
			r.onValues(r.k.callModule(r.L, "doc", fn, lua.LString(path)))
			r.onValues()
		}
	}
}
