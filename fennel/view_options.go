package fennel

import (
	lua "github.com/yuin/gopher-lua"
)

// viewDefaults are fennel.view's options and their values when nothing is said,
// which is also what {:once …} falls back to.
var viewDefaults = []struct {
	name  string
	value lua.LValue
}{
	{"one-line?", lua.LFalse},
	{"detect-cycles?", lua.LTrue},
	{"empty-as-sequence?", lua.LFalse},
	{"metamethod?", lua.LTrue},
	{"prefer-colon?", lua.LFalse},
	{"escape-newlines?", lua.LFalse},
	{"utf8?", lua.LTrue},
	{"line-length", lua.LNumber(80)},
	{"depth", lua.LNumber(128)},
	{"max-sparse-gap", lua.LNumber(1)},
}

func viewDefault(name string) lua.LValue {
	for _, d := range viewDefaults {
		if d.name == name {
			return d.value
		}
	}
	return lua.LNil
}

// newOptions completes a user's options for printing x.
func (p *viewer) newOptions(x lua.LValue, user *lua.LTable) *lua.LTable {
	opts := p.L.CreateTable(0, len(viewDefaults)+6)
	for _, d := range viewDefaults {
		opts.RawSetString(d.name, d.value)
	}
	if user != nil {
		p.eachPair(user, func(k, v lua.LValue) bool {
			opts.RawSet(k, v)
			return true
		})
	}
	opts.RawSetString("level", lua.LNumber(0))
	opts.RawSetString("appearances", p.countAppearances(x))
	seen := p.L.CreateTable(0, 1)
	seen.RawSetString("len", lua.LNumber(0))
	opts.RawSetString("seen", seen)
	return opts
}

// option is an option's value at this level: {:once v} is v.
func option(opts *lua.LTable, name string) lua.LValue {
	v := opts.RawGetString(name)
	if t, ok := v.(*lua.LTable); ok {
		if once := t.RawGetString("once"); once != lua.LNil {
			return once
		}
	}
	return v
}

func optionTrue(opts *lua.LTable, name string) bool { return lua.LVAsBool(option(opts, name)) }

// optionInt reads an option that has to be a number. It saturates: infinity is a
// fine line length.
func optionInt(L *lua.LState, opts *lua.LTable, name string) int {
	n, ok := option(opts, name).(lua.LNumber)
	if !ok {
		L.RaiseError("option '%s' must be a number: got %s", name, opts.RawGetString(name).Type().String())
	}
	const big = 1 << 52
	return int(max(min(float64(n), big), -big))
}

// normalized are the options for what a table holds: {:once v :after w} is w
// there, {:once v} the default. They are a table of their own if anything
// changes, or if a metamethod gets them and may change them.
func (p *viewer) normalized(opts *lua.LTable, forMetamethod bool) *lua.LTable {
	changed := forMetamethod
	for k, v := opts.Next(lua.LNil); k != lua.LNil && !changed; k, v = opts.Next(k) {
		if t, ok := v.(*lua.LTable); ok {
			changed = t.RawGetString("after") != lua.LNil || lua.LVAsBool(t.RawGetString("once"))
		}
	}
	if !changed {
		return opts
	}
	inner := p.L.CreateTable(0, len(viewDefaults)+6)
	for k, v := opts.Next(lua.LNil); k != lua.LNil; k, v = opts.Next(k) {
		if t, ok := v.(*lua.LTable); ok {
			if after := t.RawGetString("after"); after != lua.LNil {
				v = after
			} else if lua.LVAsBool(t.RawGetString("once")) {
				if v = viewDefault(k.String()); v == lua.LNil {
					p.L.RaiseError("option '%s' doesn't have a default value, use the :after key to set it", k.String())
				}
			}
		}
		inner.RawSet(k, v)
	}
	return inner
}
