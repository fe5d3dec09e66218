package config

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var secretOf = regexp.MustCompile(`(?m)^secret\s*= "(\w+)"`)

// Every piece of configuration that README.md and docs/ show is one that loads:
// its keys exist and its values are of their kinds.
func TestManualExamples(t *testing.T) {
	pages, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	examples := 0
	for _, path := range append(pages, "../../README.md") {
		page, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range strings.Split(string(page), "```toml\n")[1:] {
			text, _, _ := strings.Cut(block, "```")
			if strings.Contains(text, "runner = ") {
				continue // quire.toml, the record of a repository
			}
			examples++
			for _, m := range secretOf.FindAllStringSubmatch(text, -1) {
				if table := "[secrets." + m[1] + "]"; !strings.Contains(text, table) {
					text += table + "\nfile = \"/etc/quire/" + m[1] + "\"\n" // shown elsewhere
				}
			}
			if _, err := Parse("/etc/quire/config.toml", "state_dir = \"/var/lib/quire\"\n"+text); err != nil {
				t.Errorf("%s:\n%s\n%v", path, text, err)
			}
		}
	}
	if examples < 8 {
		t.Errorf("%d examples found", examples)
	}
}
