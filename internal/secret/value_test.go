package secret

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/BurntSushi/toml"
)

const canary = "canary-d41d8cd98f00b204"

// holder has a Value where a program has one: exported, unexported, behind a
// pointer, in a slice, as a key and as an any.
type holder struct {
	Open    Value
	hidden  Value
	Pointer *Value
	List    []Value
	Any     any
	Map     map[string]Value
}

type element struct {
	Text Value
	Attr *Value `xml:",attr"`
}

func newHolder() holder {
	v := NewValue(canary)
	return holder{v, v, &v, []Value{v, v}, v, map[string]Value{"k": v}}
}

func TestNothingPrintsAValue(t *testing.T) {
	v := NewValue(canary)
	h := newHolder()
	var out []string
	for _, verb := range strings.Split("%v %+v %#v %s %q %+q %x %X %# x %d %t %p %T %U %c %e %b %o %20s %-20v %w", " ") {
		for _, x := range []any{v, &v, h, &h, []any{v, h}, map[string]any{"v": v}} {
			out = append(out, fmt.Sprintf(verb, x))
		}
	}
	out = append(out, fmt.Sprint(v, h), fmt.Sprintln(&v), fmt.Errorf("x: %w", fmt.Errorf("%v", v)).Error(), errors.New(v.String()).Error())

	var log bytes.Buffer
	for _, l := range []*slog.Logger{slog.New(slog.NewTextHandler(&log, nil)), slog.New(slog.NewJSONHandler(&log, nil))} {
		l.Info("x", "v", v, "p", &v, "h", h, slog.Group("g", "v", v))
		l.With("v", v).Info("y")
	}
	out = append(out, log.String())

	for _, x := range []any{v, &v, map[string]any{"a": v}, h.List, struct{ V Value }{v}} {
		b, err := json.Marshal(x)
		if err != nil {
			t.Errorf("json of %T: %v", x, err)
		}
		out = append(out, string(b))
	}
	var b bytes.Buffer
	if err := xml.NewEncoder(&b).Encode(element{v, &v}); err != nil {
		t.Errorf("xml: %v", err)
	}
	if err := toml.NewEncoder(&b).Encode(map[string]any{"v": v}); err != nil {
		t.Errorf("toml: %v", err)
	}
	if err := gob.NewEncoder(&b).Encode(struct{ V Value }{v}); err != nil {
		t.Errorf("gob: %v", err)
	}
	if err := template.Must(template.New("").Parse("{{.Open}} {{.List}} {{printf \"%q\" .Any}}")).Execute(&b, h); err != nil {
		t.Errorf("template: %v", err)
	}
	out = append(out, b.String())

	for _, s := range out {
		if strings.Contains(s, "canary") || strings.Contains(s, "63616e617279") || strings.Contains(strings.ToLower(s), "63 61 6e") {
			t.Errorf("printed: %s", s)
		}
	}
	if got := fmt.Sprintf("%s|%v|%q|%x|%#v", v, v, v, v, v); got != strings.Repeat(Redacted+"|", 4)+Redacted {
		t.Errorf("got %s", got)
	}
}

func TestRevealIsTheWayOut(t *testing.T) {
	if got := NewValue(canary).Reveal(); got != canary {
		t.Errorf("Reveal gives %q", got)
	}
	if got := (Value{}).Reveal(); got != "" {
		t.Errorf("the zero Value reveals %q", got)
	}
}
