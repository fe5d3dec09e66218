package pipeline

import (
	"errors"

	lua "github.com/yuin/gopher-lua"
)

// runMirror is runtime.mirror: one push to a mirror, told in the mirror engine's
// own terms. ci.mirror and the stdlib's mirror are two ways to say the same.
func runMirror(r *Runtime, a arguments) (lua.LValue, error) {
	if a.get(1) == lua.LNil {
		return nil, errors.New("mirror: takes a table with :url, and :secret or :auth-header")
	}
	var m Mirror
	err := a.options(1, "mirror", []string{"url", "secret", "auth-header", "as", "sha", "tag", "refs", "git-dir"}, func(f *fields) {
		m = Mirror{
			As:         f.fileName("as"),
			URL:        f.line("url", maxURL),
			Secret:     f.line("secret", maxSecretName),
			AuthHeader: f.header("auth-header"),
			SHA:        f.objectID("sha"),
			Tag:        f.line("tag", maxRef),
			Refs:       f.refs("refs"),
			GitDir:     f.path("git-dir"),
		}
		if !f.has("url") {
			f.add("", "missing field `url`", "")
		}
		if m.Secret != "" && m.AuthHeader != "" {
			f.add("auth-header", "takes :secret or :auth-header, not both", "")
		}
	})
	if err != nil {
		return nil, err
	}
	return r.mirror(a.L, m)
}

// mirror has the host do it and makes the table that a pipeline sees.
func (r *Runtime) mirror(L *lua.LState, m Mirror) (lua.LValue, error) {
	done, err := r.host.Mirror(r.clock.ctx, r.call, m)
	if err != nil {
		return nil, err
	}
	t := L.CreateTable(0, 2)
	if done.Tag != "" {
		t.RawSetString("tag", lua.LString(done.Tag))
	}
	refs := L.CreateTable(len(done.PushedRefs), 0)
	for i, ref := range done.PushedRefs {
		refs.RawSetInt(i+1, lua.LString(ref))
	}
	t.RawSetString("pushed_refs", refs)
	return t, nil
}

// stdlibMirror is (require :quire.stdlib).mirror, whose arguments and errors are
// those of the function of that name in the Rust forge's standard library: all
// but :refs are required, and without :refs the tag alone is pushed.
func stdlibMirror(r *Runtime, a arguments) (lua.LValue, error) {
	if a.get(1) == lua.LNil {
		return nil, missingArgument("url")
	}
	var m Mirror
	err := a.options(1, "mirror", []string{"url", "auth-header", "sha", "tag", "git-dir", "refs"}, func(f *fields) {
		m = Mirror{
			URL:        f.line("url", maxURL),
			AuthHeader: f.header("auth-header"),
			SHA:        f.objectID("sha"),
			Tag:        f.line("tag", maxRef),
			GitDir:     f.path("git-dir"),
			Refs:       f.refs("refs"),
		}
		m.TagOnly = len(m.Refs) == 0
	})
	t, isTable := a.get(1).(*lua.LTable)
	if isTable {
		for _, name := range []string{"url", "auth-header", "sha", "tag", "git-dir"} {
			if t.RawGetString(name) == lua.LNil {
				return nil, missingArgument(name)
			}
		}
	}
	if err != nil {
		return nil, err
	}
	return r.mirror(a.L, m)
}

// missingArgument names a required argument that is nil, in the words of
// Fennel's lambda.
type missingArgument string

func (m missingArgument) Error() string { return "Missing argument " + string(m) }
