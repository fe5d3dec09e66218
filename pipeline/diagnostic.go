package pipeline

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"quire/fennel"
)

// Diagnostic is one thing that is wrong with a pipeline, or only odd, and where.
type Diagnostic struct {
	File string `json:"file"`
	Line int    `json:"line"` // from 1; 0 when the place is not known

	// Col and EndCol are the first and last character of the place, counted from
	// 0 as Fennel's own compile errors count them, so that one file's errors agree.
	Col    int `json:"col"`
	EndCol int `json:"end_col"`

	// Warning is set on what [Pipeline.Warnings] says of a pipeline that is sound.
	Warning bool `json:"warning,omitempty"`

	Message string `json:"message"`
	Advice  string `json:"advice,omitempty"`  // what to do; one sentence a line
	Excerpt string `json:"excerpt,omitempty"` // the source line, and carets below it
}

// Error lays the diagnostic out for a person: place and message, the source
// line with the place marked below it, advice.
func (d Diagnostic) Error() string {
	var b strings.Builder
	if d.File != "" {
		b.WriteString(d.File)
		if d.Line > 0 {
			fmt.Fprintf(&b, ":%d:%d", d.Line, d.Col)
		}
		b.WriteString(": ")
	}
	if d.Warning {
		b.WriteString("warning: ")
	}
	b.WriteString(d.Message)
	if d.Excerpt != "" {
		b.WriteString("\n\n")
		b.WriteString(d.Excerpt)
	}
	for line := range strings.Lines(d.Advice) {
		b.WriteString("\n* ")
		b.WriteString(strings.TrimSuffix(line, "\n"))
	}
	return b.String()
}

// Diagnostics is everything that is wrong with a pipeline, in the order of the
// source. It is never empty when it is an error.
type Diagnostics []Diagnostic

// Error lays out all of them, a blank line between two.
func (ds Diagnostics) Error() string {
	texts := make([]string, len(ds))
	for i, d := range ds {
		texts[i] = d.Error()
	}
	return strings.Join(texts, "\n\n")
}

// Summary is one line for a place that has room for one: the first fault, and
// how many more there are.
func (ds Diagnostics) Summary() string {
	if len(ds) == 0 {
		return ""
	}
	first := ds[0]
	first.Excerpt, first.Advice = "", ""
	text, _, _ := strings.Cut(first.Error(), "\n")
	if n := len(ds) - 1; n > 0 {
		text = fmt.Sprintf("%s (and %d more)", text, n)
	}
	return text
}

// legible makes what a pipeline's author wrote fit to be printed: it is seen on
// other people's terminals, which obey control characters. Columns stay true.
func (ds Diagnostics) legible() Diagnostics {
	clean := func(s string) string {
		return strings.Map(func(c rune) rune {
			if unicode.IsControl(c) && c != '\n' && c != '\t' {
				return utf8.RuneError
			}
			return c // an invalid byte is RuneError already
		}, s)
	}
	for i := range ds {
		d := &ds[i]
		d.Message, d.Advice, d.Excerpt = brief(clean(d.Message)), brief(clean(d.Advice)), clean(d.Excerpt)
		d.Col = max(d.Col, 0)
		d.EndCol = max(d.EndCol, d.Col)
	}
	return ds
}

// brief cuts a sentence that a pipeline made too long. While a pipeline is loaded
// it has no secret, so nothing is to be masked before.
func brief(s string) string {
	if len(s) <= maxReason {
		return s
	}
	return strings.ToValidUTF8(s[:maxReason], "") + "…"
}

// inOrder sorts by place. Faults of one place keep the order they were found in.
func (ds Diagnostics) inOrder(mainFile string) Diagnostics {
	slices.SortStableFunc(ds, func(a, b Diagnostic) int {
		if a.File != b.File {
			// The pipeline itself comes before the modules it loads.
			if a.File == mainFile {
				return -1
			}
			if b.File == mainFile {
				return 1
			}
			return strings.Compare(a.File, b.File)
		}
		if a.Line != b.Line {
			return a.Line - b.Line
		}
		return a.Col - b.Col
	})
	return ds
}

// ofCompiler is a compile error of Fennel's as it is: same place, same words.
// An error that a macro raised arrives inside that of the macro's call; it is
// the inner one, which knows more, that is told. text finds a file's text.
func ofCompiler(err error, text func(file string) []byte) Diagnostics {
	var fe *fennel.Error
	if !errors.As(err, &fe) {
		return Diagnostics{{Message: err.Error()}}
	}
	d := Diagnostic{
		File: fe.File, Line: fe.Line, Col: fe.Col, EndCol: fe.EndCol,
		Message: fmt.Sprintf("%s error: %s", fe.Kind, fe.Message),
	}
	if fe.SourceLine != "" {
		d.Excerpt = fennel.Excerpt([]byte(fe.SourceLine), 1, fe.Col, fe.EndCol)
	}
	for i, a := range fe.Advice {
		if i > 0 {
			d.Advice += "\n"
		}
		d.Advice += "Try " + a + "."
	}
	if m := nestedError.FindStringSubmatch(fe.Message); m != nil {
		d.Message, d.Advice = m[4], ""
		if source := text(m[1]); source != nil && m[2] != "?" {
			d.File = m[1]
			d.Line, _ = strconv.Atoi(m[2])
			d.Col, _ = strconv.Atoi(m[3])
			d.EndCol = endOfForm(source, d.Line, d.Col)
			d.Excerpt = fennel.Excerpt(source, d.Line, d.Col, d.EndCol)
		}
	}
	return Diagnostics{d}
}

// nestedError is the first line of a compile error that is another's message.
var nestedError = regexp.MustCompile(`^([^\n]*?):(\d+|\?):(\d+|\?): ((?:Compile|Parse) error: [^\n]*)`)
