package fennel

import (
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// source reads all of a text that a script gives as a string or as a stream of bytes.
func (k *Compiler) sourceText(L *lua.LState, v lua.LValue) []byte {
	switch s := v.(type) {
	case lua.LString:
		return []byte(s)
	case *lua.LUserData:
		L.Push(L.GetField(s, "read"))
		L.Push(s)
		L.Push(lua.LString("*a"))
		L.Call(2, 1)
		text := L.Get(-1).String()
		L.Pop(1)
		return []byte(text)
	}
	var out []byte
	fill := k.byteStream(L, v)
	for {
		chunk, ok := fill(0)
		if !ok {
			return out
		}
		out = append(out, chunk...)
	}
}

// byteStream reads a script's stream, which gives a byte or a string at each call and nil at its end.
func (k *Compiler) byteStream(L *lua.LState, fn lua.LValue) func(depth int) ([]byte, bool) {
	return func(depth int) ([]byte, bool) {
		state := L.CreateTable(0, 1)
		state.RawSetString("stack-size", lua.LNumber(depth))
		L.Push(fn)
		L.Push(state)
		L.Call(1, 1)
		v := L.Get(-1)
		L.Pop(1)
		switch b := v.(type) {
		case lua.LNumber:
			return []byte{byte(b)}, true
		case lua.LString:
			return []byte(b), len(b) > 0
		}
		return nil, false
	}
}

func (k *Compiler) luaStringStream(L *lua.LState) int {
	text := L.CheckString(1)
	if strings.HasPrefix(text, "#!") {
		text = ";;" + text[2:]
	}
	if o := optTable(L, 2); o != nil {
		o.RawSetString("source", lua.LString(text))
	}
	i := 0
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if i >= len(text) {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LNumber(text[i]))
		i++
		return 1
	}))
	return 1
}

// luaGranulate turns a stream of strings into a stream of bytes, and gives a function that forgets what is buffered.
func (k *Compiler) luaGranulate(L *lua.LState) int {
	fn := L.Get(1)
	var buf []byte
	done := false
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if len(buf) == 0 && !done {
			L.Push(fn)
			L.Push(L.Get(1))
			L.Call(1, 1)
			s, ok := L.Get(-1).(lua.LString)
			L.Pop(1)
			buf, done = []byte(s), !ok
		}
		if len(buf) == 0 {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LNumber(buf[0]))
		buf = buf[1:]
		return 1
	}))
	L.Push(L.NewFunction(func(*lua.LState) int {
		buf = nil
		return 0
	}))
	return 2
}

// luaParser gives an iterator over the forms of a text or stream.
func (k *Compiler) luaParser(L *lua.LState) int {
	name := "unknown"
	if v := L.Get(2); v != lua.LNil {
		s, ok := v.(lua.LString)
		if !ok {
			L.RaiseError("expected filename as second argument to parser")
		}
		name = string(s)
	}
	opts := optTable(L, 3)
	o := k.LuaOptions(opts)
	var r *reader
	if s, ok := L.Get(1).(lua.LString); ok {
		r = newReader([]byte(s), name)
		if opts != nil {
			opts.RawSetString("source", s)
		}
	} else {
		r = newReader(nil, name)
		r.more = k.byteStream(L, L.Get(1))
	}
	k.prepareReader(r, &o)
	stream := L.Get(1)
	L.Push(L.NewFunction(func(L *lua.LState) int {
		if r.more != nil {
			r.more = k.byteStream(L, stream)
		}
		var n Node
		ok := false
		k.run(L, opts, func() { n, ok = r.next() })
		if !ok {
			L.Push(lua.LNil)
			return 1
		}
		L.Push(lua.LTrue)
		k.types.spelled = true
		L.Push(k.types.toLua(L, n))
		k.types.spelled = false
		return 2
	}))
	L.Push(L.NewFunction(func(L *lua.LState) int {
		r.reset()
		if _, isText := stream.(lua.LString); !isText {
			r.more = k.byteStream(L, stream)
		}
		return 0
	}))
	return 2
}
