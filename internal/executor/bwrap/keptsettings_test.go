package bwrap

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// later is when all that a test has just written has not changed for long.
func later() time.Time { return time.Now().Add(time.Hour) }

type settingsTest struct {
	*testing.T
	kept, from string
	hidden     []string
}

func newSettingsTest(t *testing.T) *settingsTest {
	top := t.TempDir()
	s := &settingsTest{T: t, kept: filepath.Join(top, "kept"), from: filepath.Join(top, "etc")}
	s.write("passwd", "root", 0o644)
	s.write("ssl/certs/ca.pem", "certificate", 0o644)
	s.write("shadow", "SECRET", 0o640)
	s.write("ssl/private/key.pem", "SECRET", 0o644)
	s.write("quire/token", "SECRET", 0o644)
	s.hidden = []string{filepath.Join(s.from, "quire"), "/elsewhere", top}
	s.must(os.Chmod(filepath.Join(s.from, "ssl/private"), 0o710))
	s.must(os.Symlink("/run/resolv.conf", filepath.Join(s.from, "resolv.conf")))
	return s
}

func (s *settingsTest) must(err error) {
	s.Helper()
	if err != nil {
		s.Fatal(err)
	}
}

func (s *settingsTest) write(name, content string, mode os.FileMode) {
	s.Helper()
	path := filepath.Join(s.from, name)
	s.must(os.MkdirAll(filepath.Dir(path), 0o755))
	s.must(os.WriteFile(path, []byte(content), mode))
	s.must(os.Chmod(path, mode))
}

func (s *settingsTest) take() *keptSettings {
	s.Helper()
	k, err := keepSettings(s.kept, s.from, s.hidden, later())
	s.must(err)
	if k == nil {
		s.Fatal("no copy is kept")
	}
	s.Cleanup(k.close)
	return k
}

// names are what a copy holds.
func (s *settingsTest) names(k *keptSettings) string {
	s.Helper()
	var names []string
	s.must(filepath.WalkDir(k.tree, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, k.tree+"/"))
		}
		return err
	}))
	return strings.Join(names, " ")
}

func TestSettingsAreKeptAsLongAsNothingChanges(t *testing.T) {
	s := newSettingsTest(t)
	first := s.take()
	if got := s.names(first); got != "passwd resolv.conf ssl/certs/ca.pem" {
		t.Errorf("the copy holds: %s", got)
	}
	if again := s.take(); again.tree != first.tree {
		t.Error("nothing has changed, and another copy is made")
	}
	for _, change := range []struct {
		name  string
		make  func()
		holds string
	}{
		{"a file is written in place", func() { s.write("passwd", "ROOT", 0o644) }, "passwd resolv.conf ssl/certs/ca.pem"},
		{"a file is replaced by one of the same size", func() {
			s.write("new", "Root", 0o644)
			s.must(os.Rename(filepath.Join(s.from, "new"), filepath.Join(s.from, "passwd")))
		}, "passwd resolv.conf ssl/certs/ca.pem"},
		{"a file deep below is new", func() { s.write("ssl/certs/more/b.pem", "b", 0o644) }, "passwd resolv.conf ssl/certs/ca.pem ssl/certs/more/b.pem"},
		{"a file is gone", func() { s.must(os.Remove(filepath.Join(s.from, "ssl/certs/more/b.pem"))) }, "passwd resolv.conf ssl/certs/ca.pem"},
		{"a file is closed to others", func() { s.must(os.Chmod(filepath.Join(s.from, "passwd"), 0o600)) }, "resolv.conf ssl/certs/ca.pem"},
		{"a file is opened to others", func() { s.must(os.Chmod(filepath.Join(s.from, "passwd"), 0o644)) }, "passwd resolv.conf ssl/certs/ca.pem"},
		{"a directory is closed to others", func() { s.must(os.Chmod(filepath.Join(s.from, "ssl"), 0o700)) }, "passwd resolv.conf"},
		{"a link leads elsewhere", func() {
			s.must(os.Remove(filepath.Join(s.from, "resolv.conf")))
			s.must(os.Symlink("/etc/passwd", filepath.Join(s.from, "resolv.conf")))
		}, "passwd resolv.conf"},
		{"a directory is replaced by a link", func() {
			s.must(os.Rename(filepath.Join(s.from, "ssl"), filepath.Join(s.from, "quire", "ssl")))
			s.must(os.Symlink("quire/ssl", filepath.Join(s.from, "ssl")))
		}, "passwd resolv.conf ssl"},
		{"something else is hidden", func() { s.hidden = append(s.hidden, filepath.Join(s.from, "resolv.conf")) }, "passwd ssl"},
	} {
		before := s.take()
		change.make()
		k := s.take()
		if k.tree == before.tree {
			t.Errorf("%s: the same copy is used", change.name)
		}
		if got := s.names(k); got != change.holds {
			t.Errorf("%s: the copy holds: %s", change.name, got)
		}
	}
	if b, err := os.ReadFile(filepath.Join(first.tree, "passwd")); err != nil || string(b) != "root" {
		t.Errorf("a copy in use has changed: %q, %v", b, err)
	}
}

// What is not shown may change as it likes.
func TestSettingsThatAreNotShownMakeNoCopy(t *testing.T) {
	s := newSettingsTest(t)
	k := s.take()
	s.write("shadow", "ANOTHER SECRET", 0o640)
	s.write("quire/token", "ANOTHER SECRET", 0o644)
	s.write("ssl/private/key.pem", "ANOTHER SECRET", 0o644)
	s.hidden = append(s.hidden, "/another/repository")
	if again := s.take(); again.tree != k.tree {
		t.Error("another copy is made")
	}
}

// A file that changes twice within a step of the clock looks the same.
func TestSettingsThatHaveJustChangedAreNotKept(t *testing.T) {
	s := newSettingsTest(t)
	now := time.Now()
	if k, err := keepSettings(s.kept, s.from, s.hidden, now); k != nil || err != nil {
		t.Errorf("a copy of what has just changed is kept: %v, %v", k, err)
	}
	if k, err := keepSettings(s.kept, s.from, s.hidden, now.Add(-time.Hour)); k != nil || err != nil {
		t.Errorf("a copy of what changes in the future is kept: %v, %v", k, err)
	}
}

func TestCopiesThatNobodyUsesAreRemoved(t *testing.T) {
	s := newSettingsTest(t)
	used := s.take()
	s.write("passwd", "two", 0o644)
	s.take().close()
	for _, left := range []string{makingPrefix + "1", dyingPrefix + keptPrefix + "2"} { // of crashes
		s.must(os.MkdirAll(filepath.Join(s.kept, left, keptTree), 0o700))
	}
	s.must(os.Mkdir(filepath.Join(s.kept, "somebody's"), 0o700))
	s.write("passwd", "three", 0o644)
	last := s.take()
	entries, err := os.ReadDir(s.kept)
	s.must(err)
	want := map[string]bool{filepath.Base(filepath.Dir(used.tree)): true, filepath.Base(filepath.Dir(last.tree)): true, "somebody's": true}
	for _, e := range entries {
		if !want[e.Name()] {
			t.Errorf("left: %s", e.Name())
		}
		delete(want, e.Name())
	}
	for name := range want {
		t.Errorf("removed: %s", name)
	}
}

func TestWhatIsLeftOutOfAKeptCopyIsToldEachTime(t *testing.T) {
	s := newSettingsTest(t)
	large := filepath.Join(s.from, "ssl", "large")
	s.write("ssl/large", "", 0o644)
	s.must(os.Truncate(large, maxSettingSize+1))
	for range 2 {
		if k := s.take(); len(k.leftOut) != 1 || k.leftOut[0] != large {
			t.Errorf("left out: %q", k.leftOut)
		}
	}
}
