package pipeline

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"quire/fennel"
	"quire/internal/checked"
	"quire/internal/event"
)

var update = flag.Bool("update", false, "write what the golden files of diagnostics want")

// Each archive in testdata/diagnostics holds a pipeline, perhaps modules, and
// the errors to the character.
func TestDiagnostics(t *testing.T) {
	archives, err := filepath.Glob("testdata/diagnostics/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatal("no golden files", err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			files := map[string][]byte{}
			for _, f := range archive.Files {
				files[f.Name] = f.Data
			}
			_, err = Load(context.Background(), Source{
				Name: ".quire/ci.fnl", Text: files["ci.fnl"],
				Lib: func(module string) ([]byte, string, error) {
					for _, file := range LibFiles(module) {
						if text, ok := files[strings.TrimPrefix(file, ".quire/")]; ok {
							return text, file, nil
						}
					}
					return nil, "", ErrNoModule
				},
			}, Limits{})
			if err == nil {
				t.Fatal("no error")
			}
			var ds Diagnostics
			if !errors.As(err, &ds) || len(ds) == 0 {
				t.Fatalf("not diagnostics: %v", err)
			}
			got := err.Error() + "\n"
			if *update {
				rewriteWant(t, path, archive, got)
				return
			}
			if want := string(files["want"]); got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// An error of reading or compiling is told in the compiler's own words and
// layout, in the pipeline as in a module.
func TestCompileErrorsAreFennels(t *testing.T) {
	for _, text := range []string{
		"(local ci (require :quire.ci))\n(ci.job :a [:quire/push]\n  (fn [] (let [x] x)))",
		"(local ci (require :quire.ci))\n(ci.job :a [:quire/push]",
		"(print 1))",
		"{:a 1\n :b}",
		"(local ci (require :quire.ci))\n(ci.job :a [:quire/push] (fn [] (io.open \"/etc/passwd\")))",
		"(fn [] (set x 1))",
	} {
		_, want := fennel.Compile([]byte(text), fennel.Options{Filename: ".quire/ci.fnl", AllowedGlobals: sandboxGlobals()})
		_, err := Load(context.Background(), source(text), Limits{})
		if want == nil || err == nil || err.Error() != want.Error() {
			t.Errorf("got:\n%v\nwant:\n%v", err, want)
		}
		_, want = fennel.Compile([]byte(text), fennel.Options{Filename: ".quire/lib/m.fnl", AllowedGlobals: sandboxGlobals()})
		_, err = Load(context.Background(), source("(require :m)", "m", text), Limits{})
		if want == nil || err == nil || err.Error() != want.Error() {
			t.Errorf("in a module, got:\n%v\nwant:\n%v", err, want)
		}
	}
}

// Whatever is said of a pipeline with a typing mistake has a file and a line.
func TestDamagedPipelinesKeepPlaces(t *testing.T) {
	whole, err := os.ReadFile("testdata/ordinary.fnl")
	if err != nil {
		t.Fatal(err)
	}
	pieces := regexp.MustCompile(`[()\[\]{}]|[^\s()\[\]{}]+|\s+`).FindAllString(string(whole), -1)
	refused := 0
	for i := range pieces {
		for _, instead := range []string{"", "nil", "1", "(f)", pieces[(i+7)%len(pieces)]} {
			damaged := slices.Clone(pieces)
			damaged[i] = instead
			text := strings.Join(damaged, "")
			_, err := Load(context.Background(), source(text), Limits{})
			var ds Diagnostics
			if !errors.As(err, &ds) {
				continue
			}
			refused++
			for _, d := range ds {
				if d.File == "" || d.Line < 1 {
					t.Fatalf("%+v\nof\n%s", d, text)
				}
			}
		}
	}
	if refused < 50 {
		t.Errorf("only %d pipelines were refused", refused)
	}
}

func rewriteWant(t *testing.T, path string, archive *txtar.Archive, want string) {
	t.Helper()
	files := archive.Files[:0]
	for _, f := range archive.Files {
		if f.Name != "want" {
			files = append(files, f)
		}
	}
	archive.Files = append(files, txtar.File{Name: "want", Data: []byte(want)})
	if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLoadedPipeline(t *testing.T) {
	p := load(t, `(local ci (require :quire.ci))
(ci.image "golang:1.26")
(ci.cache :go ["/root/.cache/go-build" "vendor"])
(ci.service :db {:image "postgres:16" :env {:POSTGRES_PASSWORD "x" :PORT 5432} :ready ["pg_isready"]})
(ci.job :late [:test :quire/push :test] (fn []))
  (ci.job :test
    {:inputs [:quire/push] :run (fn [rt] nil) :timeout "1h30m" :retries 2
     :allow-failure true :interruptible false :once true :image "alpine" :env {:A "b"}})
(ci.mirror "https://github.com/me/repo.git" {:secret :token :tag (fn [push] "v1") :refs ["main"] :after [:late :quire/push]})
(ci.mirror "git@gitlab.com:me/repo.git" {:as :gitlab :secret :key :tag (fn [] "v1")})
(ci.job :var [:quire/push] (fn [...]))
(ci.job :lambda [:quire/push] (λ [rt] rt))
(ci.job :hash [:quire/push] #nil)
(ci.job :builtin [:quire/push] print)
`)
	var ids []string
	for _, j := range p.Jobs {
		ids = append(ids, j.ID)
	}
	if want := []string{"test", "late", "quire/mirror", "quire/mirror/gitlab", "var", "lambda", "hash", "builtin"}; !reflect.DeepEqual(ids, want) {
		t.Errorf("order %q, want %q", ids, want)
	}
	if p.Image.String() != "golang:1.26" {
		t.Errorf("image %q", p.Image)
	}
	if want := []Cache{{"go", []checked.CachePath{cachePath(t, "/root/.cache/go-build"), cachePath(t, "vendor")}}}; !reflect.DeepEqual(p.Caches, want) {
		t.Errorf("caches %+v", p.Caches)
	}
	if want := []Service{{host(t, "db"), image(t, "postgres:16"), map[string]string{"POSTGRES_PASSWORD": "x", "PORT": "5432"}, []string{"pg_isready"}}}; !reflect.DeepEqual(p.Services, want) {
		t.Errorf("services %+v", p.Services)
	}
	test := *p.Job("test")
	test.index = 0
	if want := (Job{
		ID: "test", Inputs: []string{"quire/push"}, Timeout: 90 * time.Minute, Retries: 2, AllowFailure: true, Once: true,
		Image: image(t, "alpine"), Env: map[string]string{"A": "b"}, File: ".quire/ci.fnl", Line: 6, Col: 2,
	}); !reflect.DeepEqual(test, want) {
		t.Errorf("%+v\nwant %+v", test, want)
	}
	late := p.Job("late")
	if !late.Interruptible || !reflect.DeepEqual(late.Inputs, []string{"test", "quire/push"}) {
		t.Errorf("%+v", late)
	}
	mirror := p.Job("quire/mirror")
	if want := (&MirrorSpec{URL: "https://github.com/me/repo.git", Secret: "token", Refs: []string{"main"}}); !reflect.DeepEqual(mirror.Mirror, want) {
		t.Errorf("%+v", mirror.Mirror)
	}
	if want := []string{"quire/push", "late"}; !reflect.DeepEqual(mirror.Inputs, want) {
		t.Errorf("inputs of the mirror %q", mirror.Inputs)
	}
	if got := p.Job("quire/mirror/gitlab").Mirror.As; got != "gitlab" {
		t.Errorf("as %q", got)
	}
	for id, want := range map[string][]string{
		"test": {"quire/push"}, "late": {"quire/push", "test"}, "quire/mirror": {"quire/push", "test", "late"}, "none": nil,
	} {
		if got := p.TransitiveInputs(id); !reflect.DeepEqual(got, want) {
			t.Errorf("TransitiveInputs(%q) = %q, want %q", id, got, want)
		}
	}
	if p.Job("none") != nil {
		t.Error("a job that is not there")
	}
}

// Jobs come after their inputs, and otherwise as they are registered.
func TestOrder(t *testing.T) {
	p := load(t, prelude+`
(ci.job :e [:d :a] (fn []))
(ci.job :b [:quire/push] (fn []))
(ci.job :d [:c] (fn []))
(ci.job :c [:quire/push] (fn []))
(ci.job :a [:quire/push] (fn []))`)
	var got []string
	for _, j := range p.Jobs {
		got = append(got, j.ID)
	}
	if fmt.Sprint(got) != "[b c d a e]" {
		t.Error(got)
	}
}

func TestJobsRegisteredByAModule(t *testing.T) {
	p := load(t, `(local go (require :go.jobs)) (go.register :test)`,
		"go.jobs", "(local ci (require :quire.ci))\n{:register (fn [id]\n  (ci.job id [:quire/push] (fn [] {})))}")
	if j := p.Jobs[0]; j.File != ".quire/lib/go/jobs.fnl" || j.Line != 3 || j.Col != 2 {
		t.Errorf("%s:%d:%d", j.File, j.Line, j.Col)
	}
}

func TestLibFiles(t *testing.T) {
	if got, want := LibFiles("a.b"), ".quire/lib/a/b.fnl"; got[0] != want {
		t.Errorf("%q", got)
	}
	for _, name := range []string{"", "..", "../x", "a/b", "a..b", ".a", "a.", "a\x00b", `a\b`} {
		if got := LibFiles(name); got != nil {
			t.Errorf("LibFiles(%q) = %q", name, got)
		}
	}
}

func TestSummary(t *testing.T) {
	ds := Diagnostics{{File: "f", Line: 1, Col: 2, Message: "bad\nmore", Advice: "do", Excerpt: "x"}, {}, {}}
	if got, want := ds.Summary(), "f:1:2: bad (and 2 more)"; got != want {
		t.Errorf("%q, want %q", got, want)
	}
	if got := ds[:1].Summary(); got != "f:1:2: bad" {
		t.Errorf("%q", got)
	}
}

func TestNearest(t *testing.T) {
	known := []string{"test", "build", "lint", "quire/push"}
	for name, want := range map[string]string{
		"tset": "test", "Test": "test", "biuld": "build", "quire/psuh": "quire/push", "deploy": "", "": "", "t": "",
		"lnt": "lint", strings.Repeat("x", 100): "",
	} {
		if got := nearest(name, known); got != want {
			t.Errorf("nearest(%q) = %q, want %q", name, got, want)
		}
	}
}

// Editors write a byte order mark, and nobody sees it.
func TestByteOrderMark(t *testing.T) {
	const mark = "\uFEFF"
	src := source(mark+prelude+`(import-macros {: twice} :m) (local u (require :u)) (ci.job :a [:quire/push] (fn [] (twice (u.f))))`,
		"u", mark+"{:f (fn [] nil)}", "m", mark+"{:twice (fn [x] `(do ,x ,x))}")
	p, err := Load(context.Background(), src, Limits{})
	if err != nil {
		t.Fatal(err)
	}
	if out := p.Run(context.Background(), newWorkshop(t), Options{}); out.State != event.RunSucceeded {
		t.Errorf("%s: %s", out.State, out.Reason)
	}
	// Positions are what they are without it.
	_, err = Load(context.Background(), source(mark+"(nonesuch 1)"), Limits{})
	if err == nil || !strings.Contains(err.Error(), ".quire/ci.fnl:1:") || strings.Contains(err.Error(), mark) {
		t.Errorf("got %v", err)
	}
}

// A module that is there and cannot be read is not called missing.
func TestAModuleThatCannotBeRead(t *testing.T) {
	for name, text := range map[string]string{
		"require": prelude + `(local u (require :u))`, "import-macros": `(import-macros {: f} :u)`, "include": `(include :u)`,
	} {
		src := source(text)
		src.Lib = func(string) ([]byte, string, error) {
			return nil, "", errors.New("read .quire/lib/u.fnl at 1234: .quire/lib/u.fnl has 9000000 bytes; at most 8388608 are read")
		}
		_, err := Load(context.Background(), src, Limits{})
		if err == nil || !strings.Contains(err.Error(), "module 'u' cannot be read: read .quire/lib/u.fnl at 1234: .quire/lib/u.fnl has 9000000 bytes") ||
			strings.Contains(err.Error(), "not found") {
			t.Errorf("%s: %v", name, err)
		}
	}
}
