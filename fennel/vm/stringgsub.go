package vm

import (
	lua "github.com/yuin/gopher-lua"
)

func stringGsub(L *lua.LState) int {
	src := argString(L, 1, "gsub")
	pat := argString(L, 2, "gsub")
	repl := L.Get(3)
	if n, ok := repl.(lua.LNumber); ok {
		repl = lua.LString(FormatNumber(float64(n)))
	}
	switch repl.(type) {
	case lua.LString, *lua.LTable, *lua.LFunction:
	default:
		argError(L, 3, "gsub", "string/function/table expected")
	}
	most := optInt(L, 4, len(src)+1, "gsub")

	g := &gsub{search: newSearch(L, "gsub", src, pat, true), repl: repl, limit: limitsOf(L).String}
	n := g.run(most)
	L.Push(lua.LString(g.out))
	L.Push(lua.LNumber(n))
	return 2
}

type gsub struct {
	*search
	repl  lua.LValue
	out   []byte
	limit int
}

func (g *gsub) run(most int) int {
	i, n := 0, 0
	for n < most {
		// What lies before the next match is copied in one piece.
		start, end := g.from(i)
		if start < 0 {
			break
		}
		g.append(g.src[i:start])
		n++
		g.replace(start, end)
		i = end
		if end == start {
			if start < len(g.src) {
				g.append(g.src[start : start+1])
			}
			i++
		}
		if i > len(g.src) || g.anchored {
			break
		}
	}
	if i < len(g.src) {
		g.append(g.src[i:])
	}
	return n
}

func (g *gsub) append(s string) {
	checkLength(g.L, int64(len(g.out))+int64(len(s)), g.limit)
	g.out = append(g.out, s...)
}

func (g *gsub) replace(start, end int) {
	var v lua.LValue
	switch repl := g.repl.(type) {
	case lua.LString:
		g.expand(string(repl), start, end)
		return
	case *lua.LTable:
		v = g.L.GetTable(repl, g.value(0, start, end))
	case *lua.LFunction:
		g.L.Push(repl)
		// The matcher's captures live in the search, which the function may not
		// reach: a gsub inside it has its own.
		g.L.Call(g.push(start, end, true), 1)
		v = g.L.Get(-1)
		g.L.Pop(1)
	}
	switch v := v.(type) {
	case lua.LString:
		g.append(string(v))
	case lua.LNumber:
		g.append(FormatNumber(float64(v)))
	default:
		if lua.LVAsBool(v) {
			raisef(g.L, "invalid replacement value (a %s)", v.Type().String())
		}
		g.append(g.src[start:end])
	}
}

// expand appends a replacement string: %1 to %9 are captures, %0 the match, any
// other character behind % itself.
func (g *gsub) expand(repl string, start, end int) {
	for i := 0; i < len(repl); i++ {
		c := repl[i]
		if c != '%' || i+1 == len(repl) {
			if c == '%' { // lua5.1 reads the NUL behind the string
				g.append("\x00")
				return
			}
			k := i
			for k < len(repl) && repl[k] != '%' {
				k++
			}
			g.append(repl[i:k])
			i = k - 1
			continue
		}
		i++
		switch c = repl[i]; {
		case c == '0':
			g.append(g.src[start:end])
		case c >= '1' && c <= '9':
			switch v := g.value(int(c-'1'), start, end).(type) {
			case lua.LString:
				g.append(string(v))
			case lua.LNumber:
				g.append(FormatNumber(float64(v)))
			}
		default:
			g.append(repl[i : i+1])
		}
	}
}
