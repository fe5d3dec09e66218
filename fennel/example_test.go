package fennel_test

import (
	"errors"
	"fmt"
	"os"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
)

// A program is compiled once, and runs in a state that can do nothing but compute.
func ExampleCompile() {
	source := []byte(`(fn area [{: width : height}] (* width height))
(area {:width 6 :height 7})`)
	proto, err := fennel.Compile(source, fennel.Options{Filename: "area.fnl"})
	if err != nil {
		fmt.Println(err)
		return
	}
	L := vm.New(vm.Options{Kind: vm.Sandbox})
	defer vm.Close(L)
	L.Push(L.NewFunctionFromProto(proto))
	if err := vm.PCall(L, 0, 1, nil); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(L.Get(-1))
	// Output: 42
}

// Names that a program may not use are found when it is compiled, with their place.
func ExampleOptions_allowedGlobals() {
	options := fennel.Options{Filename: "rules.fnl", AllowedGlobals: []string{"string", "limit"}}
	_, err := fennel.Compile([]byte("(< (length (strng.upper :x)) limit)"), options)
	var e *fennel.Error
	if errors.As(err, &e) {
		fmt.Println(e.File, e.Line, e.Col, e.Message)
		fmt.Println(fennel.Excerpt([]byte(e.SourceLine), 1, e.Col, e.EndCol))
	}
	// Output:
	// rules.fnl 1 12 unknown identifier: strng
	// (< (length (strng.upper :x)) limit)
	//             ^^^^^^^^^^^
}

// Macro modules come from where the embedder says.
func ExampleOptions_loadModule() {
	modules := map[string]string{"twice": "{:twice (fn [x] `(+ ,x ,x))}"}
	proto, err := fennel.Compile([]byte("(import-macros {: twice} :twice) (twice 21)"), fennel.Options{
		LoadModule: func(name string) ([]byte, string, bool) {
			text, ok := modules[name]
			return []byte(text), name + ".fnl", ok
		},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	L := vm.New(vm.Options{Kind: vm.Sandbox})
	defer vm.Close(L)
	L.Push(L.NewFunctionFromProto(proto))
	fmt.Println(vm.PCall(L, 0, 1, nil), L.Get(-1))
	// Output: <nil> 42
}

// The same program as text.
func ExampleCompileToLua() {
	text, err := fennel.CompileToLua([]byte(`(each [_ x (ipairs [1 2 3])] (print (* x x)))`), fennel.Options{})
	fmt.Println(text, err)
	// Output:
	// for _, x in ipairs({1, 2, 3}) do
	//   print((x * x))
	// end
	// return nil <nil>
}

// Forms can be read without being compiled, and written back.
func ExampleRead() {
	forms, err := fennel.Read([]byte("(ci.job :test\n  [:quire/push] {:retries 2})"), "ci.fnl")
	if err != nil {
		fmt.Println(err)
		return
	}
	job := forms[0].(*fennel.List)
	fmt.Println(job)
	for _, item := range job.Items[1:] {
		switch form := item.(type) {
		case *fennel.Seq:
			fmt.Printf("line %d, column %d: %v\n", form.Line, form.Col, form)
		case *fennel.Table:
			fmt.Printf("line %d, column %d: %v\n", form.Line, form.Col, form)
		}
	}
	// Output:
	// (ci.job "test" ["quire/push"] {:retries 2})
	// line 2, column 2: ["quire/push"]
	// line 2, column 16: {:retries 2}
}

// Values of a state are printed as Fennel writes them.
func ExampleView() {
	L := vm.New(vm.Options{Kind: vm.Sandbox})
	defer vm.Close(L)
	t := L.NewTable()
	t.RawSetString("name", lua.LString("quire"))
	t.RawSetString("list", L.NewTable())
	fmt.Println(fennel.View(L, t, nil))
	// Output: {:list {} :name "quire"}
}

// A state of a person's own programs has the whole language at run time.
func ExampleInstall() {
	L := vm.New(vm.Options{Stdout: os.Stdout})
	k := fennel.Install(L)
	if err := k.RunString(`(local fennel (require :fennel)) (fennel.eval "(macro m [] 42) (m)")`, nil); err != nil {
		fmt.Println(err)
	}
	fmt.Println(L.Get(-1))
	vm.Close(L)
	// Output: 42
}
