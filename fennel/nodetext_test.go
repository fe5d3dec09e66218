package fennel_test

import (
	"path/filepath"
	"testing"

	"quire/fennel"
)

// What String gives of a form that was read is read as the same form.
func TestFormsReadBack(t *testing.T) {
	files, err := filepath.Glob("testdata/language/*.cases")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	n := 0
	for _, file := range files {
		for _, c := range readCases(t, file) {
			forms, err := fennel.Read([]byte(c.src), "t.fnl")
			if err != nil {
				continue
			}
			for _, form := range forms {
				again, err := fennel.Read([]byte(form.String()), "again.fnl")
				if err != nil || len(again) != 1 || again[0].String() != form.String() {
					t.Errorf("%s\nwritten as %s\nread as %v, %v", c.src, form, again, err)
				}
				n++
			}
		}
	}
	if n < 500 {
		t.Errorf("only %d forms", n)
	}
}
