package fennel

import (
	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// plugins are tables of functions that a script wants called while its program is compiled.
type plugins struct {
	list []*lua.LTable
}

func (c *compilation) hook(event string, n Node, s *Scope) {
	if c.opts.plugins == nil {
		return
	}
	c.runHooks(event, func(k *Compiler) []lua.LValue {
		return []lua.LValue{k.types.toLua(k.L, n), k.scopeValue(s)}
	})
}

func (c *compilation) hookReference(x *Sym, s *Scope, read bool) {
	if c.opts.plugins == nil {
		return
	}
	c.runHooks("symbol-to-expression", func(k *Compiler) []lua.LValue {
		return []lua.LValue{k.types.toLua(k.L, x), k.scopeValue(s), lua.LBool(read)}
	})
}

func (c *compilation) hookDestructure(from, to Node, s *Scope, opts binder) {
	if c.opts.plugins == nil {
		return
	}
	c.runHooks("destructure", func(k *Compiler) []lua.LValue {
		o := k.L.NewTable()
		flag := func(name string, v bool) {
			if v {
				o.RawSetString(name, lua.LTrue)
			}
		}
		flag("declaration", opts.declare)
		flag("isvar", opts.mutable)
		flag("nomulti", opts.noMulti)
		flag("noundef", opts.noUndef)
		flag("forceglobal", opts.global)
		flag("forceset", opts.force)
		o.RawSetString("symtype", lua.LString(opts.kind))
		return []lua.LValue{k.types.toLua(k.L, from), k.types.toLua(k.L, to), k.scopeValue(s), o}
	})
}

func (c *compilation) hookMacroexpand(x *List, n Node, s *Scope) {
	if c.opts.plugins == nil {
		return
	}
	c.runHooks("macroexpand", func(k *Compiler) []lua.LValue {
		return []lua.LValue{k.types.toLua(k.L, x), k.types.toLua(k.L, n), k.scopeValue(s)}
	})
}

func (c *compilation) hookFn(event string, x *List, s *Scope) { c.hook(event, x, s) }

func (c *compilation) hookFor(x *List, s *Scope, name *Sym) {
	if c.opts.plugins == nil {
		return
	}
	c.runHooks("pre-for", func(k *Compiler) []lua.LValue {
		return []lua.LValue{k.types.toLua(k.L, x), k.scopeValue(s), k.types.toLua(k.L, name)}
	})
}

func (c *compilation) hookEach(x *List, s *Scope, bindings []Node, iter, until Node) {
	if c.opts.plugins == nil {
		return
	}
	c.runHooks("pre-each", func(k *Compiler) []lua.LValue {
		t := k.types
		return []lua.LValue{t.toLua(k.L, x), k.scopeValue(s), t.toLua(k.L, &Seq{Items: bindings}), t.toLua(k.L, iter), t.toLua(k.L, until)}
	})
}

// runHooks calls every plugin's function for an event until one gives a value, which it returns.
func (c *compilation) runHooks(event string, args func(k *Compiler) []lua.LValue) lua.LValue {
	k := c.k.vm()
	var made []lua.LValue
	for _, p := range c.opts.plugins.list {
		fn := p.RawGetString(event)
		if fn == lua.LNil {
			continue
		}
		if made == nil {
			made = args(k)
		}
		if v := c.callHook(fn, made); v != lua.LNil {
			return v
		}
	}
	return lua.LNil
}

// callHook calls a plugin. What it raises goes on as it is.
func (c *compilation) callHook(fn lua.LValue, args []lua.LValue) lua.LValue {
	L := c.k.L
	top := L.GetTop()
	L.Push(fn)
	for _, a := range args {
		L.Push(a)
	}
	previous := c.k.current
	c.k.current = c
	err := vm.PCall(L, len(args), 1, nil)
	c.k.current = previous
	if err != nil {
		L.SetTop(top)
		api, ok := err.(*lua.ApiError)
		if !ok || api.Object == nil {
			failAt(nil, "%s", err.Error())
		}
		panic(&Error{Kind: CompileError, raised: api.Object, noSource: true, told: true})
	}
	v := L.Get(-1)
	L.SetTop(top)
	return v
}

// parserPlugins lets plugins take part in reading: parse-form may replace a form, parse-error hears of an error, and
// illegal-char may make sense of a byte that begins no form.
func (k *Compiler) parserPlugins(r *reader, opts *Options) {
	if opts.plugins == nil {
		return
	}
	c := &compilation{k: k, opts: opts, root: rootScope(k.global), line: 1}
	L, t := k.L, k.types
	r.hooks.parseForm = func(n Node) Node {
		v := c.runHooks("parse-form", func(*Compiler) []lua.LValue {
			return []lua.LValue{t.toLua(L, n), lua.LNil, lua.LNil, L.NewTable()}
		})
		return t.fromLua(v, *n.position(), 0)
	}
	r.hooks.parseError = func(e *Error) {
		c.runHooks("parse-error", func(*Compiler) []lua.LValue {
			return []lua.LValue{lua.LString(e.Message), lua.LString(e.File), lua.LNumber(e.Line), lua.LNumber(e.Col),
				lua.LString(r.file.text), L.NewFunction(func(*lua.LState) int { return 0 })}
		})
	}
	r.hooks.illegalChar = func(b byte) bool {
		handled := c.runHooks("illegal-char", func(*Compiler) []lua.LValue {
			get := L.NewFunction(func(L *lua.LState) int {
				if b, ok := r.get(); ok {
					L.Push(lua.LNumber(b))
				} else {
					L.Push(lua.LNil)
				}
				return 1
			})
			unget := L.NewFunction(func(L *lua.LState) int {
				r.unget(byte(L.CheckInt(1)))
				return 0
			})
			dispatch := L.NewFunction(func(L *lua.LState) int {
				r.dispatch(t.fromLua(L.Get(1), r.here(), 0))
				return 0
			})
			return []lua.LValue{lua.LNumber(b), get, unget, dispatch}
		})
		return lua.LVAsBool(handled)
	}
}

// hookError tells plugins of a compile error before it is raised.
func (c *compilation) hookError(e *Error) {
	if c.opts.plugins == nil || e.Kind != CompileError || e.told {
		return
	}
	e.told = true
	c.runHooks("assert-compile", func(k *Compiler) []lua.LValue {
		return []lua.LValue{lua.LFalse, lua.LString(e.Message), k.types.toLua(k.L, e.node),
			k.L.NewFunction(func(*lua.LState) int { return 0 })}
	})
}

func (k *Compiler) prepareReader(r *reader, opts *Options) {
	r.comments = opts.Comments
	k.parserPlugins(r, opts)
	if k.files == nil {
		k.files = map[string]*sourceFile{}
	}
	k.files[r.file.name] = r.file
	if opts.Warn != nil {
		r.strict = func(msg string, line, col int32) { opts.Warn(msg, r.file.name, int(line), int(col)) }
	}
}
