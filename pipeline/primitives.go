package pipeline

import (
	"fmt"

	lua "github.com/yuin/gopher-lua"

	"quire/internal/checked"
)

// maxSecretName is far above any name in a configuration, in bytes.
const maxSecretName = 200

// primitive is a field of the runtime table.
type primitive struct {
	name     string
	function lua.LGFunction
}

// primitives is everything in the runtime table, in the order of the manual.
var primitives = []primitive{
	{"sh", ask(runSh)},
	{"run", ask(runRun)},
	{"secret", ask(runSecret)},
	{"jobs", ask(runJobs)},
	{"env", ask(runEnv)},
	{"log", ask(runLog)},
	{"read-file", ask(runReadFile)},
	{"read-json", ask(runReadJSON)},
	{"write-file", ask(runWriteFile)},
	{"artifact", ask(runArtifact)},
	{"mirror", ask(runMirror)},
}

// Apart from primitives, because the functions in it refer to these.
var primitiveNames []string
var primitiveList string

func init() {
	for _, p := range primitives {
		primitiveNames = append(primitiveNames, p.name)
	}
	list := enumerate(primitiveNames)
	primitiveList = list
}

// ask makes a Lua function of a primitive. It finds the state's Runtime, stops
// the clock while the primitive works, and raises the primitive's error with
// the place of the call in front. A Runtime whose context is over does nothing
// more, even when a library function goes on calling it.
func ask(f func(*Runtime, arguments) (lua.LValue, error)) lua.LGFunction {
	return func(L *lua.LState) int {
		rt := installed(L)
		if rt == nil {
			L.RaiseError("%s", outside)
		}
		v, err := rt.during(func() (lua.LValue, error) { return f(rt, arguments{L}) })
		if err != nil {
			L.RaiseError("%s", err.Error())
		}
		L.Push(v)
		return 1
	}
}

func (r *Runtime) during(f func() (lua.LValue, error)) (lua.LValue, error) {
	if err := r.clock.cause(); err != nil {
		return nil, err
	}
	r.clock.pause()
	defer r.clock.resume()
	return f()
}

// arguments are what a primitive was called with.
type arguments struct{ L *lua.LState }

func (a arguments) get(n int) lua.LValue { return a.L.Get(n) }

// text is argument n, which must be a non-empty string.
func (a arguments) text(n int, primitive, what string) (string, error) {
	s, ok := a.L.Get(n).(lua.LString)
	if !ok {
		return "", fmt.Errorf("%s: %s must be a string, got %s", primitive, what, a.L.Get(n).Type())
	}
	if s == "" {
		return "", fmt.Errorf("%s: %s is empty", primitive, what)
	}
	return string(s), nil
}

// checkedText is argument n, a text that a check must let pass.
func (a arguments) checkedText(n int, primitive, what string, check func(string) error) (string, error) {
	s, err := a.text(n, primitive, what)
	if err != nil {
		return "", err
	}
	if err := check(s); err != nil {
		return "", fmt.Errorf("%s: %s cannot be used: %w", primitive, what, err)
	}
	return s, nil
}

// options is argument n, which may be absent, read by f; the first fault of the
// table is the error.
func (a arguments) options(n int, primitive string, known []string, read func(*fields)) error {
	var table *lua.LTable
	switch v := a.L.Get(n).(type) {
	case *lua.LNilType:
	case *lua.LTable:
		table = v
	default:
		return fmt.Errorf("%s: the options must be a table, got %s", primitive, v.Type())
	}
	f := readFields(table, known...)
	read(f)
	if len(f.faults) == 0 {
		return nil
	}
	first := f.faults[0]
	if first.advice != "" {
		return fmt.Errorf("%s: %s. %s", primitive, first.message, first.advice)
	}
	return fmt.Errorf("%s: %s", primitive, first.message)
}

func runSecret(r *Runtime, a arguments) (lua.LValue, error) {
	name, err := a.checkedText(1, "secret", "the name", func(s string) error { return checked.Line(s, maxSecretName) })
	if err != nil {
		return nil, err
	}
	value, err := r.host.Secret(r.clock.ctx, r.call, name)
	if err != nil {
		return nil, err
	}
	return lua.LString(value), nil
}

func runEnv(r *Runtime, a arguments) (lua.LValue, error) {
	name, err := a.checkedText(1, "env", "the name", checked.VariableName)
	if err != nil {
		return nil, err
	}
	if value, ok := r.host.Env(name); ok {
		return lua.LString(value), nil
	}
	return lua.LNil, nil
}

// runLog takes anything, since what one wants to look at is often a table.
func runLog(r *Runtime, a arguments) (lua.LValue, error) {
	if a.L.GetTop() == 0 {
		return nil, fmt.Errorf("log: there is no message")
	}
	text := ""
	switch v := a.get(1).(type) {
	case lua.LString:
		text = string(v)
	default:
		// Printing may run the value's own code, and that is on the clock.
		r.clock.resume()
		text = view(a.L, v)
		r.clock.pause()
	}
	r.host.Log(r.call, text)
	return lua.LNil, nil
}

// runJobs gives the outputs of a job, or of the source, that this job waited
// for.
func runJobs(r *Runtime, a arguments) (lua.LValue, error) {
	name, ok := nameOf(a.get(1))
	if !ok || name == "" {
		_, err := a.text(1, "jobs", "the name")
		return nil, err
	}
	if v, ok := r.seen[name]; ok {
		return v, nil
	}
	var p plain
	var err error
	i, isJob := r.graph.index[name]
	switch {
	case name == r.job.ID:
		return nil, fmt.Errorf("Job '%s' cannot read its own outputs", name)
	case name == PushSource && r.graph.readsSource(r.job.index):
		if p, err = r.push(r.clock); err != nil {
			return nil, fmt.Errorf("jobs: %s: %w", PushSource, err)
		}
	case isJob && r.graph.ancestors[r.job.index].has(i):
		p = r.read(i)
	default:
		hint := ""
		if !isJob && name != PushSource {
			hint = "; there is no such job"
		}
		return nil, fmt.Errorf("Job '%s' cannot read outputs from '%s' — not in transitive inputs%s", r.job.ID, printableWhole(name), hint)
	}
	v := thaw(a.L, p)
	r.seen[name] = v
	return v, nil
}

func runArtifact(r *Runtime, a arguments) (lua.LValue, error) {
	path, err := a.checkedText(1, "artifact", "the path", checked.Path)
	if err != nil {
		return nil, err
	}
	if err := r.host.Artifact(r.clock.ctx, r.call, path); err != nil {
		return nil, fmt.Errorf("artifact: %w", err)
	}
	return lua.LNil, nil
}
