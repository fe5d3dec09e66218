package pipeline

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Every pipeline of README.md and docs/ loads.
func TestManualExamples(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := map[string]int{}
	for _, path := range append(pages, "../README.md") {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		// What stands before the first block is none.
		for _, block := range strings.Split(string(page), "```fennel\n")[1:] {
			text, _, _ := strings.Cut(block, "```")
			if filepath.Base(path) == "fennel.md" && !strings.Contains(text, "ci.") {
				continue // the language by itself
			}
			examples[filepath.Base(path)]++
			if !strings.Contains(text, "(local ci ") {
				text = "(local ci (require :quire.ci))\n" + text
			}
			if _, err := Load(context.Background(), source(text), Limits{}); err != nil {
				t.Errorf("%s:\n%s\n%v", path, text, err)
			}
		}
	}
	if examples["pipeline-language.md"] < 8 || examples["README.md"] < 1 {
		t.Errorf("found examples: %v", examples)
	}
	page, err := os.ReadFile("../docs/pipeline-language.md")
	if err != nil {
		t.Fatal(err)
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
