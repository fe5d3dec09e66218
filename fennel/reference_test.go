//go:build reference

package fennel_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
)

// runner runs modules of the reference's suite by the reference's own test library.
const runner = `
(local fennel (require :fennel))
(table.insert package.loaders 2 (fennel.make-searcher {:useMetadata true :correlate true}))
(local t (require :test.faith))
(t.run [...] {:hooks {:exit (fn [] nil)}})`

// TestReferenceSuite runs the reference implementation's own tests, in a checkout of it that FENNEL_REFERENCE names and
// in which "make bootstrap/macros.lua bootstrap/match.lua" was run. None of its files are here, so the test has a build
// tag: go test -tags reference -run ReferenceSuite ./fennel.
func TestReferenceSuite(t *testing.T) {
	dir := os.Getenv("FENNEL_REFERENCE")
	if _, err := os.Stat(filepath.Join(dir, "bootstrap", "macros.lua")); err != nil {
		t.Fatal("FENNEL_REFERENCE: ", err)
	}
	t.Chdir(dir)
	t.Setenv("FENNEL_PATH", "src/?.fnl")
	t.Setenv("NO_COLOR", "")
	os.Unsetenv("NO_COLOR") // the suite looks for the marks of a place
	for _, module := range strings.Fields("core macro quoting mangling loops misc parser failures fennelview api searcher sourcemap bit linter") {
		t.Run(module, func(t *testing.T) {
			var out bytes.Buffer
			L := vm.New(vm.Options{Stdout: &out})
			k := fennel.Install(L)
			k.InstallSearcher(L, nil)
			L.Push(k.ScriptModule().RawGetString("eval"))
			L.Push(lua.LString(runner))
			L.Push(lua.LNil)
			L.Push(lua.LString("test." + module))
			err := vm.PCall(L, 3, 0, nil)
			vm.Close(L)
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(out.String(), " passed, 0 failed, 0 error(s), 0 skipped") {
				t.Error(out.String())
			}
		})
	}
}
