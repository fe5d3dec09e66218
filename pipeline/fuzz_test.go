package pipeline

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"

	"quire/internal/event"
	"quire/internal/secret"
)

// Whatever the text: Load comes back, with a pipeline whose graph is sound or
// with diagnostics that point into the text and can be printed.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(ordinary))
	archives, err := filepath.Glob("testdata/diagnostics/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range archives {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(archive.Files[0].Data)
	}
	limits := Limits{Stretch: 300 * time.Millisecond, Grace: 20 * time.Second}
	f.Fuzz(func(t *testing.T, text []byte) {
		if len(text) > 1<<16 {
			return
		}
		src := Source{Name: "ci.fnl", Text: text, Lib: func(string) ([]byte, string, error) { return []byte("{:f 1}"), "lib.fnl", nil }}
		p, err := Load(context.Background(), src, limits)
		if err != nil {
			checkDiagnostics(t, text, err)
			return
		}
		place := map[string]int{}
		for i, j := range p.Jobs {
			place[j.ID] = i
			if j.ID == "" || len(j.Inputs) == 0 || j.Line < 1 {
				t.Errorf("job %+v", j)
			}
			for _, in := range j.Inputs {
				if before, ok := place[in]; in != PushSource && (!ok || before >= i) {
					t.Errorf("job %q comes before its input %q", j.ID, in)
				}
			}
			if inputs := p.TransitiveInputs(j.ID); len(inputs) == 0 || inputs[0] != PushSource {
				t.Errorf("job %q is reached by %q", j.ID, inputs)
			}
		}
	})
}

func checkDiagnostics(t *testing.T, text []byte, err error) {
	t.Helper()
	var ds Diagnostics
	if !errors.As(err, &ds) {
		t.Fatalf("%T: %v", err, err)
	}
	if len(ds) == 0 {
		t.Error("an error without diagnostics")
	}
	lines := bytes.Count(text, []byte("\n")) + 1
	for _, d := range ds {
		if d.Message == "" || !utf8.ValidString(d.Error()) {
			t.Errorf("%q", d.Error())
		}
		if d.File == "ci.fnl" && (d.Line < 0 || d.Line > lines || d.Col < 0 || d.EndCol < d.Col && d.EndCol != 0) {
			t.Errorf("%d:%d-%d in a text of %d lines: %s", d.Line, d.Col, d.EndCol, lines, d.Message)
		}
	}
	if ds.Summary() == "" {
		t.Error("no summary")
	}
}

// What is frozen and thawed is what it was, and no value crashes either.
func FuzzOutputs(f *testing.F) {
	for _, seed := range []string{`{}`, `[1 2 3]`, `{:a {:b [true false 1.5 "x"]} 1 2 -1 3}`, `(let [t []] (set t.t t) t)`, `{[] 1}`, `[nil nil 3]`, `{:exit 1}`, `nil`} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expression string) {
		if len(expression) > 1<<12 {
			return
		}
		text := prelude + "(ci.job :a [:quire/push] (fn []\n" + expression + "\n))\n" +
			"(ci.job :b {:inputs [:a] :run (fn [] (let [a (runtime.jobs :a)] (if a {:again a} nil)))})"
		p, err := Load(context.Background(), source(text), Limits{Stretch: 300 * time.Millisecond, Grace: 20 * time.Second})
		if err != nil {
			return
		}
		for range 2 { // in copied states, and in evaluated ones
			out := p.Run(context.Background(), quiet{}, Options{})
			if out.Err != nil {
				t.Fatal(out.Err)
			}
			for _, j := range out.Jobs {
				if !j.State.Final() || (j.State == event.JobFailed) != !j.Reason.IsZero() && j.State != event.JobBlocked {
					t.Errorf("%+v", j)
				}
			}
			p.template = nil
		}
	})
}

// quiet is a Host whose jobs may log, and no more.
type quiet struct{ Host }

func (quiet) Log(Call, string) {}

func (quiet) Mask(text string) secret.Masked { return secret.NewRedactor().Mask(text) }
