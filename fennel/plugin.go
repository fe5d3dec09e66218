package fennel

import (
	lua "github.com/yuin/gopher-lua"
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
		if v := c.call1(fn, nil, made...); v != lua.LNil {
			return v
		}
	}
	return lua.LNil
}

func (k *Compiler) prepareReader(r *reader, opts *Options) {
	r.comments = opts.Comments
	if k.files == nil {
		k.files = map[string]*sourceFile{}
	}
	k.files[r.file.name] = r.file
	if opts.Warn != nil {
		r.strict = func(msg string, line, col int32) { opts.Warn(msg, r.file.name, int(line), int(col)) }
	}
}
