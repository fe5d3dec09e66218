package fennel_test

import (
	"strings"
	"sync"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/luacode"
	"quire/fennel/vm"
)

// TestRuntimeErrorsNameTheFennelLine raises an error on a known line of each program, in each shape of code.
func TestRuntimeErrorsNameTheFennelLine(t *testing.T) {
	for _, c := range []struct {
		name, src string
		line      string
	}{
		{"top level", "\n\n(error :boom)", "3"},
		{"function", "(fn f [x]\n  (let [y x]\n    (error y)))\n(f :boom)", "3"},
		{"argument", "(fn f [x] x)\n(f 1\n   (f 2\n      (error :boom)))", "4"},
		{"condition", "(if\n (= 1 2) 1\n (error :boom) 2)", "3"},
		{"branch", "(when true\n  (do\n    (error :boom)))", "3"},
		{"index nil", "(local t {})\n\n(print\n  t.x.y)", "4"},
		{"call nil", "(local t {})\n(t.nothing)\n", "2"},
		{"loop", "(each [_ v (ipairs [1])]\n  (icollect [_ w (ipairs [v])]\n    (error :boom)))", "3"},
		{"match", "(case [1]\n  [x]\n  (error x))", "3"},
		{"macro's argument", "(macro twice [x]\n  `(do ,x\n       ,x))\n\n(twice\n  (error :boom))", "6"},
		{"threading", "(-> 1\n    (+ 1)\n    (error))", "3"},
		{"hashfn", "(local f\n  #(error $))\n(f :boom)", "2"},
		{"lambda", "(lambda f [x]\n  x)\n(print (f\n nil))", "3"},
		{"arithmetic", "(local a 1)\n(local b nil)\n(print (+ a\n          b))", "3"},
	} {
		t.Run(c.name, func(t *testing.T) {
			L := vm.New(vm.Options{})
			defer vm.Close(L)
			proto, err := fennel.Compile([]byte(c.src), fennel.Options{Filename: "where.fnl"})
			if err != nil {
				t.Fatal(err)
			}
			L.Push(L.NewFunctionFromProto(proto))
			err = L.PCall(0, 0, nil)
			if err == nil {
				t.Fatal("no error")
			}
			if text := err.(*lua.ApiError).Object.String(); !strings.HasPrefix(text, "where.fnl:"+c.line+":") &&
				!strings.Contains(err.Error(), "where.fnl:"+c.line+":") {
				t.Errorf("error %q; want line %s", text, c.line)
			}
		})
	}
}

// TestPrototypesAreShared runs one prototype in many states at once. The race detector looks on.
func TestPrototypesAreShared(t *testing.T) {
	proto, err := fennel.Compile([]byte(`
(fn walk [n] (if (= n 0) [] (icollect [_ v (ipairs (walk (- n 1))) &into [n]] v)))
(let [{: a &as t} {:a (walk ...) :b #(+ $ 1)}]
  (.. (table.concat a ",") (t.b 1) (string.format "%q" :x)))`), fennel.Options{Filename: "shared.fnl"})
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			L := vm.New(vm.Options{Kind: vm.Sandbox})
			defer vm.Close(L)
			for range 20 {
				L.Push(L.NewFunctionFromProto(proto))
				L.Push(lua.LNumber(5))
				if err := L.PCall(1, 1, nil); err != nil {
					t.Error(err)
					return
				}
				if got := L.ToString(-1); got != `5,4,3,2,12"x"` {
					t.Errorf("got %q", got)
				}
				L.Pop(1)
			}
		}()
	}
	wg.Wait()
}

// TestCompilersAreApart compiles in many goroutines at once, with macros.
func TestCompilersAreApart(t *testing.T) {
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for range 5 {
				if _, err := fennel.Compile([]byte(pipeline), fennel.Options{LoadModule: macroModules}); err != nil {
					t.Error(err)
				}
				if _, err := fennel.Compile([]byte("(let [x])"), fennel.Options{}); err == nil {
					t.Error("no error")
				}
			}
		}()
	}
	wg.Wait()
}

// TestTextAndPrototypeAgree runs every language case both as a prototype and as printed text.
func TestTextAndPrototypeAgree(t *testing.T) {
	for _, area := range []string{"arithmetic", "comparison", "control", "functions", "locals", "matching", "strings"} {
		for _, c := range readCases(t, "testdata/language/"+area+".cases") {
			opts := fennel.Options{Filename: "t.fnl"}
			direct, err := fennel.Compile([]byte(c.src), opts)
			if err != nil {
				continue
			}
			for _, correlate := range []bool{false, true} {
				opts.Correlate = correlate
				text, err := fennel.CompileToLua([]byte(c.src), opts)
				if err != nil {
					t.Fatal(err)
				}
				printed, err := luacode.Load(text, "t.fnl")
				if err != nil {
					t.Errorf("%s\n%v in\n%s", c.src, err, text)
					continue
				}
				want, got := outcome(direct), outcome(printed)
				if got != want && !strings.Contains(want, "0x") && !strings.HasPrefix(want, "error") {
					t.Errorf("%s\n got %s\nwant %s\n from %s", c.src, got, want, text)
				}
			}
		}
	}
}

// outcome runs a prototype and prints its values.
func outcome(proto *lua.FunctionProto) string {
	L := vm.New(vm.Options{Kind: vm.Sandbox})
	defer vm.Close(L)
	L.Push(L.NewFunctionFromProto(proto))
	if err := L.PCall(0, lua.MultRet, nil); err != nil {
		return "error " + err.Error()
	}
	var out []string
	for i := 1; i <= L.GetTop(); i++ {
		out = append(out, fennel.View(L, L.Get(i), nil))
	}
	return strings.Join(out, " ")
}

// speeds are programs and what the reference makes of them.
var speeds = []struct{ name, src, reference string }{
	{"fib", `(fn fib [n] (if (< n 2) n (+ (fib (- n 1)) (fib (- n 2)))))
(fib 20)`, `
local function fib(n)
  if (n < 2) then
    return n
  else
    return (fib((n - 1)) + fib((n - 2)))
  end
end
return fib(20)`},
	{"strings", `(fn build [n]
  (let [parts []]
    (for [i 1 n]
      (table.insert parts (.. "item-" i ":" (if (= 0 (% i 2)) :even :odd))))
    (length (table.concat parts ","))))
(build 3000)`, `
local function build(n)
  local parts = {}
  for i = 1, n do
    local _1_
    if (0 == (i % 2)) then
      _1_ = "even"
    else
      _1_ = "odd"
    end
    table.insert(parts, ("item-" .. i .. ":" .. _1_))
  end
  return #table.concat(parts, ",")
end
return build(3000)`},
	{"tables", `(fn walk [t]
  (accumulate [sum 0 _ {: n : kids} (ipairs t)]
    (+ sum n (if kids (walk kids) 0))))
(fn tree [depth]
  (if (= depth 0) nil
      (fcollect [i 1 4] {:n i :kids (tree (- depth 1))})))
(let [t (tree 5)]
  (var total 0)
  (for [_ 1 5] (set total (+ total (walk t))))
  total)`, `
local function walk(t)
  local sum = 0
  for _, _1_ in ipairs(t) do
    local n = _1_.n
    local kids = _1_.kids
    local _2_
    if kids then
      _2_ = walk(kids)
    else
      _2_ = 0
    end
    sum = (sum + n + _2_)
  end
  return sum
end
local function tree(depth)
  if (depth == 0) then
    return nil
  else
    local tbl_26_ = {}
    local i_27_ = 0
    for i = 1, 4 do
      local val_28_ = {n = i, kids = tree((depth - 1))}
      if (nil ~= val_28_) then
        i_27_ = (i_27_ + 1)
        tbl_26_[i_27_] = val_28_
      else
      end
    end
    return tbl_26_
  end
end
local t = tree(5)
local total = 0
for _ = 1, 5 do
  total = (total + walk(t))
end
return total`},
}

// BenchmarkCompiledCode runs what this compiler makes of a program beside what the reference makes of it, both on the
// same machine: compare the lines in pairs.
func BenchmarkCompiledCode(b *testing.B) {
	for _, s := range speeds {
		ours, err := fennel.Compile([]byte(s.src), fennel.Options{Filename: s.name})
		if err != nil {
			b.Fatal(err)
		}
		theirs, err := luacode.Load(s.reference, s.name)
		if err != nil {
			b.Fatal(err)
		}
		for _, side := range []struct {
			name  string
			proto *lua.FunctionProto
		}{{"quire", ours}, {"reference", theirs}} {
			b.Run(s.name+"/"+side.name, func(b *testing.B) {
				L := vm.New(vm.Options{})
				defer vm.Close(L)
				fn := L.NewFunctionFromProto(side.proto)
				for b.Loop() {
					L.Push(fn)
					L.Call(0, 0)
				}
			})
		}
	}
}

// TestCodeIsWhatTheReferenceMakes compares instructions, which a noisy machine does not change: the same code takes
// the same time.
func TestCodeIsWhatTheReferenceMakes(t *testing.T) {
	for _, s := range speeds {
		ours, err := fennel.Compile([]byte(s.src), fennel.Options{Filename: s.name})
		if err != nil {
			t.Fatal(err)
		}
		theirs, err := luacode.Load(s.reference, s.name)
		if err != nil {
			t.Fatal(err)
		}
		if n, m := instructions(ours), instructions(theirs); n > m {
			t.Errorf("%s: %d instructions, the reference's text has %d\n%s\n%s", s.name, n, m, ours, theirs)
		}
	}
}

func instructions(p *lua.FunctionProto) int {
	n := len(p.Code)
	for _, inner := range p.FunctionPrototypes {
		n += instructions(inner)
	}
	return n
}
