package pipeline

import (
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"quire/internal/event"
)

// Every misuse of a primitive is one sentence that says which primitive, which
// argument, and what was there, with the line of the call.
func TestPrimitiveMisuse(t *testing.T) {
	tests := []struct{ body, want string }{
		{`(runtime.sh)`, "sh: cmd must be a string or sequence of strings, got nil"},
		{`(runtime.sh 42)`, "sh: cmd must be a string or sequence of strings, got number"},
		{`(runtime.sh [])`, "sh: cmd must be a non-empty sequence of strings or a shell string"},
		{`(runtime.sh {:env {:A "b"}})`, "sh: cmd must be a non-empty sequence of strings or a shell string"},
		{`(runtime.sh ["a" 1])`, "sh: cmd must be a sequence of strings, but element 2 is a number"},
		{`(runtime.sh [""])`, "sh: the program's name is an empty string"},
		{`(runtime.sh "  ")`, "sh: cmd is an empty string"},
		{`(runtime.sh "a\0b")`, "sh: cmd has a zero byte in it, which no command line can hold"},
		{`(runtime.sh "true" {:cwdir "/tmp"})`, "sh: unknown field `cwdir`. Did you mean :cwd? The fields are :env, :cwd, :timeout and :stdin."},
		{`(runtime.sh "true" ["x"])`, "sh: unknown field 1. The fields are :env, :cwd, :timeout and :stdin."},
		{`(runtime.sh "true" "x")`, "sh: the options must be a table, got string"},
		{`(runtime.sh "true" {:timeout 5})`, `sh: :timeout must be a duration such as "90s", "10m" or "1h30m", got 5`},
		{`(runtime.sh "true" {:timeout "soon"})`, `sh: :timeout must be a duration such as "90s", "10m" or "1h30m", got "soon"`},
		{`(runtime.sh "true" {:timeout "-5s"})`, `sh: :timeout must be a duration such as "90s", "10m" or "1h30m", got "-5s"`},
		{`(runtime.sh "true" {:cwd 5})`, "sh: :cwd must be a string, got number"},
		{`(runtime.sh "true" {:cwd ""})`, "sh: :cwd is an empty string"},
		{`(runtime.sh "true" {:env "A=b"})`, `sh: :env must be a table of variables, such as {:NAME "value"}, got string`},
		{`(runtime.sh "true" {:env {:A {}}})`, "sh: :env must have strings as values, got table for A"},
		{`(runtime.sh "true" {:env ["A"]})`, "sh: :env has 1 for a variable's name"},
		{`(runtime.sh "true" {:env {"A=B" "c"}})`, `sh: :env has "A=B" for a variable's name`},
		{`(runtime.sh "true" {:env {:A "b\0"}})`, "sh: :env has a zero byte in A, which no environment can hold"},
		{`(runtime.sh "true" {:stdin 7})`, "sh: :stdin must be a string, got number"},
		{`(runtime.run {})`, "run: cmd must be a non-empty sequence of strings or a shell string"},
		{`(runtime.secret)`, "secret: the name must be a string, got nil"},
		{`(runtime.secret "")`, "secret: the name is empty"},
		{`(runtime.secret :nope)`, "unknown secret: nope"},
		{`(runtime.jobs)`, "jobs: the name must be a string, got nil"},
		{`(runtime.jobs :x)`, "Job 'x' cannot read its own outputs"},
		{`(runtime.jobs :y)`, "Job 'x' cannot read outputs from 'y' — not in transitive inputs; there is no such job"},
		{`(runtime.env 1)`, "env: the name must be a string, got number"},
		{`(runtime.log)`, "log: there is no message"},
		{`(runtime.read-file {})`, "read-file: the path must be a string, got table"},
		{`(runtime.read-file "../x")`, "read-file: openat ../x: path escapes from parent"},
		{`(runtime.write-file "a")`, "write-file: the content must be a string, got nil"},
		{`(runtime.write-file "a" {})`, "write-file: the content must be a string, got table"},
		{`(runtime.artifact)`, "artifact: the path must be a string, got nil"},
		{`(runtime.mirror)`, "mirror: takes a table with :url, and :secret or :auth-header"},
		{`(runtime.mirror {:secret :a})`, "mirror: missing field `url`"},
		{`(runtime.mirror {:url "u" :secret "a" :auth-header "b"})`, "mirror: takes :secret or :auth-header, not both"},
		{`(runtime.mirror {:url "u" :tags "v"})`, "mirror: unknown field `tags`. Did you mean :tag? The fields are :url, :secret, :auth-header, :as, :sha, :tag, :refs and :git-dir."},
		{`(runtime.shh "x")`, "unknown runtime primitive 'shh' — did you mean 'sh'?"},
		{`(runtime.container "x")`, "unknown runtime primitive 'container' — there are :sh, :run, :secret, :jobs, :env, :log, :read-file, :read-json, :write-file, :artifact and :mirror"},
	}
	for _, test := range tests {
		t.Run(test.body, func(t *testing.T) {
			j, _ := runOne(t, newWorkshop(t), test.body)
			wantState(t, j, event.JobFailed, ".quire/ci.fnl:4: "+test.want)
		})
	}
}

func TestShReturnsWhatHappened(t *testing.T) {
	w := newWorkshop(t)
	w.secrets = map[string]string{"token": "s3cret"}
	w.env = map[string]string{"LANG": "C"}
	if err := os.Mkdir(filepath.Join(w.dir, "sub"), 0o755); err != nil {
		t.Fatal(err)
	}
	j, log := runOne(t, w, `
  (local {: sh : run : log : secret : env} runtime)
  (let [r (sh "echo out; echo err >&2; exit 3")]
    (log [r.exit r.stdout r.stderr r.cmd (tostring r.signal)]))
  (let [r (sh ["printf" "%s|" "a b" "" "$HOME"])]
    (log r.stdout))
  (log (. (sh "cat; pwd | sed 's,.*/,,'" {:stdin "in\n" :cwd "sub"}) :stdout))
  (log (. (sh "echo $A $B" {:env {:A "x" :B 7}}) :stdout))
  (let [r (sh "kill -9 $$")]
    (log [r.exit r.signal]))
  (let [r (sh "sleep 60" {:timeout "50ms"})]
    (log [r.timed-out (not= 0 r.exit)]))
  (log (. (run "echo fine") :stdout))
  (log (secret :token))
  (log (env :LANG))
  (log (env :NOPE))
  (log {:b [1 2] :a "x"})
  (let [(ok err) (pcall run "echo x; exit 4")]
    (log [ok err]))
  (let [(ok err) (pcall sh ["/no/such/program"])]
    (log [ok (: err :match "no such file")]))
  nil`)
	_ = j
	want := []string{
		`x: [3 "out\n" "err\n" "echo out; echo err >&2; exit 3" "nil"]`,
		"x: a b||$HOME|",
		"x: in\nsub\n",
		"x: x 7\n",
		`x: [137 "SIGKILL"]`,
		"x: [true true]",
		"x: fine\n",
		"x: s3cret",
		"x: C",
		"x: nil",
		`x: {:a "x" :b [1 2]}`,
		`x: [false ".quire/ci.fnl:21: echo x; exit 4: exit 4"]`,
		`x: [false "no such file"]`,
	}
	if !reflect.DeepEqual(log, want) {
		t.Errorf("%s %s\n got: %s\nwant: %s", j.State, j.Reason, strings.Join(log, "\n      "), strings.Join(want, "\n      "))
	}
}

func TestFiles(t *testing.T) {
	w := newWorkshop(t)
	write := func(name, text string) {
		if err := os.WriteFile(filepath.Join(w.dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	write("a.json", `{"name": "x", "list": [1, 2.5, true, "é"], "none": null, "deep": {"k": {}}}`)
	write("bad.json", "{\n \"a\": 1,\n}")
	write("two.json", "1 2")
	write("short.json", "[1,")
	write("deep.json", strings.Repeat("[", 300)+strings.Repeat("]", 300))
	j, log := runOne(t, w, `
  (local {: log : read-file : read-json : write-file : artifact} runtime)
  (log (read-json "a.json"))
  (write-file "new.txt" "a\0b")
  (log (length (read-file "new.txt")))
  (artifact "new.txt")
  (each [_ f (ipairs ["bad.json" "two.json" "short.json" "deep.json" "gone.json"])]
    (let [(_ err) (pcall read-json f)]
      (log err)))
  {}`)
	wantState(t, j, event.JobSucceeded, "")
	want := []string{
		`x: {:deep {:k {}} :list [1 2.5 true "é"] :name "x"}`,
		"x: 3",
		"x: .quire/ci.fnl:11: read-json: bad.json: line 3: invalid character '}' looking for beginning of object key string",
		"x: .quire/ci.fnl:11: read-json: two.json: line 1: there is more after the value",
		"x: .quire/ci.fnl:11: read-json: short.json: line 1: the text ends too early",
		"x: .quire/ci.fnl:11: read-json: deep.json: line 1: nested deeper than 200",
		"x: .quire/ci.fnl:11: read-json: openat gone.json: no such file or directory",
	}
	if !reflect.DeepEqual(log, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(log, "\n"), strings.Join(want, "\n"))
	}
	if len(w.artifacts) != 1 || w.artifacts[0] != "new.txt" {
		t.Errorf("artifacts: %v", w.artifacts)
	}
}

func TestPushTable(t *testing.T) {
	w := newWorkshop(t)
	_, log := runOne(t, w, `(let [push (runtime.jobs :quire/push)]
  (runtime.log push)
  (runtime.log (rawequal push (runtime.jobs :quire/push)))) nil`)
	want := `x: {:branch "main" :commit-message "Add a thing\n" :files-changed ["a.txt" "b/c.txt"] ` +
		`:git-dir "/srv/git/thing.git" ` +
		`:options {1 "ci.wait=finish" 2 "ci.var=deploy=staging" 3 "other" 4 "ci.var=deploy=production" :deploy "production"} ` +
		`:previous-sha "2222222222222222222222222222222222222222" :pushed-at "2026-03-04T04:06:07Z" :pusher "ada" ` +
		`:ref "refs/heads/main" :sha "1111111111111111111111111111111111111111"}`
	if !reflect.DeepEqual(log, []string{want, "x: true"}) {
		t.Errorf("got  %s\nwant %s", strings.Join(log, "\n"), want)
	}
}

func TestPushTableOfNewTag(t *testing.T) {
	p := Push{SHA: "11", Ref: "refs/tags/v1", PreviousSHA: "0000000000000000000000000000000000000000"}
	table := p.table(nil)
	if table.field("tag") != "v1" || table.field("branch") != nil || table.field("previous-sha") != nil {
		t.Errorf("%v %v", table.keys, table.values)
	}
	if l, ok := table.field("files-changed").(*plainTable); !ok || len(l.list) != 0 {
		t.Errorf("files-changed is %v", table.field("files-changed"))
	}
}

func TestStdlibMirror(t *testing.T) {
	tests := []struct{ call, want string }{
		{`(mirror)`, ".quire/ci.fnl:5: Missing argument url"},
		{`(mirror {})`, ".quire/ci.fnl:5: Missing argument url"},
		{`(mirror {:url "u"})`, ".quire/ci.fnl:5: Missing argument auth-header"},
		{`(mirror {:url "u" :auth-header "h"})`, ".quire/ci.fnl:5: Missing argument sha"},
		{`(mirror {:url "u" :auth-header "h" :sha "s"})`, ".quire/ci.fnl:5: Missing argument tag"},
		{`(mirror {:url "u" :auth-header "h" :sha "s" :tag "t"})`, ".quire/ci.fnl:5: Missing argument git-dir"},
		{`(mirror {:url 1 :auth-header "h" :sha "s" :tag "t" :git-dir "g"})`, ".quire/ci.fnl:5: mirror: :url must be a string, got number"},
		{`(mirror {:url "u" :auth-header "h" :sha "s" :tag "t" :git-dir "g" :ref "x"})`,
			".quire/ci.fnl:5: mirror: unknown field `ref`. Did you mean :refs? The fields are :url, :auth-header, :sha, :tag, :git-dir and :refs."},
	}
	for _, test := range tests {
		t.Run(test.call, func(t *testing.T) {
			j, _ := runOne(t, newWorkshop(t), "(local {: mirror} (require :quire.stdlib))\n"+test.call)
			wantState(t, j, event.JobFailed, test.want)
		})
	}

	w := newWorkshop(t)
	j, log := runOne(t, w, `(local {: mirror} (require :quire.stdlib))
(local opts {:url "u" :auth-header "Authorization: Basic x" :sha "5" :tag "t" :git-dir "g"})
(runtime.log (mirror opts))
(set opts.refs ["refs/heads/main"])
(runtime.log (mirror opts)) {}`)
	wantState(t, j, event.JobSucceeded, "")
	if want := []string{`x: {:pushed_refs {} :tag "t"}`, `x: {:pushed_refs ["refs/heads/main"] :tag "t"}`}; !reflect.DeepEqual(log, want) {
		t.Errorf("log %q, want %q", log, want)
	}
	want := []Mirror{
		{URL: "u", AuthHeader: "Authorization: Basic x", SHA: "5", Tag: "t", GitDir: "g", TagOnly: true},
		{URL: "u", AuthHeader: "Authorization: Basic x", SHA: "5", Tag: "t", GitDir: "g", Refs: []string{"refs/heads/main"}},
	}
	if !reflect.DeepEqual(w.mirrors, want) {
		t.Errorf("mirrored %+v", w.mirrors)
	}
}

func TestRuntimeMirror(t *testing.T) {
	w := newWorkshop(t)
	w.mirror = func(m Mirror) (MirrorResult, error) {
		if m.URL == "bad" {
			return MirrorResult{}, errors.New("mirror bad: refused")
		}
		return MirrorResult{PushedRefs: []string{"refs/heads/main"}}, nil
	}
	j, log := runOne(t, w, `
(runtime.log (runtime.mirror {:url "u" :secret "s" :as "two" :refs ["refs/heads/main"] :sha "1" :git-dir "g"}))
(runtime.mirror {:url "bad"})`)
	wantState(t, j, event.JobFailed, ".quire/ci.fnl:6: mirror bad: refused")
	if want := []string{`x: {:pushed_refs ["refs/heads/main"]}`}; !reflect.DeepEqual(log, want) {
		t.Errorf("log %q, want %q", log, want)
	}
	if m := w.mirrors[0]; !reflect.DeepEqual(m, Mirror{As: "two", URL: "u", Secret: "s", SHA: "1", Refs: []string{"refs/heads/main"}, GitDir: "g"}) {
		t.Errorf("mirrored %+v", m)
	}
}
