package vm

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	lua "github.com/yuin/gopher-lua"
)

// Whatever the pattern, matching ends within its steps, does not panic, and
// what it captures lies inside the subject.
func FuzzPattern(f *testing.F) {
	for _, s := range []string{"", "a*b", "[%+-*]", "[]]", "(%w+)%1", "%b()", "%f[%w]", "()a()", "^(.-)$", "%", "[a", "((", "[^%z]+", "a-$", "%9", "[a-%z-]"} {
		f.Add(s, "hello (world) a+b--1")
	}
	f.Fuzz(func(t *testing.T, pat, src string) {
		const budget = 100_000
		asked := 0
		m := newMatcher(compilePattern(pat), src, budget, func() error { asked++; return nil })
		for i := 0; i <= len(src) && m.err == nil; i++ {
			end := m.at(i)
			if m.depth != 0 {
				t.Fatalf("depth %d after a match", m.depth)
			}
			if end < 0 {
				continue
			}
			if end < i || end > len(src) {
				t.Fatalf("match [%d, %d) of %d bytes", i, end, len(src))
			}
			for n, c := range m.capture[:m.p.ncapture] {
				if m.p.open[n] {
					continue
				}
				if c.start < i || c.end != capPosition && (c.end < c.start || c.end > end) {
					t.Fatalf("capture %d is [%d, %d) of a match [%d, %d)", n, c.start, c.end, i, end)
				}
			}
		}
		var complex tooComplexError
		if m.err == nil && m.steps < 0 || errors.As(m.err, &complex) && m.steps >= 0 {
			t.Fatalf("error %v with %d steps left", m.err, m.steps)
		}
	})
}

func FuzzFormat(f *testing.F) {
	for _, s := range []string{"%d", "%5.2f|%-10s|%q", "%%", "%+x", "%c%c", "%.99f", "%#g", "%a", "%"} {
		f.Add(s, 3.5, "text")
	}
	f.Fuzz(func(t *testing.T, format string, n float64, s string) {
		L := New(Options{Kind: Sandbox, Limits: Limits{String: 1 << 16}})
		defer Close(L)
		L.Push(L.NewFunction(stringFormat))
		L.Push(lua.LString(format))
		for i := range 4 {
			if i%2 == 0 {
				L.Push(lua.LNumber(n))
			} else {
				L.Push(lua.LString(s))
			}
		}
		var api *lua.ApiError
		if err := PCall(L, 5, 1, nil); errors.As(err, &api) && strings.Contains(api.Object.String(), "runtime error") {
			t.Fatal(err)
		}
	})
}

func FuzzNumber(f *testing.F) {
	for _, s := range []string{"1", "0x1p-3", "1e400", " .5 ", "-0x", "1_0", "inf"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		v, ok := ParseNumber(s)
		if !ok {
			return
		}
		again, ok := ParseNumber(FormatNumber(v))
		if !ok {
			t.Fatalf("%q is %v, written %q, which is no number", s, v, FormatNumber(v))
		}
		// Fourteen digits are what Lua writes.
		if v == v && again != v && FormatNumber(again) != FormatNumber(v) {
			t.Fatalf("%q: %v, then %v", s, v, again)
		}
	})
}

// Whatever a chunk does wrong, saying so does not go wrong itself.
func FuzzBlame(f *testing.F) {
	for _, s := range []string{"return x.y.z", "for i = 1, {} do end", "local a <const> = 1", "local t = {} t:f(1)()", "for k in nil do end", "return #nil .. -{} + 1 < {}", "return (function(...) local a, b = ... return b.c end)(1)"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, src string) {
		L := New(Options{Kind: Sandbox, Limits: Limits{PatternSteps: 1e5, String: 1 << 16, Source: 1 << 12}})
		defer Close(L)
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		L.SetContext(ctx)
		fn, err := Load(L, src, "=fuzz")
		if err != nil {
			return
		}
		L.Push(fn)
		err = PCall(L, 0, 0, nil)
		var api *lua.ApiError
		if errors.As(err, &api) && strings.Contains(api.Object.String(), "runtime error") {
			t.Fatalf("%q panicked: %v", src, err)
		}
	})
}
