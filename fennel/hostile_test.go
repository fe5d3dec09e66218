package fennel_test

import (
	"bytes"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"quire/fennel"
)

// TestHostileInput gives the compiler what an attacker or a broken disk would. Each must end in an error, and in memory in
// proportion to the input (the race detector takes its share).
func TestHostileInput(t *testing.T) {
	rep := strings.Repeat
	for _, c := range []struct{ name, src, want string }{
		{"brackets", rep("(", 10<<20), "nested more than"},
		{"curly", rep("{", 1<<20), "nested more than"},
		{"prefixes", rep("#", 1<<20) + "x", "nested more than"},
		{"quotes", rep("`", 1<<20) + "x", "nested more than"},
		{"closed brackets", rep("(", 1<<20) + rep(")", 1<<20), "nested more than"},
		{"closers", rep(")", 1<<20), "unexpected closing delimiter"},
		{"mixed", rep("([{", 1<<10) + rep(")", 1<<10), "nested more than"},
		{"string", `"` + rep("x", 10<<20), "expected closing delimiter"},
		{"backslash", `"` + rep("\\", 1<<20+1), "expected closing delimiter"},
		{"number", rep("9", 10<<20) + "x", "could not read number"},
		{"long symbol", "(" + rep("a", 10<<20) + ")", ""},
		{"dots", rep("a.", 1<<20), ""},
		{"do", rep("(do ", 900) + "1" + rep(")", 900), ""},
		{"calls", rep("(f ", 900) + "1" + rep(")", 900), "too"},
		{"fns", rep("(fn [] ", 900) + "1" + rep(")", 900), ""},
		{"lets", rep("(let [x 1] ", 900) + "x" + rep(")", 900), ""},
		{"ifs", rep("(if x ", 900) + "x" + rep(")", 900), ""},
		{"adds", rep("(+ 1 ", 900) + "x" + rep(")", 900), ""},
		{"ands", rep("(and a ", 900) + "x" + rep(")", 900), ""},
		{"indexes", rep("(. ", 900) + "x" + rep(" 1)", 900), ""},
		{"tables", rep("[", 900) + rep("]", 900), "too"},
		{"macro of itself", "(macro m [] `(m)) (m)", "macro expanded more than"},
		{"macro that grows", "(macro m [] `(do (m))) (m)", "nested more than"},
		{"macro deep", "(macro m [] (var x 1) (for [_ 1 100000] (set x (list x))) x) (m)", "nested more than"},
		{"macro cycle", "(macro m [] (let [x (list 1)] (table.insert x x) x)) (m)", "nested more than"},
		{"macro that doubles", "(macro m [x] `(do ,x ,x)) " + rep("(m ", 60) + "1" + rep(")", 60), "macros expand to more than"},
		{"invalid UTF-8", "(print \"\xff\xfe\") \xc3\x28", ""},
		{"segments", rep("a.", 1<<20) + "a", "malformed multisym"},
		{"operands", "(+" + rep(" 1", 1<<20) + ")", "too many operands"},
		{"nested operands", rep("(+ (- 1"+rep(" 1", 100)+") ", 500) + "1" + rep(")", 500), ""},
		{"concat", "(.." + rep(" :a", 4000) + ")", ""},
		{"concat more", "(.." + rep(" :a", 1<<18) + ")", "too many operands"},
		{"branches", "(if" + rep(" x y", 1<<18) + ")", "too many operands or branches"},
		{"clauses", "(case x" + rep(" 1 2", 1<<18) + ")", "too many operands or branches"},
		{"steps", "(-> x" + rep(" (f)", 1<<18) + ")", "nested more than"},
		{"keys", "(. t" + rep(" :k", 1<<18) + ")", "too many operands"},
		{"elements", "[" + rep("1 ", 1<<20) + "]", ""},
		{"distinct elements", "[" + numbers(1<<16) + "]", ""},
		{"distinct statements", "(do " + strings.ReplaceAll(numbers(1<<15), " ", ") (print ")[1:] + "))", ""},
		{"arguments", "(f" + rep(" x", 1<<16) + ")", ""},
		{"params", "(fn [" + rep("x ", 1<<16) + "] 1)", "too"},
		{"bindings", "(let [" + rep("x 1 ", 1<<15) + "] 1)", "too"},
		{"zeros", rep("\x00", 1<<20), "invalid character"},
		{"zero symbol", "(print a\x00b)", "invalid character"},
		{"hashes", "#" + rep("#", 900) + "$", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := fennel.Compile([]byte(c.src), fennel.Options{Filename: "bad.fnl"})
			runtime.ReadMemStats(&after)
			if used, limit := after.TotalAlloc-before.TotalAlloc, uint64(1000*len(c.src)+64<<20); used > limit && !strings.HasPrefix(c.name, "macro") {
				t.Errorf("allocated %d MB for %d KB", used>>20, len(c.src)>>10)
			}
			if err == nil {
				if c.want != "" {
					t.Fatalf("compiled; want an error with %q", c.want)
				}
				return
			}
			text := err.Error()
			if len(text) > 100<<10 {
				t.Errorf("the error has %d bytes", len(text))
			}
			if !strings.Contains(text, c.want) {
				t.Errorf("error %.300q; want %q in it", text, c.want)
			}
			if e := (*fennel.Error)(nil); !errors.As(err, &e) {
				t.Errorf("error is a %T", err)
			}
		})
	}
}

// numbers are n different ones.
func numbers(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d ", i)
	}
	return b.String()
}

// TestManyLocals exceeds what a function of gopher-lua can hold.
func TestManyLocals(t *testing.T) {
	for _, n := range []int{150, 190, 250, 1000} {
		var b bytes.Buffer
		for i := range n {
			fmt.Fprintf(&b, "(local v%d %d)\n", i, i)
		}
		fmt.Fprintf(&b, "(+ v0 v%d)\n", n-1)
		_, err := fennel.Compile(b.Bytes(), fennel.Options{Filename: "many.fnl"})
		if n <= 150 && err != nil {
			t.Errorf("%d locals: %v", n, err)
		}
		if n > 200 && err != nil && !strings.Contains(err.Error(), "local variables") {
			t.Errorf("%d locals: %v", n, err)
		}
	}
}
