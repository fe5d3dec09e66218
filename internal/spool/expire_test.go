package spool

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// What was set aside is not kept for ever.
func TestWhatWasSetAsideExpires(t *testing.T) {
	d := Dir(t.TempDir())
	if err := d.Make(); err != nil {
		t.Fatal(err)
	}
	put := func(part, name string, age time.Duration) {
		t.Helper()
		for _, file := range []string{name, name + ".why"} {
			path := d.part(part, file)
			if err := os.WriteFile(path, []byte("x"), 0o600); err != nil {
				t.Fatal(err)
			}
			at := time.Now().Add(-age)
			if err := os.Chtimes(path, at, at); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, part := range []string{"bad", "aside", "new"} {
		put(part, "old", 48*time.Hour)
		put(part, "a", 3*time.Hour)
		put(part, "b", 2*time.Hour)
		put(part, "c", time.Hour)
	}
	os.Remove(d.part("bad", "old")) // its reason is left alone
	// The file is of any age, and was set aside now.
	at := time.Now().Add(-1000 * time.Hour)
	if err := os.Chtimes(d.part("bad", "c"), at, at); err != nil {
		t.Fatal(err)
	}
	if err := d.Expire(24*time.Hour, 2); err != nil {
		t.Fatal(err)
	}
	for part, want := range map[string][]string{
		"bad": {"b", "b.why", "c", "c.why"}, "aside": {"b", "b.why", "c", "c.why"},
		"new": {"a", "a.why", "b", "b.why", "c", "c.why", "old", "old.why"},
	} {
		entries, err := os.ReadDir(filepath.Join(d.Root(), part))
		var got []string
		for _, e := range entries {
			got = append(got, e.Name())
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%s holds %v, %v; want %v", part, got, err, want)
		}
	}
	if err := d.Expire(0, 0); err != nil {
		t.Fatal(err)
	}
	if files, err := d.BadFiles(); len(files) != 2 || err != nil {
		t.Errorf("without bounds %d are left, %v", len(files), err)
	}
}
