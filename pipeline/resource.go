package pipeline

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// registerImage is (ci.image name).
func (r *recorder) registerImage(_ *lua.LState, at call, args []lua.LValue) {
	name, ok := argument(args, 1).(lua.LString)
	switch {
	case !ok:
		r.fault(at, part{argument: 1}, fmt.Sprintf("ci.image: the name must be a string, got %s.", argument(args, 1).Type()), "")
	case name == "":
		r.fault(at, part{argument: 1}, "ci.image: the name is empty.", "")
	case r.image != nil:
		r.fault(at, part{}, "Pipeline image declared more than once.",
			fmt.Sprintf("The first is %s, in line %d.", viewScalar(lua.LString(r.image.name)), r.image.at.line))
	default:
		r.image = &imageForm{string(name), at}
	}
}

// imageName is the pipeline's image, "" if it names none.
func (r *recorder) imageName() string {
	if r.image == nil {
		return ""
	}
	return r.image.name
}

// registerCache is (ci.cache name paths).
func (r *recorder) registerCache(_ *lua.LState, at call, args []lua.LValue) {
	name, ok := r.resourceName(at, "cache", args)
	if !ok {
		return
	}
	paths, isList := stringList(argument(args, 2))
	if !isList || len(paths) == 0 {
		r.fault(at, part{argument: 2}, fmt.Sprintf("ci.cache: the paths must be a non-empty list of strings, got %s.", typeOfList(argument(args, 2))), "")
		return
	}
	r.caches = append(r.caches, Cache{name, paths})
}

// registerService is (ci.service name opts).
func (r *recorder) registerService(_ *lua.LState, at call, args []lua.LValue) {
	name, ok := r.resourceName(at, "service", args)
	if !ok {
		return
	}
	t, isTable := argument(args, 2).(*lua.LTable)
	if !isTable {
		r.fault(at, part{argument: 2}, fmt.Sprintf("ci.service: the options must be a table, got %s.", argument(args, 2).Type()), "")
		return
	}
	f := readFields(t, "image", "env", "ready")
	s := Service{Name: name, Image: f.text("image"), Env: f.environment("env"), Ready: f.list("ready")}
	if !f.has("image") {
		f.add("", "missing field `image`", "")
	}
	for _, bad := range f.faults {
		r.fault(at, part{argument: 2, field: bad.key, key: bad.unknown}, fmt.Sprintf("ci.service: %s.", bad.message), bad.advice)
	}
	r.services = append(r.services, s)
}

// resourceName checks the name of a cache or service and that it is new.
func (r *recorder) resourceName(at call, kind string, args []lua.LValue) (string, bool) {
	s, ok := argument(args, 1).(lua.LString)
	if !ok {
		r.fault(at, part{argument: 1}, fmt.Sprintf("ci.%s: the name must be a string, got %s.", kind, argument(args, 1).Type()), "")
		return "", false
	}
	name := string(s)
	problem := unusableName(name)
	if problem == "" && strings.Contains(name, "/") {
		problem = "contains '/'."
	}
	if problem != "" {
		r.fault(at, part{argument: 1}, fmt.Sprintf("ci.%s: the name '%s' %s", kind, printable(name), problem), "")
		return "", false
	}
	if first, taken := r.named[kind+" "+name]; taken {
		r.fault(at, part{argument: 1}, fmt.Sprintf("ci.%s: '%s' is declared more than once.", kind, name),
			fmt.Sprintf("The first is in line %d.", first.line))
		return "", false
	}
	r.named[kind+" "+name] = at
	return name, true
}
