package fennel

import (
	lua "github.com/yuin/gopher-lua"
)

// scopeValue is a scope as macros and plugins see it.
func (k *Compiler) scopeValue(s *Scope) lua.LValue {
	k.vm()
	if s.handle != nil {
		return s.handle
	}
	h := k.L.NewTable()
	s.handle = h
	if k.scopes == nil {
		k.scopes = map[*lua.LTable]*Scope{}
	}
	k.scopes[h] = s
	return h
}

func (k *Compiler) specialsTable() *lua.LTable {
	k.vm()
	if k.specials == nil {
		k.specials = k.L.NewTable()
	}
	return k.specials
}

func (k *Compiler) exprsFromLua(c *compilation, t *lua.LTable, x *List) ([]expr, bool) {
	return nil, false
}
