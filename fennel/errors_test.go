package fennel_test

import (
	"errors"
	"testing"

	"quire/fennel"
)

// TestErrorLayout holds what a person reads to the character.
func TestErrorLayout(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"unclosed", "(let [x 1]\n  (foo bar", `ci.fnl:2:10: Parse error: expected closing delimiters ))

  (foo bar
          ^
* Try closing the form that begins at line 2, column 2.`},
		{"closed too often", "(fn f [x]\n  (+ x 1)))\n", `ci.fnl:2:10: Parse error: unexpected closing delimiter )

  (+ x 1)))
          ^
* Try deleting ).
* Try adding matching opening delimiter earlier.`},
		{"mismatched", "(f [1 2)]", `ci.fnl:1:7: Parse error: mismatched closing delimiter ), expected ]

(f [1 2)]
       ^
* Try replacing ) with ].
* Try deleting ).
* Try adding matching opening delimiter earlier.`},
		{"odd table", "{:a 1\n :b}", `ci.fnl:2:3: Parse error: expected even number of values in table literal

 :b}
   ^
* Try removing a key.
* Try adding a value.`},
		{"a form", "(let [a 1 b] a)", `ci.fnl:1:5: Compile error: expected even number of name/value bindings

(let [a 1 b] a)
     ^^^^^^^
* Try finding where the identifier or value is missing.`},
		{"a form over several lines", "(print (let [a 1]\n         (if a\n           )))", `ci.fnl:2:9: Compile error: expected condition and body

         (if a
         ^^^^^`},
		{"a name", "(local x 1)\n(set x 2)", `ci.fnl:2:5: Compile error: expected var x

(set x 2)
     ^
* Try declaring x using var instead of let/local.
* Try introducing a new local instead of changing the value of x.`},
		{"an unknown name", "(print (strng.format :x))", `ci.fnl:1:8: Compile error: unknown identifier: strng

(print (strng.format :x))
        ^^^^^^^^^^^^
* Try looking to see if there's a typo.
* Try using the _G table instead, eg. _G.strng if you really want a global.
* Try moving this code to somewhere that strng is in scope.
* Try binding strng as a local in the scope of this code.`},
		{"tabs and wide characters", "\t(print é (fn))", "ci.fnl:1:10: Compile error: expected parameters table\n\n\t(print é (fn))\n\t         ^^^^\n* Try adding function parameters as a list of identifiers in brackets."},
		{"inside a macro", "(macro m [x] (assert-compile (sym? x) \"expected a name\" x) x)\n(m (f))", `ci.fnl:2:3: Compile error: expected a name

(m (f))
   ^^^`},
		{"windows lines", "(print 1)\r\n(let [x] x)\r\n", `ci.fnl:2:5: Compile error: expected even number of name/value bindings

(let [x] x)
     ^^^
* Try finding where the identifier or value is missing.`},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := fennel.Compile([]byte(c.src), fennel.Options{Filename: "ci.fnl", AllowedGlobals: []string{"print", "foo", "f", "é"}})
			if err == nil {
				t.Fatal("no error")
			}
			if got := err.Error(); got != c.want {
				t.Errorf("got\n%s\nwant\n%s", got, c.want)
			}
		})
	}
}

func TestErrorFields(t *testing.T) {
	_, err := fennel.Compile([]byte("\n  (let [x 1\n        y] x)"), fennel.Options{Filename: "a.fnl"})
	var e *fennel.Error
	if !errors.As(err, &e) {
		t.Fatal(err)
	}
	if e.Kind != fennel.CompileError || e.File != "a.fnl" || e.Line != 2 || e.Col != 7 || e.SourceLine != "  (let [x 1" || len(e.Advice) != 1 {
		t.Errorf("%+v", e)
	}
	if got, want := e.Terse(), "a.fnl:2:7: Compile error in 'x': expected even number of name/value bindings"; got != want {
		t.Errorf("terse %q, want %q", got, want)
	}
}

func TestExcerpt(t *testing.T) {
	src := []byte("one\ntwo three\nfour")
	for _, c := range []struct {
		line, col, end int
		want           string
	}{
		{2, 4, 8, "two three\n    ^^^^^"},
		{2, 4, 100, "two three\n    ^^^^^"},
		{2, 4, 0, "two three\n    ^"},
		{2, 9, 9, "two three\n         ^"},
		{2, 50, 51, "two three"},
		{2, -1, 0, "two three\n^"},
		{9, 0, 0, ""},
	} {
		if got := fennel.Excerpt(src, c.line, c.col, c.end); got != c.want {
			t.Errorf("Excerpt(%d, %d, %d) = %q, want %q", c.line, c.col, c.end, got, c.want)
		}
	}
}

// TestMacrosNeedNoGlobals uses every built-in macro in a program that may use no global but its own.
func TestMacrosNeedNoGlobals(t *testing.T) {
	for _, src := range []string{
		"(case x [a] a {:k b} b (where (or [1 c] [c 1])) c)", "(case x [a & r] r)", "(match x [a] a)",
		"(case-try x [a] a b b)", "(with-open [f x] f)", "(fn [...] (with-open [f x] f))", "(lambda [a] a)",
		"(icollect [_ v (x)] v)", "(icollect [_ v (x) &into [1]] v)", "(collect [k v (x)] k v)", "(fcollect [i 1 2] i)",
		"(?. x :a :b)", "(-?> x (x))", "(doto x (x))", "(partial x 1)", "(accumulate [s 0 _ v (x)] s)",
		"(let [[a & r] x {: k & more} x] more)", "(fn [a & r] r)", "(assert-repl x)", "(macrodebug (when x x) true)",
	} {
		if _, err := fennel.Compile([]byte(src), fennel.Options{AllowedGlobals: []string{"x"}}); err != nil {
			t.Errorf("%s\n%v", src, err)
		}
	}
}
