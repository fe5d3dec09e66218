package main

import (
	"bytes"
	"strings"
	"testing"

	"quire/internal/event"
	"quire/internal/runlog"
)

// A program may write a character in two pieces. JSON has it whole, and as
// U+FFFD only what is no character in the end.
func TestJSONHasCharactersWhole(t *testing.T) {
	var out bytes.Buffer
	l := logPrinter{w: &out, json: true}
	r := event.Record{Job: "j", Sh: 1}
	for _, e := range []struct {
		stream runlog.Stream
		text   string
		whole  bool
	}{
		{runlog.Stdout, "gr\xc3", false}, {runlog.Stderr, "\xf0\x9f\x98", false}, {runlog.Stdout, "\xb6\xc3", false}, {runlog.Stdout, "\x9fe", true},
		{runlog.Stderr, "\x80 ok", true}, {runlog.Stdout, "half \xe2\x82", true}, {runlog.Stdout, "end \xe2", false},
	} {
		if err := l.entry(r, runlog.Entry{Stream: e.stream, Text: []byte(e.text), Whole: e.whole}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.endOutput(r); err != nil {
		t.Fatal(err)
	}
	var texts []string
	for line := range strings.Lines(out.String()) {
		_, text, _ := strings.Cut(line, `"text":`)
		texts = append(texts, strings.TrimSuffix(text, "}\n"))
	}
	want := []string{`"gr"`, `"ö"`, `"ße"`, `"😀 ok"`, `"half \ufffd\ufffd"`, `"end "`, `"\ufffd"`}
	if strings.Join(texts, " ") != strings.Join(want, " ") {
		t.Errorf("%s\nwant %s", texts, want)
	}
}
