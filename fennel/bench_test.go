package fennel_test

import (
	"fmt"
	"strings"
	"testing"

	lua "github.com/yuin/gopher-lua"

	"quire/fennel"
	"quire/fennel/vm"
)

// pipeline is a program of the size people write, with macros of its own and imported ones.
const pipeline = `;; build, test, publish
(local ci (require :quire.ci))
(local {: runtime} ci)
(import-macros {: defrun : step} :quire.ci)

(macro go [...]
  "Run a go command."
  (let [argv [:go]]
    (each [_ a (ipairs [...])]
      (table.insert argv (if (sym? a) (tostring a) a)))
    ` + "`(runtime.run ,argv)))" + `

(ci.image "golang:1.26")

(local platforms [[:linux :amd64] [:linux :arm64] [:darwin :arm64]])

(fn check-name [name]
  (when (not (string.match name "^[%w-]+$"))
    (error (.. "bad name: " name)))
  name)

(ci.job :lint [:quire/push]
  (fn []
    (go vet "./...")
    (let [{: exit : stdout} (runtime.sh "gofmt -l .")]
      (if (and (= exit 0) (= stdout ""))
          {:ok true}
          (error (.. "unformatted:\n" stdout))))))

(ci.job :test [:quire/push]
  (defrun [sh jobs]
    (local push (jobs :quire/push))
    (case push.branch
      :main (sh "go test -race ./...")
      (where b (string.match b "^wip/")) nil
      _ (sh "go test ./..."))))

(each [_ [os arch] (ipairs platforms)]
  (ci.job (check-name (.. :build- os :- arch)) [:test]
    (fn []
      (step :build
        (runtime.run ["go" "build" "-o" (.. "bin/" os "-" arch) "./cmd/app"] {:env {:GOOS os :GOARCH arch}})))))

(ci.mirror "https://github.com/me/repo.git"
  {:secret :github_token
   :tag (fn [push] (.. "v" (os.date "!%Y-%m-%d") "-" (push.sha:sub 1 8)))
   :refs ["refs/heads/main"]
   :after (icollect [_ [os arch] (ipairs platforms)] (.. :build- os :- arch))})
`

const pipelineMacros = `
{:defrun (fn [params ...]
   (let [names (icollect [_ p (ipairs params)] (tostring p))
         tbl {}]
     (each [i n (ipairs names)] (tset tbl n (. params i)))
     ` + "`(fn [] (let [,tbl (. (require :quire.ci) :runtime)] ,...))" + `))
 :step (fn [name ...] ` + "`(do (runtime.log ,name) ,...)" + `)}
`

func macroModules(name string) ([]byte, string, bool) {
	if name == "quire.ci" {
		return []byte(pipelineMacros), "quire/ci.fnl", true
	}
	return nil, "", false
}

// newPipelineState makes the state a pipeline runs in, with a module that takes registrations.
func newPipelineState(tb testing.TB) *lua.LState {
	L := vm.New(vm.Options{Kind: vm.Sandbox})
	ci := L.NewTable()
	nothing := L.NewFunction(func(*lua.LState) int { return 0 })
	for _, f := range []string{"job", "image", "mirror"} {
		ci.RawSetString(f, nothing)
	}
	ci.RawSetString("runtime", L.NewTable())
	loaded := L.GetField(L.GetGlobal("package"), "loaded").(*lua.LTable)
	loaded.RawSetString("quire.ci", ci)
	return L
}

func evalPipeline(tb testing.TB) {
	L := newPipelineState(tb)
	defer vm.Close(L)
	proto, err := fennel.Compile([]byte(pipeline), fennel.Options{Filename: "ci.fnl", LoadModule: macroModules, State: L})
	if err != nil {
		tb.Fatal(err)
	}
	L.Push(L.NewFunctionFromProto(proto))
	if err := L.PCall(0, 0, nil); err != nil {
		tb.Fatal(err)
	}
}

func TestPipelineEvaluates(t *testing.T) { evalPipeline(t) }

func BenchmarkColdPipeline(b *testing.B) {
	b.ReportAllocs()
	for b.Loop() {
		evalPipeline(b)
	}
}

// generated is a program of about the given number of lines, in the mix of forms that programs have.
func generated(lines int) []byte {
	var b strings.Builder
	b.WriteString("(local M {})\n")
	for i := 0; i*20 < lines; i++ {
		fmt.Fprintf(&b, `
(fn M.process-%[1]d [items opts]
  "Walk the items and sum what counts."
  (let [{: limit :name label &as all} opts
        seen {}]
    (var total 0)
    (each [i item (ipairs items) &until (> total limit)]
      (when (not (. seen item.id))
        (tset seen item.id true)
        (set total (+ total (* item.weight %[1]d)))))
    (case (type label)
      :string (.. label ":" total)
      (where t (= t :number)) (+ label total)
      _ {:total total :kinds (icollect [k v (pairs seen)] (if v k))})))

(fn M.pick-%[1]d [a b ...]
  (if (and a (< a %[1]d)) (M.process-%[1]d [{:id a :weight 2}] {:limit 10 :name b})
      (= a :none) nil
      (-> (or b "none") (: :upper) (.. "-%[1]d"))))
`, i)
	}
	b.WriteString("M\n")
	return []byte(b.String())
}

func BenchmarkCompile(b *testing.B) {
	for _, lines := range []int{1000, 10_000, 40_000} {
		src := generated(lines)
		b.Run(fmt.Sprintf("lines=%d", lines), func(b *testing.B) {
			b.SetBytes(int64(len(src)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := fennel.Compile(src, fennel.Options{Filename: "big.fnl"}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
