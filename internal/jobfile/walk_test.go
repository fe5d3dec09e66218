package jobfile

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func TestAWalkMeetsEverythingOnceAndFollowsNothing(t *testing.T) {
	root, _, _ := hostile(t)
	var got []string
	err := root.Walk(t.Context(), ".", Bounds{100, 10}, func(e Entry) error {
		line := e.Name + " " + e.Mode().Type().String()
		if e.IsLink() {
			line += " " + e.Target
		}
		got = append(got, line)
		return nil
	})
	must(t, err)
	for _, want := range []string{"dir d---------", "dir/inner ----------", "dir/up L--------- ..", "pipe p---------", "socket S---------",
		"out L--------- ../outside", "loop L--------- loop", "magic L--------- /proc/self/root"} {
		if !slices.Contains(got, want) {
			t.Errorf("%q was not met; met were %q", want, got)
		}
	}
	if slices.ContainsFunc(got, func(s string) bool { return strings.HasPrefix(s, "out/") || strings.HasPrefix(s, "magic/") }) {
		t.Errorf("a link was followed: %q", got)
	}
	if slices.Index(got, "dir d---------") > slices.Index(got, "dir/inner ----------") {
		t.Error("a directory comes after what is in it")
	}
}

func TestAWalkHasBounds(t *testing.T) {
	root, ws, _ := hostile(t)
	for i := range 50 {
		must(t, os.WriteFile(filepath.Join(ws, "dir", fmt.Sprint(i)), nil, 0o600))
	}
	err := root.Walk(t.Context(), ".", Bounds{Entries: 40, Depth: 10}, func(Entry) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "more than 40 files") {
		t.Errorf("many: %v", err)
	}
	nest(t, ws, 600, "d")
	err = root.Walk(t.Context(), ".", Bounds{Entries: 10_000, Depth: 20}, func(Entry) error { return nil })
	if err == nil || !strings.Contains(err.Error(), "nested deeper than 20") {
		t.Errorf("deep: %v", err)
	}
}

// What a walk has met is what is opened, and not what has its name by then.
func TestWhatAWalkMetIsWhatIsOpened(t *testing.T) {
	root, ws, outside := hostile(t)
	met := false
	err := root.Walk(t.Context(), ".", Bounds{100, 10}, func(e Entry) error {
		if e.Name != "plain" {
			return nil
		}
		met = true
		must(t, os.Remove(filepath.Join(ws, "plain")), os.Symlink(filepath.Join(outside, "secret"), filepath.Join(ws, "plain")))
		f, err := e.Open(t.Context())
		must(t, err)
		defer f.Close()
		if got, err := io.ReadAll(f); string(got) != "text" || err != nil {
			t.Errorf("read %q, %v", got, err)
		}
		return nil
	})
	if err != nil || !met {
		t.Errorf("%v, met: %v", err, met)
	}
}
