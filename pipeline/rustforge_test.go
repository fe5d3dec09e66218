package pipeline

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"quire/internal/event"
)

// forgeCase is what a test of the Rust forge's tries, in words of ours: a
// pipeline, and what comes of it.
type forgeCase struct {
	name string
	text string

	// refused is what an error of loading says; one text for each error.
	refused []string
	// ends is how the jobs end, logs what they log, reasons why one failed.
	ends, logs, reason string
	warns              string // a warning of quire check

	// differs says what the Rust forge does instead, where that is by design.
	differs string
}

const forge = "(local {: job : image : runtime} (require :quire.ci))\n"

// The cases of the Rust forge's tests of ci.fnl, at its commit 5be79b0 of August
// 2026 (quire-core/src/ci/pipeline.rs and runtime.rs, quire-core/src/fennel.rs),
// and what its manual promises beyond them (docs/CI-FENNEL.md). Its tests of
// configuration, of its database and its pages have no counterpart here.
var forgeCases = []forgeCase{
	// Registering.
	{name: "a job", text: `(job :test [:quire/push] (fn [] nil))`, ends: "test skipped",
		differs: "nil is a success there; its manual calls it skipped, as it is here"},
	{name: "two jobs, one after the other", text: `(job :test [:build] (fn [] {})) (job :build [:quire/push] (fn [] {}))`,
		ends: "build succeeded, test succeeded"},
	{name: "an input that is job and source", text: `(job :build [:quire/push] (fn [] {})) (job :test [:build :quire/push] (fn [] {}))`,
		ends: "build succeeded, test succeeded"},
	{name: "a diamond", text: `(job :a [:quire/push] (fn [] {})) (job :b [:a] (fn [] {})) (job :c [:a] (fn [] {})) (job :d [:b :c] (fn [] {}))`,
		ends: "a succeeded, b succeeded, c succeeded, d succeeded"},
	{name: "no Fennel", text: `{:bad {:}`, refused: []string{"Parse error"}},
	{name: "inputs are empty", text: `(job :setup [] (fn [] nil))`, refused: []string{"Job 'setup' has empty inputs"}},
	{name: "a slash in an id", text: `(job :foo/bar [:quire/push] (fn [] nil))`, refused: []string{"Job id 'foo/bar' contains '/'"}},
	{name: "one id twice", text: "(job :build [:quire/push] (fn [] nil))\n(job :build [:quire/push] (fn [] nil))",
		refused: []string{"Job 'build' is registered more than once"}},
	{name: "a cycle, and only as one", text: `(job :a [:b] (fn [] nil)) (job :b [:a] (fn [] nil))`,
		refused: []string{"Cycle detected among jobs: a, b"}},
	{name: "a cycle names its members alone", text: `(job :a [:b :quire/push] (fn [] nil)) (job :b [:a :quire/push] (fn [] nil)) (job :clean [:quire/push] (fn [] nil))`,
		refused: []string{"Cycle detected among jobs: a, b"}},
	{name: "two cycles", text: "(job :a [:b :quire/push] (fn [] nil)) (job :b [:a :quire/push] (fn [] nil))\n(job :c [:d :quire/push] (fn [] nil)) (job :d [:c :quire/push] (fn [] nil))",
		refused: []string{"jobs: a, b", "jobs: c, d"}},
	{name: "no source leads to a job", text: `(job :orphan [:does-not-exist] (fn [] nil))`, refused: []string{"Job 'orphan' has the input 'does-not-exist'"}},
	{name: "an unknown input twice", text: `(job :orphan [:a :a] (fn [] nil))`, refused: []string{"Job 'orphan' has the input 'a'"}},
	{name: "an unknown input beside a source", text: `(job :x [:quire/push :gone] (fn [] {}))`, ends: "x succeeded",
		warns: "Job 'x' has the input 'gone', which is neither a job nor a source."},
	{name: "an unknown input beside a job", text: `(job :x [:quire/push] (fn [] {})) (job :y [:x :gone] (fn [] {}))`, ends: "x succeeded, y succeeded",
		warns: "Job 'y' has the input 'gone', which is neither a job nor a source."},
	{name: "two images", text: "(image :alpine)\n(image :ubuntu)\n(job :build [:quire/push] (fn [] nil))", refused: []string{"image"}},
	{name: "faults of two kinds", text: "(job :setup [] (fn [] nil))\n(job :orphan [:does-not-exist] (fn [] nil))",
		refused: []string{"Job 'setup' has empty inputs", "Job 'orphan' has the input 'does-not-exist'"},
		differs: "the second kind is not looked for while there is one of the first"},
	{name: "numbers as ids and inputs", text: `(job 1 [:quire/push] (fn [] {:n 1})) (job :two [1] (fn [] (runtime.log (. (runtime.jobs 1) :n)) {}))`,
		ends: "1 succeeded, two succeeded", logs: "two: 1"},

	// The runtime table.
	{name: "a secret", text: `(job :grab [:quire/push] (fn [] (runtime.log (runtime.secret :token)) {}))`, ends: "grab succeeded", logs: "grab: value"},
	{name: "a secret returned", text: `(job :grab [:quire/push] (fn [] (runtime.secret :token))) (job :next [:grab] (fn [{: jobs : log}] (log (jobs :grab)) {}))`,
		ends: "grab succeeded, next succeeded", logs: "next: value",
		differs: "outputs do not reach other jobs there yet"},
	{name: "an unknown secret", text: `(job :grab [:quire/push] (fn [] (runtime.secret :missing)))`, ends: "grab failed", reason: "unknown secret: missing"},
	{name: "the table is the argument too", text: `(job :x [:quire/push] (fn [{: sh : secret : jobs}] (if (and sh secret jobs) {} (error :no))))`, ends: "x succeeded"},
	{name: "no global runtime", text: `(job :x [:quire/push] (fn [] (runtime.log (tostring _G.runtime)) {}))`, ends: "x succeeded", logs: "x: nil"},
	{name: "quire.runtime", text: `(local rt (require :quire.runtime)) (job :x [:quire/push] (fn [] (rt.log :here) {}))`, ends: "x succeeded", logs: "x: here",
		differs: "an earlier version's module, which is gone there"},
	{name: "outside a job", text: `(print runtime.sh)`, refused: []string{"runtime accessed outside a job"},
		differs: "the fields are nil there until a run begins"},
	{name: "a primitive that is none", text: `(job :x [:quire/push] (fn [] (runtime.container "x")))`, ends: "x failed", reason: "unknown runtime primitive 'container'"},
	{name: "the push", text: `(job :x [:quire/push] (fn [] (let [p (runtime.jobs :quire/push)] (runtime.log (.. p.ref " " (p.sha:sub 1 4) " " (type p.pushed-at)))) {}))`,
		ends: "x succeeded", logs: "x: refs/heads/main 1111 string"},
	{name: "its own outputs", text: `(job :x [:quire/push] (fn [] (runtime.jobs :x)))`, ends: "x failed", reason: "Job 'x' cannot read its own outputs"},
	{name: "a stranger's outputs", text: `(job :a [:quire/push] (fn [] {})) (job :b [:quire/push] (fn [] (runtime.jobs :a)))`,
		ends: "a succeeded, b failed", reason: "Job 'b' cannot read outputs from 'a' — not in transitive inputs"},
	{name: "the standard library", text: `(local std (require :quire.stdlib)) (job :x [:quire/push] (fn [] (runtime.log (type std)) {}))`, ends: "x succeeded", logs: "x: table"},

	// Commands.
	{name: "a list", text: `(job :go [:quire/push] (fn [] (let [r (runtime.sh ["echo" "hello"])] (runtime.log (.. r.exit r.stdout r.stderr)) r)))`,
		ends: "go succeeded", logs: "go: 0hello\n"},
	{name: "a shell's text", text: `(job :go [:quire/push] (fn [] (let [r (runtime.sh "echo hello | tr a-z A-Z")] (runtime.log r.stdout) r)))`,
		ends: "go succeeded", logs: "go: HELLO\n"},
	{name: "what ran", text: `(job :go [:quire/push] (fn [{: sh : log}] (log (. (sh ["echo" "a b"]) :cmd)) (log (. (sh "true") :cmd)) {}))`,
		ends: "go succeeded", logs: `go: ["echo", "a b"]` + "\ngo: true"},
	{name: "an exit is no error", text: `(job :go [:quire/push] (fn [] (let [r (runtime.sh "exit 7")] (runtime.log (tostring r.exit)) {})))`,
		ends: "go succeeded", logs: "go: 7"},
	{name: "an exit returned", text: `(job :go [:quire/push] (fn [] (runtime.sh "exit 7")))`, ends: "go failed", reason: "exit 7",
		differs: "the job succeeds there: only an error fails one"},
	{name: "a variable", text: `(job :go [:quire/push] (fn [] (let [r (runtime.sh "echo $A" {:env {:A "from-opts"}})] (runtime.log r.stdout) r)))`,
		ends: "go succeeded", logs: "go: from-opts\n"},
	{name: "the server's variables", text: `(job :go [:quire/push] (fn [] (let [r (runtime.sh "echo [$QUIRE_FORGE_TEST]")] (runtime.log r.stdout) r)))`,
		ends: "go succeeded", logs: "go: []\n", differs: "commands inherit the server's environment there"},
	{name: "an unknown option", text: `(job :go [:quire/push] (fn [] (runtime.sh "echo hi" {:cwdir "/tmp"})))`, ends: "go failed", reason: "unknown field `cwdir`"},
	{name: "options for a command", text: `(job :go [:quire/push] (fn [] (runtime.sh {:env {:FOO "bar"}})))`, ends: "go failed", reason: "sequence"},
	{name: "an empty list", text: `(job :go [:quire/push] (fn [] (runtime.sh [])))`, ends: "go failed", reason: "empty"},
	{name: "a number", text: `(job :go [:quire/push] (fn [] (runtime.sh 42)))`, ends: "go failed", reason: "string or sequence"},

	// What a run-fn returns.
	{name: "other values", text: `(job :a [:quire/push] (fn [] :done)) (job :b [:quire/push] (fn [] 5)) (job :c [:quire/push] (fn [] true))
(job :see [:a :b :c] (fn [{: jobs : log}] (log (fennel.view [(jobs :a) (jobs :b) (jobs :c)])) {}))`,
		ends: "a succeeded, b succeeded, c succeeded, see succeeded", logs: `see: ["done" 5 true]`},
	{name: "a function", text: `(job :a [:quire/push] (fn [] print))`, ends: "a failed", reason: "returned a function",
		differs: "anything is a success there"},
	{name: "a failure ends what waits", text: `(job :a [:quire/push] (fn [] (error :no))) (job :b [:a] (fn [] {})) (job :c [:quire/push] (fn [] {}))`,
		ends: "a failed, b blocked, c succeeded", reason: "no",
		differs: "no other job is run after a failure there"},

	// The language of Lua 5.4.
	{name: "functions of 5.4", text: `(job :x [:quire/push] (fn [{: log}]
  (log (fennel.view [(table.unpack [1 2])  (. (table.pack 1 nil) :n) (table.move [1 2] 1 2 2) (math.tointeger 3) (string.rep :a 3 "-") (utf8.len "äö") (utf8.char 228)] {:one-line? true})) {}))`,
		ends: "x succeeded", logs: `x: [1 2 [1 1 2] 3 "a-a-a" 2 "ä"]`},
	{name: "the compiler's table", text: `(local f (require :fennel)) (job :x [:quire/push] (fn [{: log}] (log (fennel.view {:a 1})) (log (tostring (= f.view fennel.view))) {}))`,
		ends: "x succeeded", logs: "x: {:a 1}\nx: true"},
	{name: "macros of 5.4", text: `(macro m [...] (table.unpack [(utf8.len "ä")])) (job :x [:quire/push] (fn [{: log}] (log (m)) {}))`, ends: "x succeeded", logs: "x: 1"},
	{name: "files", text: `(job :x [:quire/push] (fn [] (io.open "/etc/passwd")))`, refused: []string{"unknown identifier: io"},
		differs: "a pipeline has all of Lua's library there"},
	{name: "a variable of all jobs", text: "(var n 0)\n(job :a [:quire/push] (fn [] (set n (+ n 1)) {}))\n(job :b [:a] (fn [] (runtime.log n) {}))",
		ends: "a succeeded, b succeeded", logs: "b: 0", warns: "Job 'a' sets the top-level variable 'n', which no other job will see",
		differs: "jobs share one state there"},
	{name: "a quotient", text: `(job :a [:quire/push] (fn [] (runtime.log (.. "n=" (/ 4 2))) {}))`, ends: "a succeeded", logs: "a: n=2",
		warns: "A whole result of / is written here as 2", differs: "n=2.0"},
}

func TestCasesOfTheRustForge(t *testing.T) {
	t.Setenv("QUIRE_FORGE_TEST", "from-parent")
	for _, c := range forgeCases {
		t.Run(c.name, func(t *testing.T) {
			p, err := Load(context.Background(), source(forge+c.text), Limits{})
			if c.refused != nil {
				ds, ok := err.(Diagnostics)
				if !ok || len(ds) != len(c.refused) {
					t.Fatalf("got:\n%v\nwant %d errors", err, len(c.refused))
				}
				for i, d := range ds {
					if !strings.Contains(d.Message, c.refused[i]) || d.File == "" || d.Line == 0 {
						t.Errorf("got:\n%v\nwant %q", d, c.refused[i])
					}
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var warnings []string
			for _, d := range p.Warnings() {
				warnings = append(warnings, d.Message)
				if !d.Warning || d.File != ".quire/ci.fnl" || d.Line == 0 || d.Excerpt == "" {
					t.Errorf("warning without a place: %+v", d)
				}
			}
			if (c.warns == "") != (len(warnings) == 0) || c.warns != "" && !strings.Contains(strings.Join(warnings, "\n"), c.warns) {
				t.Errorf("warnings %q, want %q", warnings, c.warns)
			}
			w := newWorkshop(t)
			w.secrets = map[string]string{"token": "value"}
			out := p.Run(context.Background(), w, Options{Push: testPush, MaxJobs: 1})
			if got := states(out); got != c.ends {
				t.Errorf("got %s, want %s", got, c.ends)
			}
			if got := strings.Join(w.log(), "\n"); got != c.logs {
				t.Errorf("logged %q, want %q", got, c.logs)
			}
			for _, j := range out.Jobs {
				if j.State == event.JobFailed && (c.reason == "" || !strings.Contains(j.Reason.String(), c.reason)) {
					t.Errorf("failed for %q, want %q", j.Reason, c.reason)
				}
			}
		})
	}
}

func TestWhereJobsOfTheRustForgeAre(t *testing.T) {
	p := load(t, "(local ci (require :quire.ci))\n(ci.job :first [:quire/push] (fn [] nil))\n(ci.job :second [:quire/push] (fn [] nil))\n\n\n(ci.job :sixth [:second :first] (fn [] nil))\n(ci.image \"alpine\")")
	var lines []string
	for _, j := range p.Jobs {
		lines = append(lines, fmt.Sprintf("%s %d", j.ID, j.Line))
	}
	if want := []string{"first 2", "second 3", "sixth 6"}; !slices.Equal(lines, want) {
		t.Errorf("%q, want %q", lines, want)
	}
	if got := p.TransitiveInputs("sixth"); !slices.Equal(got, []string{"quire/push", "first", "second"}) {
		t.Errorf("transitive inputs: %q", got)
	}
	if p.Image.String() != "alpine" {
		t.Errorf("image %q", p.Image)
	}
}
