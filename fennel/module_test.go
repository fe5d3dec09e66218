package fennel

import (
	"bytes"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"

	"quire/fennel/vm"
)

var updateModule = flag.Bool("update-module", false, "write what testdata/module/*.txtar print into them")

var addresses = regexp.MustCompile(`0x[0-9a-f]+`)

// Each archive is a directory with a program, main.fnl, and what it prints. The
// reference under lua5.1 prints the same but for its own frames in tracebacks,
// the words of docstrings, and the directories of an installed Lua.
func TestModule(t *testing.T) {
	archives, err := filepath.Glob("testdata/module/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("no archives: %v", err)
	}
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			t.Setenv("FENNEL_PATH", "")
			t.Setenv("FENNEL_MACRO_PATH", "")
			t.Setenv("NO_COLOR", "1")
			dir := t.TempDir()
			var want []byte
			for i, f := range archive.Files {
				if f.Name == "want" {
					want = f.Data
					archive.Files = append(archive.Files[:i], archive.Files[i+1:]...)
					break
				}
			}
			if err := txtar.Write(archive, dir); err != nil {
				t.Fatal(err)
			}
			t.Chdir(dir)
			got := runMain(t)
			if *updateModule {
				archive.Files = append(archive.Files, txtar.File{Name: "want", Data: got})
				if err := os.WriteFile(filepath.Join(here, path), txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			sameLines(t, "main.fnl", got, want)
		})
	}
}

func runMain(t *testing.T) []byte {
	t.Helper()
	var out bytes.Buffer
	L := vm.New(vm.Options{Stdin: strings.NewReader(""), Stdout: &out, Stderr: &out})
	defer vm.Close(L)
	if err := Install(L).RunFile("main.fnl", nil); err != nil {
		t.Errorf("%v", err)
	}
	return addresses.ReplaceAll(out.Bytes(), []byte("0xADDRESS"))
}

// A state without io has the module, and no files.
func TestModuleWithoutFiles(t *testing.T) {
	L := vm.New(vm.Options{Kind: vm.Sandbox})
	defer vm.Close(L)
	k := Install(L)
	if err := k.RunString(`
		(local fennel (require :fennel))
		(values (fennel.view [1 {:a 2}])
		        (fennel.eval "(+ 1 2)")
		        (pcall fennel.dofile "module_test.go")
		        (pcall require :module_test)
		        (fennel.search-module "a" "?.go")
		        (pcall fennel.repl))`, nil); err != nil {
		t.Fatal(err)
	}
	var got []string
	for i := 1; i <= L.GetTop(); i++ {
		got = append(got, vm.ToString(L, L.Get(i)))
	}
	text := strings.Join(got, "\n")
	for _, want := range []string{"[1 {:a 2}]\n3\nfalse\n", "this state has no io library"} {
		if !strings.Contains(text, want) {
			t.Errorf("got %q, want something with %q", text, want)
		}
	}
}
