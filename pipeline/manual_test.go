package pipeline

import (
	"context"
	"os"
	"strings"
	"testing"
)

// Every example of the manual is a pipeline that loads.
func TestManualExamples(t *testing.T) {
	page, err := os.ReadFile("../docs/pipeline-language.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for block := range strings.SplitSeq(string(page), "```fennel\n") {
		if examples++; examples == 1 {
			continue // what stands before the first
		}
		text, _, _ := strings.Cut(block, "```")
		if !strings.Contains(text, "(local ci ") {
			text = "(local ci (require :quire.ci))\n" + text
		}
		if _, err := Load(context.Background(), source(text), Limits{}); err != nil {
			t.Errorf("%s\n%v", text, err)
		}
	}
	if examples < 8 {
		t.Errorf("%d examples found", examples-1)
	}
	// What the table of primitives names is what there is.
	for _, p := range primitives {
		if !strings.Contains(string(page), "`("+p.name+" ") {
			t.Errorf("the manual does not tell of %s", p.name)
		}
	}
	for _, lists := range [][]string{jobFields[2:], mirrorFields, shFields} {
		for _, field := range lists {
			if !strings.Contains(string(page), ":"+field) {
				t.Errorf("the manual does not tell of :%s", field)
			}
		}
	}
}
