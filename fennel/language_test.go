package fennel_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
)

// languageCase is a program and what the reference implementation on Lua 5.1 says of it: its values, printed, or the
// first line of its error.
type languageCase struct {
	src, want string
}

// readCases reads programs separated by empty lines, each followed by lines of ";=> ".
func readCases(t testing.TB, file string) []languageCase {
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var cases []languageCase
	var src, want []string
	flush := func() {
		if len(src) > 0 {
			cases = append(cases, languageCase{strings.Join(src, "\n"), strings.Join(want, "\n")})
		}
		src, want = nil, nil
	}
	for _, line := range strings.Split(string(text), "\n") {
		switch {
		case strings.HasPrefix(line, ";=>"):
			want = append(want, strings.TrimPrefix(strings.TrimPrefix(line, ";=>"), " "))
		case line == "" && want != nil:
			flush()
		default:
			src = append(src, line)
		}
	}
	flush()
	return cases
}

// evaluate runs a program as (fennel.eval source options) and prints its values, or its error.
func evaluate(L *lua.LState, k *fennel.Compiler, src string) string {
	opts := L.NewTable()
	opts.RawSetString("filename", lua.LString("t.fnl"))
	opts.RawSetString("allowedGlobals", lua.LFalse)
	opts.RawSetString("error-pinpoint", lua.LFalse)
	opts.RawSetString("warn", L.NewFunction(func(*lua.LState) int { return 0 }))
	L.SetTop(0)
	L.Push(k.Module().RawGetString("eval"))
	L.Push(lua.LString(src))
	L.Push(opts)
	if err := vm.PCall(L, 2, lua.MultRet, nil); err != nil {
		if api, ok := err.(*lua.ApiError); ok && api.Object != nil {
			return "ERR " + vm.ToString(L, api.Object)
		}
		return "ERR " + err.Error()
	}
	line := L.NewTable()
	line.RawSetString("one-line?", lua.LTrue)
	var out []string
	for i := 1; i <= L.GetTop(); i++ {
		out = append(out, fennel.View(L, L.Get(i), line))
	}
	return strings.Join(out, " ")
}

// TestLanguage holds the compiler to the reference, form by form. Errors of compiling are the same to the letter;
// errors of running need only be errors, since the two machines word them differently.
func TestLanguage(t *testing.T) {
	files, err := filepath.Glob("testdata/language/*.cases")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".cases"), func(t *testing.T) {
			for _, c := range readCases(t, file) {
				L := vm.New(vm.Options{})
				got := evaluate(L, fennel.New(L), c.src)
				vm.Close(L)
				got = address.ReplaceAllString(got, "0xADDR")
				if strings.HasPrefix(c.want, "ERR ") {
					first, _, _ := strings.Cut(got, "\n")
					if !sameError(first, c.want) {
						t.Errorf("%s\n got %s\nwant %s", c.src, first, c.want)
					}
					continue
				}
				if got != c.want {
					t.Errorf("%s\n got %s\nwant %s", c.src, got, c.want)
				}
			}
		})
	}
}

var (
	address = regexp.MustCompile("0x[0-9a-f]+")
	// luaPlace is where in its own source the reference noticed a fault: before the messages of macros.
	luaPlace = regexp.MustCompile(`(\[string "[^"]*"\]|/[^ :]*\.lua|t\.fnl):\d+: |: 0xADDR`)
	unknown  = regexp.MustCompile(`^ERR (unknown|t\.fnl):[0-9?]+:\?: `)
)

// sameError compares errors of compiling by place and message. The reference wraps what a built-in macro raises in a
// second message and sometimes knows no place; here the inner one stands alone and has a place.
func sameError(got, want string) bool {
	if !strings.Contains(want, " error: ") {
		return strings.HasPrefix(got, "ERR ")
	}
	inner := func(s string) string {
		for _, kind := range []string{"Compile error: ", "Parse error: "} {
			if i := strings.LastIndex(s, kind); i >= 0 {
				return luaPlace.ReplaceAllString(s[i:], "")
			}
		}
		return s
	}
	if inner(got) != inner(want) {
		return false
	}
	if unknown.MatchString(want) || strings.Count(want, " error: ") > 1 {
		return true
	}
	return strings.Join(strings.SplitN(got, ":", 4)[:3], ":") == strings.Join(strings.SplitN(want, ":", 4)[:3], ":")
}
