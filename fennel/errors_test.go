package fennel_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

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
		{"a macro that complains without a form", "(macro m [x]\n  (assert-compile (= :string (type x)) \"need a string\"))\n(print\n  (m 1))", `ci.fnl:4:2: Compile error: need a string

  (m 1))
  ^^^^^`},
		{"a macro that complains of what it made", "(macro m [x] (assert-compile false \"no place\" (list 1 2)))\n(print (m 1))", `ci.fnl:2:7: Compile error: no place

(print (m 1))
       ^^^^^`},
		{"a function without a name and parameters", "(fn nil [] 1)", `ci.fnl:1:0: Compile error: expected parameters table

(fn nil [] 1)
^^^^^^^^^^^^^
* Try adding function parameters as a list of identifiers in brackets.`},
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

// TestMacroModuleErrors has modules that fail to load: the error stands at the form that wants them.
func TestMacroModuleErrors(t *testing.T) {
	modules := map[string]string{
		"outer":   "(local inner (require :no.such))\n{:m (fn [] 1)}",
		"checks":  "(assert-compile false \"not today\")\n{}",
		"raises":  "(error \"boom\" 0)",
		"numbers": "{:n 1}",
		"table":   "{:sub {:f (fn [] 1)}}",
	}
	load := func(name string) ([]byte, string, bool) {
		text, ok := modules[name]
		return []byte(text), name + ".fnl", ok
	}
	for _, c := range []struct{ src, want string }{
		{"(print 1)\n(import-macros {: m} :outer)", "ci.fnl:2:0: Compile error: no.such module not found.\n\n(import-macros {: m} :outer)\n^^^^^^^^^^^^^^^^^^^^^^^^^^^^\n* Try correcting the require in outer.fnl:1."},
		{"(print 1)\n(import-macros {: m} :checks)", "ci.fnl:2:0: Compile error: not today\n\n(import-macros {: m} :checks)\n^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"},
		{"(print 1)\n(import-macros {: m} :raises)", "ci.fnl:2:0: Compile error: boom\n\n(import-macros {: m} :raises)\n^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"},
		{"(import-macros {: f} :numbers)", "ci.fnl:1:0: Compile error: macro f not found in module numbers\n\n(import-macros {: f} :numbers)\n^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^"},
		{"(import-macros t :table)\n(t.sub.g)", "ci.fnl:2:1: Compile error: macro not found in imported macro module (macro not found, or not callable, in macro table)\n\n(t.sub.g)\n ^^^^^^^\n* Try checking the keys of the imported macro module's returned table.\n* Try ensuring that if the invoked macro is a table, it has a __call metamethod."},
	} {
		_, err := fennel.Compile([]byte(c.src), fennel.Options{Filename: "ci.fnl", LoadModule: load})
		if err == nil || err.Error() != c.want {
			t.Errorf("%s\ngot\n%v\nwant\n%s", c.src, err, c.want)
		}
	}
}

// TestDamagedProgramsKeepPlaces takes programs apart as typing mistakes do. Whatever is said of them has a line.
func TestDamagedProgramsKeepPlaces(t *testing.T) {
	files, err := filepath.Glob("testdata/language/*.cases")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	random := rand.New(rand.NewPCG(14, 5))
	refused := 0
	for _, file := range files {
		for _, c := range readCases(t, file) {
			for range 6 {
				src := damaged(random, c.src)
				ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
				_, err := fennel.Compile([]byte(src), fennel.Options{Filename: "t.fnl", Context: ctx})
				cancel()
				var e *fennel.Error
				if !errors.As(err, &e) {
					continue
				}
				refused++
				if e.File != "t.fnl" || e.Line < 1 {
					t.Errorf("%s\n%v", src, err)
				}
			}
		}
	}
	if refused < 500 {
		t.Errorf("only %d programs were refused", refused)
	}
}

// damaged is a program with a piece of it gone, doubled, or another's.
func damaged(random *rand.Rand, src string) string {
	pieces := regexp.MustCompile(`[()\[\]{}]|[^\s()\[\]{}]+|\s+`).FindAllString(src, -1)
	i, j := random.IntN(len(pieces)), random.IntN(len(pieces))
	switch random.IntN(4) {
	case 0:
		pieces[i] = ""
	case 1:
		pieces[i] += " " + pieces[j]
	case 2:
		pieces[i] = pieces[j]
	default:
		pieces[i] = []string{"nil", "1", ":s", "...", "x.y", "(f)", "[]", "{}"}[random.IntN(8)]
	}
	return strings.Join(pieces, "")
}

// What one function cannot hold is told with the line where the function begins.
func TestTooManyLocalsHaveAPlace(t *testing.T) {
	var src strings.Builder
	src.WriteString("(fn big []\n")
	for i := range 300 {
		fmt.Fprintf(&src, "  (local v%d (tostring %d))\n", i, i)
	}
	src.WriteString("  v1)")
	_, err := fennel.Compile([]byte(src.String()), fennel.Options{Filename: "ci.fnl"})
	var e *fennel.Error
	if !errors.As(err, &e) || e.Line < 1 || e.SourceLine == "" || !strings.Contains(e.Error(), "^^^") {
		t.Errorf("%v", err)
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
