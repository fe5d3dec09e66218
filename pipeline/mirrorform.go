package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/internal/checked"
	"quire/internal/event"
)

// mirrorJob is the id of the job that ci.mirror registers; a target named with
// :as has it below.
const mirrorJob = "quire/mirror"

var mirrorFields = []string{"secret", "tag", "refs", "after", "as"}

// registerMirror is (ci.mirror url opts).
func (r *recorder) registerMirror(_ *lua.LState, at call, args []lua.LValue) {
	before := len(r.faults)
	bad := func(p part, message, advice string) {
		r.fault(at, p, "ci.mirror: "+message, advice)
	}
	url, ok := argument(args, 1).(lua.LString)
	switch {
	case !ok:
		bad(part{argument: 1}, fmt.Sprintf("the url must be a string, got %s", argument(args, 1).Type()), "")
	case url == "":
		bad(part{argument: 1}, "the url is empty", "")
	case checked.Line(string(url), maxURL) != nil:
		bad(part{argument: 1}, fmt.Sprintf("the url cannot be used: %s", checked.Line(string(url), maxURL)), "")
	case credentialsIn(string(url)):
		bad(part{argument: 1}, "the url has a user name and password in it", "Keep the token in a secret and name it: {:secret :github_token …}.")
	}
	t, ok := argument(args, 2).(*lua.LTable)
	if !ok {
		bad(part{argument: 2}, fmt.Sprintf("the options must be a table, got %s", argument(args, 2).Type()),
			`Write (ci.mirror "https://…" {:secret :github_token :tag (fn [push] …)}).`)
		return
	}

	f := readFields(t, mirrorFields...)
	spec := &MirrorSpec{URL: string(url), As: f.text("as"), Secret: f.line("secret", maxSecretName), Refs: f.refs("refs")}
	job := &Job{
		ID: mirrorID(spec.As), Inputs: []string{PushSource}, Interruptible: true, Mirror: spec,
		File: at.file, Line: at.line,
	}
	if !f.has("secret") && !isLocal(string(url)) {
		f.add("", "missing field `secret`", "")
	}
	if !f.has("tag") {
		f.add("", ":tag is required (a function returning the tag name)", "")
	} else if tag := f.function("tag"); tag != nil && !tag.IsG && tag.Proto.NumParameters > 1 {
		f.add("tag", fmt.Sprintf(":tag takes one argument, the push, but this function takes %d", tag.Proto.NumParameters), "")
	}
	for _, ref := range spec.Refs {
		if _, err := event.MatchRef(ref, "refs/heads/x"); err != nil {
			f.add("refs", fmt.Sprintf(":refs has the pattern '%s', which cannot be read", printable(ref)), "")
		}
	}
	if f.has("as") {
		if problem := unusableName(spec.As); problem != "" || strings.Contains(spec.As, "/") {
			f.add("as", fmt.Sprintf(":as must be a name without '/', got '%s'", printable(spec.As)), "")
		}
	}
	for _, input := range f.names("after") {
		if !slices.Contains(job.Inputs, input) {
			job.Inputs = append(job.Inputs, input)
		}
	}
	for _, fault := range f.faults {
		bad(part{argument: 2, field: fault.key, key: fault.unknown}, fault.message, fault.advice)
	}

	if first, taken := r.byID[job.ID]; taken {
		r.fault(at, part{}, fmt.Sprintf("Job '%s' is registered more than once.", job.ID),
			fmt.Sprintf("The first is in line %d. Give this target a name: {:as :gitlab …}.", first.at.line))
		return
	}
	r.remember(&registered{job: job, at: at, run: t, sound: len(r.faults) == before})
}

func mirrorID(as string) string {
	if as == "" {
		return mirrorJob
	}
	return mirrorJob + "/" + as
}

// isLocal reports whether a remote is a path of this machine, which takes no
// credential.
func isLocal(url string) bool {
	return strings.HasPrefix(url, "file://") || strings.HasPrefix(url, "/") || strings.HasPrefix(url, "./") || strings.HasPrefix(url, "../")
}

// credentialsIn reports whether an http(s) URL has a password in it.
func credentialsIn(url string) bool {
	_, rest, ok := strings.Cut(url, "://")
	if !ok || !strings.HasPrefix(url, "http") {
		return false
	}
	authority, _, _ := strings.Cut(rest, "/")
	user, _, ok := strings.Cut(authority, "@")
	return ok && strings.Contains(user, ":")
}

// runMirrorJob is the run-fn of a ci.mirror job: nothing for a ref that :refs
// does not name, else the push, tagged with what :tag returns.
func (r *Runtime) runMirrorJob(L *lua.LState, options *lua.LTable) (lua.LValue, error) {
	spec := r.job.Mirror
	p, err := r.push(r.clock)
	if err != nil {
		return nil, err
	}
	push, _ := p.(*plainTable)
	ref, _ := push.field("ref").(string)
	refs, wanted := mirroredRefs(spec.Refs, ref)
	if !wanted {
		return lua.LNil, nil
	}
	tag, err := tagName(L, options.RawGetString("tag"), thaw(L, p))
	if err != nil {
		return nil, err
	}
	return r.during(func() (lua.LValue, error) {
		return r.mirror(L, Mirror{As: spec.As, URL: spec.URL, Secret: spec.Secret, Tag: tag, Refs: refs})
	})
}

// mirroredRefs is what a push of ref mirrors under the :refs list: the refs
// named outright, and the pushed one if a pattern matches it. Without a list it
// is the pushed one, and an empty answer means that.
func mirroredRefs(list []string, ref string) (refs []string, wanted bool) {
	if len(list) == 0 {
		return nil, true
	}
	for _, pattern := range list {
		matches, err := event.MatchRef(pattern, ref)
		matches = matches && err == nil
		wanted = wanted || matches
		name := ref
		if !strings.ContainsAny(pattern, "*?[\\") {
			if name = pattern; !strings.HasPrefix(name, "refs/") {
				name = "refs/heads/" + name
			}
		} else if !matches {
			continue
		}
		if !slices.Contains(refs, name) {
			refs = append(refs, name)
		}
	}
	return refs, wanted
}

// tagName calls the :tag function. nil makes no tag.
func tagName(L *lua.LState, f, push lua.LValue) (string, error) {
	L.Push(f)
	L.Push(push)
	L.Call(1, 1)
	v := L.Get(-1)
	L.Pop(1)
	switch v := v.(type) {
	case *lua.LNilType:
		return "", nil
	case lua.LString:
		if v == "" {
			return "", errors.New("ci.mirror: :tag returned an empty string")
		}
		if err := checked.Line(string(v), maxRef); err != nil {
			return "", fmt.Errorf("ci.mirror: :tag returned a name that cannot be used: %w", err)
		}
		return string(v), nil
	}
	return "", fmt.Errorf("ci.mirror: :tag must return a string, got %s", v.Type())
}
