package vm

import (
	"bytes"
	"context"
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

var update = flag.Bool("update", false, "write what lua5.1 prints to testdata/*.out")

// Each testdata/*.lua prints the same here and under lua5.1. What lua5.1 prints
// is kept beside it, so that the comparison is made without lua5.1 too; where
// it is installed, what is kept is held to it.
func TestAsLua51(t *testing.T) {
	scripts, err := filepath.Glob("testdata/*.lua")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, script := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(script), ".lua"), func(t *testing.T) {
			golden := strings.TrimSuffix(script, ".lua") + ".out"
			if *update {
				if err := os.WriteFile(golden, runLua51(t, script), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			compareLines(t, "here", comparable(runHere(t, script)), comparable(want))
		})
	}
}

func TestGoldenIsLua51(t *testing.T) {
	scripts, _ := filepath.Glob("testdata/*.lua")
	for _, script := range scripts {
		want, err := os.ReadFile(strings.TrimSuffix(script, ".lua") + ".out")
		if err != nil {
			t.Fatal(err)
		}
		compareLines(t, script+" under lua5.1", comparable(runLua51(t, script)), comparable(want))
	}
}

func runLua51(t *testing.T, script string) []byte {
	t.Helper()
	if _, err := exec.LookPath("lua5.1"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal("needs lua5.1")
		}
		t.Skip("needs lua5.1: apt install lua5.1")
	}
	cmd := exec.Command("lua5.1", filepath.Base(script))
	cmd.Dir = filepath.Dir(script)
	cmd.Env = append(os.Environ(), "TZ=UTC")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("lua5.1 %s: %v\n%s", script, err, out)
	}
	return out
}

func runHere(t *testing.T, script string) []byte {
	t.Helper()
	var out bytes.Buffer
	L := New(Options{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out})
	defer Close(L)
	src, err := os.ReadFile(script)
	if err != nil {
		t.Fatal(err)
	}
	fn, err := Load(L, string(src), "@"+filepath.Base(script))
	if err != nil {
		t.Fatal(err)
	}
	L.Push(fn)
	if err := PCall(L, 0, 0, nil); err != nil {
		t.Errorf("%v\n%s", err, out.Bytes())
	}
	return out.Bytes()
}

var (
	address  = regexp.MustCompile(`(table|function|thread|userdata|file)(: | \()0x[0-9a-f]+`)
	argument = regexp.MustCompile(`(bad argument #\d+ to )'[^']*'`)
	tempName = regexp.MustCompile(`/tmp/lua_\w+`)
)

// comparable takes out what differs from run to run, and the name of a function
// that pcall calls, of which lua5.1 knows nothing.
func comparable(out []byte) []string {
	out = address.ReplaceAll(out, []byte("$1${2}ADDRESS"))
	out = argument.ReplaceAll(out, []byte("$1'?'"))
	out = tempName.ReplaceAll(out, []byte("/tmp/lua_NAME"))
	return strings.Split(string(out), "\n")
}

func compareLines(t *testing.T, what string, got, want []string) {
	t.Helper()
	for i := 0; i < max(len(got), len(want)); i++ {
		var g, w string
		if i < len(got) {
			g = got[i]
		}
		if i < len(want) {
			w = want[i]
		}
		if g != w {
			t.Errorf("%s, line %d:\n got %q\nwant %q", what, i+1, g, w)
		}
	}
}

// run runs a chunk in a state and returns its results as tostring has them.
func run(t *testing.T, L *lua.LState, src string) ([]string, error) {
	t.Helper()
	fn, err := Load(L, src, "=test")
	if err != nil {
		t.Fatal(err)
	}
	L.SetTop(0)
	L.Push(fn)
	if err := PCall(L, 0, lua.MultRet, nil); err != nil {
		return nil, err
	}
	var out []string
	for _, v := range stackValues(L, 1) {
		out = append(out, ToString(L, v))
	}
	L.SetTop(0)
	return out, nil
}

func sandbox(t *testing.T, ctx context.Context, limits Limits) *lua.LState {
	t.Helper()
	L := New(Options{Kind: Sandbox, Context: ctx, Limits: limits})
	t.Cleanup(func() { Close(L) })
	return L
}
