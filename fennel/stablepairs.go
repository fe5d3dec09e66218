package fennel

import (
	"sort"

	lua "github.com/yuin/gopher-lua"
)

// stablePairs visits a table in an order that is the same every time: keys in the order they were written, when the
// table is a literal, then the rest by type and value.
func stablePairs(x *lua.LTable, visit func(k, v lua.LValue) bool) {
	seen := map[lua.LValue]bool{}
	if mt, ok := x.Metatable.(*lua.LTable); ok {
		if keys, ok := mt.RawGetString("keys").(*lua.LTable); ok {
			for i := 1; i <= keys.Len(); i++ {
				k := keys.RawGetInt(i)
				v := x.RawGet(k)
				if v == lua.LNil || seen[k] {
					continue
				}
				seen[k] = true
				if !visit(k, v) {
					return
				}
			}
		}
	}
	var rest []lua.LValue
	x.ForEach(func(k, v lua.LValue) {
		if !seen[k] {
			rest = append(rest, k)
		}
	})
	sort.SliceStable(rest, func(i, j int) bool { return keyLess(rest[i], rest[j]) })
	for _, k := range rest {
		v := x.RawGet(k)
		if v == lua.LNil {
			continue
		}
		if !visit(k, v) {
			return
		}
	}
}

// keyLess orders numbers, booleans, strings, tables and the rest.
func keyLess(a, b lua.LValue) bool {
	ra, rb := keyRank(a), keyRank(b)
	if ra != rb {
		return ra < rb
	}
	if x, ok := a.(lua.LNumber); ok {
		return x < b.(lua.LNumber)
	}
	if x, ok := a.(lua.LString); ok {
		return x < b.(lua.LString)
	}
	return keyText(a) < keyText(b)
}

func keyRank(v lua.LValue) int {
	switch v.Type() {
	case lua.LTNumber:
		return 1
	case lua.LTBool:
		return 2
	case lua.LTString:
		return 3
	case lua.LTTable:
		return 4
	}
	return 5
}

func keyText(v lua.LValue) string {
	if t, ok := v.(*lua.LTable); ok {
		if s, ok := t.RawGetInt(1).(lua.LString); ok {
			return string(s)
		}
	}
	return v.String()
}
