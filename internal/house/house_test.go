// Package house holds the tree to its plan: who may import whom, and that every
// package says what it is for. It has no code of its own.
package house

import (
	"encoding/json"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// mayImport is the table of docs/design.md: for each package of ours, which
// others of ours it may import. A package that is not listed may import none
// and be imported by cmd/quire and tests only; cmd/quire may import anything.
var mayImport = map[string][]string{
	"hooks/post-receive": {"hooks", "internal/config"},
	"hooks/pre-receive":  {"hooks", "internal/config"},
	"hooks":              {"internal/event", "internal/config", "internal/spool", "internal/runlog", "internal/runner", "internal/handover"},
	"hooks/install":      {"hooks", "internal/runner", "internal/account"},
	"cmd/demo":           {"mirror/forgetest"},
	"pipeline":           {"fennel", "fennel/vm", "internal/secret", "internal/secret/masked", "internal/event", "internal/checked"},
	"mirror":             {"internal/event", "internal/network", "internal/runner", "internal/secret", "internal/secret/masked", "internal/gitrepo", "internal/store"},
	"mirror/forgetest":   {},
	"fennel":             {"fennel/vm", "fennel/luacode"},
	"fennel/vm":          {"fennel/luacode"},
	"fennel/luacode":     {},
	"internal/network":   {"internal/config"},
	"internal/worker":    {"internal/network", "internal/checked", "internal/event", "internal/runner", "internal/store", "internal/spool", "internal/runlog", "internal/gitrepo", "internal/executor", "internal/executor/docker", "internal/notify", "internal/secret", "internal/secret/masked", "internal/memory", "internal/wall", "mirror", "internal/config", "internal/jobfile", "internal/cache"},
	"internal/supervise": {"internal/network", "pipeline", "internal/checked", "internal/runner", "internal/executor", "internal/executor/choose", "mirror", "internal/secret", "internal/secret/masked", "internal/store", "internal/event", "internal/gitrepo", "internal/spool", "internal/runlog", "internal/memory", "internal/wall", "internal/config", "internal/jobfile", "internal/cache"},
	"internal/executor":  {"internal/secret", "internal/checked", "internal/executor/host", "internal/executor/bwrap", "internal/executor/docker"},
	"internal/secret":    {"internal/config", "internal/event", "internal/secret/masked", "internal/secret/internal/right", "internal/checked"},
	"internal/store":     {"internal/event", "internal/secret/masked"},
	"internal/gitrepo":   {},
	"internal/wall":      {"internal/config", "internal/event", "mirror"},
	"internal/jobfile":   {},
	"internal/cache":     {"internal/jobfile", "internal/runlog"},
	"internal/event":     {"internal/secret/masked"},
	"internal/checked":   {},
	"internal/config":    {},
	"internal/handover":  {"internal/spool", "internal/runner"},
	"internal/intake":    {"internal/account", "internal/event", "internal/gitrepo", "internal/handover", "internal/runner", "internal/spool"},
	"internal/runner":    {},
	"internal/account":   {},
	"internal/spool":     {"internal/event"},
	"internal/runlog":    {"internal/event", "internal/secret/masked", "internal/checked"},
	"internal/web":       {"internal/checked", "internal/event", "internal/store", "internal/runlog", "mirror"},
	"internal/notify":    {"internal/checked", "internal/event", "internal/network", "internal/store"},
	"internal/memory":    {},

	// Only what lies below internal/secret can import the right to call text masked.
	"internal/secret/masked":         {"internal/secret/internal/right", "internal/checked"},
	"internal/secret/internal/right": {},

	"internal/installtest":    {}, // tests only
	"internal/attack":         {}, // tests only
	"internal/users":          {}, // tests only
	"internal/boottest":       {}, // tests only
	"internal/jobfile/hungfs": {}, // tests only
}

// hookLinks is all that the hook binaries may link beyond the standard library:
// package initialisation of everything linked is paid on every push.
var hookLinks = []string{"github.com/BurntSushi/toml"}

type listed struct {
	ImportPath   string
	Name         string
	Doc          string
	Imports      []string
	Deps         []string
	Standard     bool
	GoFiles      []string
	TestGoFiles  []string
	XTestGoFiles []string
}

const module = "quire"

func list(t *testing.T, args ...string) []listed {
	t.Helper()
	cmd := exec.Command("go", append([]string{"list", "-json=ImportPath,Name,Doc,Imports,Deps,Standard,GoFiles,TestGoFiles,XTestGoFiles"}, args...)...)
	cmd.Dir = "../.."
	out, err := cmd.Output()
	if err != nil {
		if ee, ok := err.(*exec.ExitError); ok {
			t.Fatalf("go list: %v\n%s", err, ee.Stderr)
		}
		t.Fatalf("go list: %v", err)
	}
	var all []listed
	for dec := json.NewDecoder(strings.NewReader(string(out))); dec.More(); {
		var p listed
		if err := dec.Decode(&p); err != nil {
			t.Fatal(err)
		}
		all = append(all, p)
	}
	return all
}

func ours(path string) (string, bool) { return strings.CutPrefix(path, module+"/") }

func TestImportTable(t *testing.T) {
	for _, p := range list(t, "./...") {
		name, ok := ours(p.ImportPath)
		if !ok || name == "cmd/quire" || len(p.GoFiles) == 0 {
			continue
		}
		if strings.HasPrefix(name, "internal/executor/") || strings.HasPrefix(name, "bench") {
			continue // see TestExecutorsStandApart; benchmarks look at everything
		}
		allowed, listed := mayImport[name]
		if !listed {
			t.Errorf("%s is not in the table of who may import whom: give it a place in docs/design.md and here", name)
		}
		for _, imp := range p.Imports {
			if dep, ok := ours(imp); ok && !slices.Contains(allowed, dep) {
				t.Errorf("%s imports %s, which the table does not allow", name, dep)
			}
		}
	}
}

// The executors know their contract and nothing of runs, stores or pipelines.
func TestExecutorsStandApart(t *testing.T) {
	for _, p := range list(t, "./internal/executor/...") {
		for _, imp := range p.Imports {
			dep, ok := ours(imp)
			if ok && dep != "internal/secret" && dep != "internal/checked" && dep != "internal/jobfile" && !strings.HasPrefix(dep, "internal/executor") {
				t.Errorf("%s imports %s", p.ImportPath, dep)
			}
		}
	}
}

func TestHookLinksAlmostNothing(t *testing.T) {
	standard := map[string]bool{}
	for _, p := range list(t, "-deps", "./hooks/...") {
		standard[p.ImportPath] = p.Standard
	}
	for _, p := range list(t, "./hooks/...") {
		for _, dep := range p.Deps {
			if _, ok := ours(dep); ok || standard[dep] {
				continue
			}
			if !slices.ContainsFunc(hookLinks, func(l string) bool { return dep == l || strings.HasPrefix(dep, l+"/") }) {
				t.Errorf("%s links %s", p.ImportPath, dep)
			}
		}
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	for _, p := range list(t, "./...") {
		if len(p.GoFiles) > 0 && p.Doc == "" {
			t.Errorf("%s has no package comment", p.ImportPath)
		}
		for _, vague := range []string{"util", "utils", "helper", "helpers", "common", "types", "manager", "misc"} {
			if p.Name == vague {
				t.Errorf("%s: %q says nothing about what lives there", p.ImportPath, p.Name)
			}
		}
	}
}
