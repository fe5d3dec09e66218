package fennel

import (
	"encoding/binary"
	"math"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel/vm"
)

// valueMaker makes a Lua value of arbitrary bytes.
type valueMaker struct {
	b []byte
	L *lua.LState
}

func (m *valueMaker) byte() byte {
	if len(m.b) == 0 {
		return 0
	}
	c := m.b[0]
	m.b = m.b[1:]
	return c
}

func (m *valueMaker) take(n int) []byte {
	n = min(n, len(m.b))
	out := m.b[:n]
	m.b = m.b[n:]
	return out
}

func (m *valueMaker) value(depth int) lua.LValue {
	kind := m.byte()
	switch {
	case kind < 60:
		return lua.LString(m.take(int(kind)))
	case kind < 80:
		return lua.LNumber(kind) - 70
	case kind < 110:
		var bits [8]byte
		copy(bits[:], m.take(8))
		f := math.Float64frombits(binary.LittleEndian.Uint64(bits[:]))
		if f != f {
			f = 0
		}
		return lua.LNumber(f)
	case kind < 130:
		return lua.LBool(kind%2 == 0)
	}
	t := m.L.NewTable()
	if depth == 0 {
		return t
	}
	for range kind % 7 {
		if kind < 190 {
			t.Append(m.value(depth - 1))
			continue
		}
		key := m.value(0)
		// gopher-lua makes an array of fifty million for the key 5e7.
		if n, ok := key.(lua.LNumber); ok && n > 1e5 && n < 1e9 || key.Type() == lua.LTTable {
			continue
		}
		t.RawSet(key, m.value(depth-1))
	}
	return t
}

// sameValue tells whether b is what a prints as: numbers agree to the digits
// that are printed, which is to say that they print the same.
func sameValue(t *testing.T, L *lua.LState, a, b lua.LValue) bool {
	ta, ok := a.(*lua.LTable)
	if !ok {
		if s, ok := a.(lua.LString); ok {
			return s == b
		}
		return View(L, a, nil) == View(L, b, nil)
	}
	tb, ok := b.(*lua.LTable)
	if !ok || View(L, ta, nil) != View(L, tb, nil) {
		return false
	}
	same := true
	ta.ForEach(func(k, v lua.LValue) {
		// Keys that lose digits are other keys: what is printed was compared.
		if n, ok := k.(lua.LNumber); ok && View(L, n, nil) != n.String() {
			return
		}
		if w := tb.RawGet(k); w != lua.LNil || v != lua.LNil {
			same = same && sameValue(t, L, v, w)
		}
	})
	return same
}

// What view prints, Fennel reads back as the same value.
func FuzzViewReadsBack(f *testing.F) {
	f.Add([]byte("\x90\x05hello\x04a\nb\xff"))
	f.Add([]byte("\xc3\x03key\x46\x02\xc3\xa9\x78"))
	f.Add([]byte("\xff\x3c; not a comment (or is it) [\"\\\" { :x } ,@`#"))
	f.Add([]byte("\x94\x5a\x00\x00\x00\x00\x00\x00\xf0\x7f\x5a\x9a\x99\x99\x99\x99\x99\xb9\x3f"))
	L := vm.New(vm.Options{Kind: vm.Sandbox})
	f.Cleanup(func() { vm.Close(L) })
	k := Install(L)
	f.Fuzz(func(t *testing.T, b []byte) {
		v := (&valueMaker{b: b, L: L}).value(5)
		text := View(L, v, nil)
		L.SetTop(0)
		if err := k.RunString(text, nil); err != nil {
			t.Fatalf("%q does not compile: %v", text, err)
		}
		if !sameValue(t, L, v, L.Get(1)) {
			t.Fatalf("%s\nread back and printed is\n%s", text, View(L, L.Get(1), nil))
		}
	})
}
