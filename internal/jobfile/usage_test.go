package jobfile

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestUsageCountsWhatIsOnTheDisk(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "big")
	must(t, os.WriteFile(outside, make([]byte, 8<<20), 0o600))
	must(t, os.MkdirAll(filepath.Join(dir, "a", "b"), 0o700))
	must(t, os.WriteFile(filepath.Join(dir, "a", "b", "data"), []byte(strings.Repeat("x", 1<<20)), 0o600))
	must(t, os.Link(filepath.Join(dir, "a", "b", "data"), filepath.Join(dir, "again")))
	must(t, os.Symlink(outside, filepath.Join(dir, "link")))
	must(t, os.Symlink("/", filepath.Join(dir, "root")))
	must(t, os.WriteFile(filepath.Join(dir, "holes"), nil, 0o600))
	must(t, os.Truncate(filepath.Join(dir, "holes"), 1<<40))
	bounds := Bounds{Entries: 100, Depth: 10}
	got, err := Usage(t.Context(), dir, bounds)
	if err != nil || got.Part || got.Entries != 7 || got.Bytes < 1<<20 || got.Bytes > 3<<19 {
		t.Errorf("%+v, %v", got, err)
	}
	for _, b := range []Bounds{{Entries: 6, Depth: 10}, {Entries: 100, Depth: 2}} {
		if got, err := Usage(t.Context(), dir, b); err != nil || !got.Part {
			t.Errorf("within %+v: %+v, %v", b, got, err)
		}
	}
	if got, err := Usage(t.Context(), filepath.Join(dir, "none"), bounds); err != nil || got != (Used{}) {
		t.Errorf("a directory that is not there: %+v, %v", got, err)
	}
}
