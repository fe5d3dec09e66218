package fennel_test

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/fennel"
	"quire/fennel/luacode"
)

// seed gives the fuzzer every program of the language cases.
func seed(f *testing.F) {
	files, err := filepath.Glob("testdata/language/*.cases")
	if err != nil || len(files) == 0 {
		f.Fatal("no cases", err)
	}
	for _, file := range files {
		for _, c := range readCases(f, file) {
			f.Add([]byte(c.src))
		}
	}
	f.Add([]byte(pipeline))
}

// render lays an error out in every way there is.
func render(t *testing.T, err error) {
	var e *fennel.Error
	if !errors.As(err, &e) {
		t.Fatalf("error %q is a %T", err, err)
	}
	for _, text := range []string{e.Error(), e.Terse(), e.Marked("<", ">"), e.Marked("", "")} {
		if text == "" {
			t.Fatal("an error without text")
		}
	}
}

func FuzzRead(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		if _, err := fennel.Read(src, "fuzz.fnl"); err != nil {
			render(t, err)
		}
	})
}

// FuzzCompile compiles mutations of valid programs. What compiles also prints, as text which reads as Lua.
func FuzzCompile(f *testing.F) {
	seed(f)
	f.Fuzz(func(t *testing.T, src []byte) {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		opts := fennel.Options{Filename: "fuzz.fnl", LoadModule: macroModules, Context: ctx, UseBitLib: true}
		if _, err := fennel.Compile(src, opts); err != nil {
			render(t, err)
			return
		}
		text, err := fennel.CompileToLua(src, opts)
		if err != nil {
			render(t, err) // a macro may count its calls
			return
		}
		if strings.Contains(text, " // ") {
			return // Lua 5.3's
		}
		if _, err := luacode.Parse(text, "fuzz.lua"); err != nil {
			t.Fatalf("%v in\n%s", err, text)
		}
	})
}
