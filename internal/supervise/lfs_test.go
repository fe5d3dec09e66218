package supervise

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/config"
	"quire/internal/event"
)

// lfsObject is an object's pointer and its place in a store.
func lfsObject(content string) (pointer, place string) {
	oid := fmt.Sprintf("%x", sha256.Sum256([]byte(content)))
	return fmt.Sprintf("version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %d\n", oid, len(content)),
		filepath.Join("objects", oid[:2], oid[2:4], oid)
}

func put(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestObjectsOfLFSAreInTheWorkspace(t *testing.T) {
	large := strings.Repeat("large", 100_000)
	pointer, place := lfsObject(large)
	absent, _ := lfsObject("not here")
	altered, alteredPlace := lfsObject("as it was")
	show := head + `(ci.job :test [:quire/push] (fn [] (runtime.run "wc -c <a/large; head -c 7 absent; git status --short; cat .lfs-* a/.lfs-* 2>/dev/null; true")))`
	files := map[string]string{".gitattributes": "large filter=lfs -text\n", "a/large": pointer, "absent": absent}
	for _, storage := range []string{"", "elsewhere"} {
		t.Run("lfs.storage "+storage, func(t *testing.T) {
			b := newBench(t)
			store := filepath.Join(b.gitDir, "lfs")
			if storage != "" {
				git(t, b.gitDir, "config", "lfs.storage", storage)
				store = filepath.Join(b.gitDir, storage)
			}
			put(t, filepath.Join(store, place), large)
			r := b.run(show, files)
			if r.State != event.RunSucceeded {
				t.Fatalf("%s: %s\n%s", r.State, r.Reason, r.report)
			}
			if log := r.log(t, "test", 1); log != "500000\nversion" {
				t.Errorf("%q", log)
			}
			if strings.Count(r.report, "pointers of Git LFS") != 1 || !strings.Contains(r.report, `: 1, such as "absent"`) {
				t.Errorf("%s", r.report)
			}
		})
	}
	t.Run("bounds", func(t *testing.T) {
		b := newBench(t)
		put(t, filepath.Join(b.gitDir, "lfs", place), large)
		b.cfg.Limits.Workspace = config.Size(400_000)
		if r := b.run(show, files); r.State != event.RunFailed || !strings.Contains(r.Reason.String(), "[limits] workspace") {
			t.Errorf("%s: %s", r.State, r.Reason)
		}
	})
	t.Run("damaged", func(t *testing.T) {
		b := newBench(t)
		put(t, filepath.Join(b.gitDir, "lfs", alteredPlace), "as it is.")
		if r := b.run(show, map[string]string{"a/large": altered}); r.State != event.RunFailed || !strings.Contains(r.Reason.String(), "is damaged") {
			t.Errorf("%s: %s", r.State, r.Reason)
		}
	})
	t.Run("a store that is a link", func(t *testing.T) {
		b := newBench(t)
		put(t, filepath.Join(b.gitDir, "secret"), large)
		put(t, filepath.Join(b.gitDir, "lfs", filepath.Dir(place), "x"), "")
		if err := os.Symlink(filepath.Join(b.gitDir, "secret"), filepath.Join(b.gitDir, "lfs", place)); err != nil {
			t.Fatal(err)
		}
		r := b.run(show, files)
		if r.State != event.RunSucceeded || strings.HasPrefix(r.log(t, "test", 1), "500000") {
			t.Errorf("%s: %s\n%s", r.State, r.Reason, r.report)
		}
	})
}
