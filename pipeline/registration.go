package pipeline

import (
	"fmt"
	"slices"
	"strings"
	"unicode"

	lua "github.com/yuin/gopher-lua"

	"quire/internal/checked"
)

// Bounds of one pipeline, far above what anybody writes and low enough that a
// loop without end is stopped by an error that says so.
const (
	maxJobs        = 10_000
	maxDiagnostics = 100
	maxRetries     = 10
	maxIDBytes     = 100 // an id names a directory, and file names end at 255 bytes
)

// recorder collects what a pipeline registers, and everything that is wrong
// with it.
type recorder struct {
	jobs     []*registered
	byID     map[string]*registered
	image    *imageForm
	images   map[checked.Image]bool // of jobs
	caches   []Cache
	cached   []cachedPath // all paths of caches
	services []Service
	named    map[string]call // caches and services: where each name was first used
	faults   []placed
	full     bool        // the evaluation was stopped, for there is more than one would read
	module   *lua.LTable // quire.ci itself, to recognise (ci:job …)
}

// registered is a job as one call registered it. It is sound if nothing was
// wrong with the call.
type registered struct {
	job   *Job
	at    call
	run   lua.LValue // the run-fn, or the options of ci.mirror
	sound bool
}

type imageForm struct {
	name checked.Image
	at   call
}

// call is the place of a registering call, as precisely as Lua knows it.
type call struct {
	form string // job, image, mirror …
	id   string // its first argument, if that is a string or a number
	file string
	line int
}

// placed is a fault and the part of a call that it is about.
type placed struct {
	at              call
	part            part
	message, advice string
}

func newRecorder() *recorder {
	return &recorder{byID: map[string]*registered{}, named: map[string]call{}, images: map[checked.Image]bool{}}
}

// forms are the functions of quire.ci while the pipeline is loaded.
func (r *recorder) forms() map[string]lua.LGFunction {
	forms := map[string]lua.LGFunction{}
	for name, f := range map[string]func(*lua.LState, call, []lua.LValue){
		"job": r.registerJob, "image": r.registerImage, "mirror": r.registerMirror,
		"cache": r.registerCache, "service": r.registerService,
	} {
		forms[name] = func(L *lua.LState) int {
			at := caller(L, name)
			args := make([]lua.LValue, L.GetTop())
			for i := range args {
				args[i] = L.Get(i + 1)
			}
			if len(args) > 0 && r.module != nil && args[0] == r.module {
				r.fault(at, part{}, fmt.Sprintf("ci:%s passes the module itself as the first argument.", name),
					fmt.Sprintf("Write (ci.%s …), with a period.", name))
				return 0
			}
			if len(args) > 0 {
				at.id, _ = nameOf(args[0])
			}
			f(L, at, args)
			if r.full {
				L.RaiseError("there are too many errors to go on")
			}
			return 0
		}
	}
	return forms
}

// caller finds the Lua code that called the running Go function: the next
// function up the stack that has lines. (pcall ci.job …) has another between.
func caller(L *lua.LState, form string) call {
	at := call{form: form}
	for level := 1; level < 10; level++ {
		frame, ok := L.GetStack(level)
		if !ok {
			break
		}
		if _, err := L.GetInfo("Sl", frame, lua.LNil); err == nil && frame.CurrentLine > 0 {
			at.file, at.line = frame.Source, frame.CurrentLine
			break
		}
	}
	return at
}

func (r *recorder) fault(at call, p part, message, advice string) {
	if len(r.faults) == maxDiagnostics {
		r.full = true
		return
	}
	r.faults = append(r.faults, placed{at, p, message, advice})
}

// registerJob is (ci.job id inputs run-fn) and (ci.job id {:inputs … :run …}).
func (r *recorder) registerJob(L *lua.LState, at call, args []lua.LValue) {
	before := len(r.faults)
	id, ok := r.jobID(at, args)
	if !ok {
		return
	}
	job := &Job{ID: id, Interruptible: true, File: at.file, Line: at.line}
	run := argument(args, 3)
	options, keyed := jobOptions(args)
	switch {
	case keyed:
		run = options.RawGetString("run")
		r.jobFromOptions(at, job, options)
	case len(args) > 3:
		r.fault(at, part{argument: 4}, fmt.Sprintf("Job '%s': ci.job takes an id, inputs and a run-fn, got %d arguments.", id, len(args)),
			"Further options have names: (ci.job :"+id+" {:inputs […] :run (fn [] …) :timeout \"10m\"}).")
	default:
		r.inputs(at, job, argument(args, 2), part{argument: 2})
		r.runFunction(at, job, run, part{argument: 3})
	}
	r.addJob(&registered{job: job, at: at, run: run, sound: len(r.faults) == before})
}

// argument is args[n-1], nil when there are fewer.
func argument(args []lua.LValue, n int) lua.LValue {
	if n <= len(args) {
		return args[n-1]
	}
	return lua.LNil
}

// jobOptions is the options table of the form with names: the second and last
// argument, a table that is not a list.
func jobOptions(args []lua.LValue) (*lua.LTable, bool) {
	t, ok := argument(args, 2).(*lua.LTable)
	if !ok || len(args) > 2 {
		return nil, false
	}
	return t, !isList(t)
}

// jobID checks a job's id, and that there is room for one more job.
func (r *recorder) jobID(at call, args []lua.LValue) (string, bool) {
	id, ok := nameOf(argument(args, 1))
	if !ok {
		r.fault(at, part{argument: 1}, fmt.Sprintf("A job's id must be a string, got %s.", argument(args, 1).Type()), "")
		return "", false
	}
	if problem := unusableName(id); problem != "" {
		r.fault(at, part{argument: 1}, fmt.Sprintf("Job id '%s' %s", printable(id), problem), "")
		return "", false
	}
	if strings.Contains(id, "/") {
		r.fault(at, part{argument: 1},
			fmt.Sprintf("Job id '%s' contains '/', which is reserved for the 'quire/' source namespace.", id),
			fmt.Sprintf("Use '%s' or another delimiter.", strings.ReplaceAll(id, "/", "-")))
		// Remembered without being a job, so that what waits for it is not
		// reported as well.
		if r.byID[id] == nil {
			r.remember(&registered{job: &Job{ID: id, File: at.file, Line: at.line}, at: at})
		}
		return "", false
	}
	return id, true
}

// unusableName says why a name cannot be the name of a directory of logs, "" if
// it can.
func unusableName(name string) string {
	switch {
	case name == "":
		return "is empty."
	case name == "." || name == "..":
		return "cannot name a job: it is the name of a directory."
	case len(name) > maxIDBytes:
		return fmt.Sprintf("is longer than %d bytes.", maxIDBytes)
	case strings.ContainsFunc(name, unicode.IsControl) || strings.ToValidUTF8(name, "") != name:
		return "contains a character that cannot be printed."
	}
	return ""
}

// printable cleans and shortens text for an error message of registration, where
// no secret is known. Messages of run-fns are shortened when they were masked:
// they use printableWhole.
func printable(s string) string {
	s = printableWhole(s)
	if runes := []rune(s); len(runes) > 60 {
		return string(runes[:60]) + "…"
	}
	return s
}

// printableWhole cleans text from a pipeline for an error message.
func printableWhole(s string) string {
	s = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == unicode.ReplacementChar {
			return '?'
		}
		return c
	}, s)
	return s[:min(len(s), maxText)]
}

// inputs checks and sets a job's inputs.
func (r *recorder) inputs(at call, job *Job, v lua.LValue, p part) {
	list, ok := nameList(v)
	switch {
	case !ok && v.Type() == lua.LTString:
		r.fault(at, p, fmt.Sprintf("Job '%s': inputs must be a list of names, got string.", job.ID),
			fmt.Sprintf("Write [:%s].", v))
	case !ok && v != lua.LNil:
		r.fault(at, p, fmt.Sprintf("Job '%s': inputs must be a list of names, got %s.", job.ID, typeOfList(v, true)), "")
	case len(list) == 0:
		r.fault(at, p, fmt.Sprintf("Job '%s' has empty inputs. Pass [:quire/push] (or another trigger) so it has something to fire it.", job.ID), "")
	}
	for _, in := range list {
		if !slices.Contains(job.Inputs, in) {
			job.Inputs = append(job.Inputs, in)
		}
	}
}

// runFunction checks a job's run-fn. The function itself is not kept: each
// attempt finds it again in its own state.
func (r *recorder) runFunction(at call, job *Job, v lua.LValue, p part) {
	f, ok := v.(*lua.LFunction)
	switch {
	case v == lua.LNil:
		p.argument, p.field = 0, ""
		r.fault(at, p, fmt.Sprintf("Job '%s' has no run-fn.", job.ID),
			fmt.Sprintf("Write (ci.job :%s [:quire/push] (fn [] …)).", job.ID))
	case !ok:
		r.fault(at, p, fmt.Sprintf("Job '%s': the run-fn must be a function, got %s.", job.ID, v.Type()), "")
	case !f.IsG && f.Proto.NumParameters > 1:
		r.fault(at, p, fmt.Sprintf("Job '%s': its run-fn takes %d arguments; it may take none, or one: the runtime table.", job.ID, f.Proto.NumParameters),
			"To take primitives from that table: (fn [{: sh : jobs}] …).")
	}
}

var jobFields = []string{"inputs", "run", "timeout", "retries", "allow-failure", "interruptible", "once", "image", "env"}

func (r *recorder) jobFromOptions(at call, job *Job, t *lua.LTable) {
	f := readFields(t, jobFields...)
	job.Timeout = f.duration("timeout")
	job.Retries = f.count("retries", maxRetries)
	job.AllowFailure = f.boolean("allow-failure", false)
	job.Interruptible = f.boolean("interruptible", true)
	job.Once = f.boolean("once", false)
	job.Image = f.image("image")
	r.useImage(at, job.Image)
	job.Env = f.environment("env")
	for _, bad := range f.faults {
		r.fault(at, part{argument: 2, field: bad.key, key: bad.unknown}, fmt.Sprintf("Job '%s': %s.", job.ID, bad.message), bad.advice)
	}
	if f.has("inputs") {
		r.inputs(at, job, f.get("inputs"), part{argument: 2, field: "inputs"})
	} else {
		r.inputs(at, job, t.RawGetString("inputs"), part{argument: 2})
	}
	r.runFunction(at, job, f.get("run"), part{argument: 2, field: "run"})
}

// addJob enters a job, the first of its name winning.
func (r *recorder) addJob(reg *registered) {
	if first, taken := r.byID[reg.job.ID]; taken {
		r.fault(reg.at, part{argument: 1}, fmt.Sprintf("Job '%s' is registered more than once.", reg.job.ID),
			fmt.Sprintf("The first is in line %d.", first.at.line))
		return
	}
	r.remember(reg)
}

func (r *recorder) remember(reg *registered) {
	if len(r.jobs) == maxJobs {
		r.fault(reg.at, part{}, fmt.Sprintf("A pipeline may have %d jobs at most.", maxJobs), "")
		r.full = true
		return
	}
	r.jobs = append(r.jobs, reg)
	r.byID[reg.job.ID] = reg
}
