package pipeline

import (
	"fmt"
	"strings"

	lua "github.com/yuin/gopher-lua"

	"quire/internal/checked"
)

// Bounds of what one pipeline may have beside its jobs: each cached path is a
// mount, and each service and each further image a container.
const (
	maxCachePaths = 100
	maxServices   = 20
	maxImages     = 20
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
			fmt.Sprintf("The first is %s, in line %d.", viewScalar(lua.LString(r.image.name.String())), r.image.at.line))
	default:
		image, err := checked.NewImage(string(name))
		if err != nil {
			r.fault(at, part{argument: 1}, fmt.Sprintf("ci.image: the name '%s' cannot be used: %s.", printable(string(name)), err), "")
		}
		r.image = &imageForm{image, at}
	}
}

// imageName is the pipeline's image, zero if it names none.
func (r *recorder) imageName() checked.Image {
	if r.image == nil {
		return checked.Image{}
	}
	return r.image.name
}

// useImage counts the images of jobs; each has a container of its own.
func (r *recorder) useImage(at call, image checked.Image) {
	if image == (checked.Image{}) || r.images[image] {
		return
	}
	if len(r.images) == maxImages {
		r.fault(at, part{argument: 2, field: "image"}, fmt.Sprintf("The jobs of a pipeline may name %d images at most.", maxImages), "")
		return
	}
	r.images[image] = true
}

// registerCache is (ci.cache name paths).
func (r *recorder) registerCache(_ *lua.LState, at call, args []lua.LValue) {
	name, ok := r.resourceName(at, "cache", args)
	if !ok {
		return
	}
	paths, isList := stringList(argument(args, 2))
	if !isList || len(paths) == 0 {
		r.fault(at, part{argument: 2}, fmt.Sprintf("ci.cache: the paths must be a non-empty list of strings, got %s.", typeOfList(argument(args, 2), false)), "")
		return
	}
	c := Cache{Name: name}
	for _, path := range paths {
		p, err := checked.NewCachePath(path)
		if err != nil {
			r.fault(at, part{argument: 2, element: path}, fmt.Sprintf("ci.cache: the path '%s' cannot be used: %s.", printable(path), err), "")
			continue
		}
		for _, other := range r.cached {
			if p.Overlaps(other.path) {
				r.fault(at, part{argument: 2, element: path}, fmt.Sprintf("ci.cache: the path '%s' and '%s' of cache '%s' lie in one another.", p, other.path, other.cache),
					fmt.Sprintf("The other is in line %d.", other.at.line))
				break
			}
		}
		if len(r.cached) == maxCachePaths {
			r.fault(at, part{}, fmt.Sprintf("A pipeline may cache %d paths at most.", maxCachePaths), "")
			return
		}
		r.cached = append(r.cached, cachedPath{p, name, at})
		c.Paths = append(c.Paths, p)
	}
	r.caches = append(r.caches, c)
}

// cachedPath is a path that is taken.
type cachedPath struct {
	path  checked.CachePath
	cache string
	at    call
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
	host, err := checked.NewHost(name)
	if err != nil {
		r.fault(at, part{argument: 1}, fmt.Sprintf("ci.service: the name '%s' cannot be used: %s.", printable(name), err), "")
	}
	if len(r.services) == maxServices {
		r.fault(at, part{}, fmt.Sprintf("A pipeline may have %d services at most.", maxServices), "")
		return
	}
	f := readFields(t, "image", "env", "ready")
	s := Service{Name: host, Image: f.image("image"), Env: f.environment("env"), Ready: f.list("ready")}
	for _, arg := range s.Ready {
		f.refuse("ready", checked.Argument(arg))
	}
	f.refuse("ready", checked.CommandSize(s.Ready, nil))
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
