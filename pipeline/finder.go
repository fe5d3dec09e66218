package pipeline

import lua "github.com/yuin/gopher-lua"

// finder stands in for quire.ci in a job's state. Of all that is registered
// there it keeps the one run-fn, and does as little as it can for the rest: a
// pipeline of n jobs registers n·n times in a run.
type finder struct {
	id    string
	found bool
	run   lua.LValue // the run-fn, or the options of ci.mirror
	over  bool       // evaluation is
}

func (f *finder) forms() map[string]lua.LGFunction {
	return map[string]lua.LGFunction{
		"job":     f.job,
		"mirror":  f.mirrorForm,
		"image":   f.other,
		"cache":   f.other,
		"service": f.other,
	}
}

func (f *finder) other(L *lua.LState) int {
	if f.over {
		L.RaiseError("quire.ci registers while ci.fnl is evaluated, not while a job runs")
	}
	return 0
}

func (f *finder) job(L *lua.LState) int {
	f.other(L)
	if id, ok := nameOf(L.Get(1)); !ok || f.found || id != f.id {
		return 0
	}
	f.found = true
	if f.run = L.Get(3); f.run == lua.LNil {
		if options, ok := L.Get(2).(*lua.LTable); ok {
			f.run = options.RawGetString("run")
		}
	}
	return 0
}

func (f *finder) mirrorForm(L *lua.LState) int {
	f.other(L)
	options, ok := L.Get(2).(*lua.LTable)
	if !ok || f.found {
		return 0
	}
	as, _ := options.RawGetString("as").(lua.LString)
	if mirrorID(string(as)) == f.id {
		f.found, f.run = true, options
	}
	return 0
}
