package vm

import (
	"testing"

	lua "github.com/yuin/gopher-lua"
)

func BenchmarkNewSandbox(b *testing.B) {
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		Close(New(Options{Kind: Sandbox}))
	}
}

func BenchmarkNewFull(b *testing.B) {
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		Close(New(Options{}))
	}
}

func BenchmarkNewBareGopherLua(b *testing.B) {
	b.ReportAllocs()
	for i := 0; i < b.N; i++ {
		L := lua.NewState(lua.Options{SkipOpenLibs: true})
		for _, open := range []lua.LGFunction{lua.OpenBase, lua.OpenString, lua.OpenTable, lua.OpenMath} {
			L.Push(L.NewFunction(open))
			L.Call(0, 0)
		}
		L.Close()
	}
}
