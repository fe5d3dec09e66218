package gitrepo

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// What power cuts, full disks and people leave where a ref was. None of it is a
// deleted ref, and all others are listed.
func TestRefsThatCannotBeReadAreNamed(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		all, err := r.Refs("refs/")
		if err != nil {
			t.Fatal(err)
		}
		tip, dir := f.first, commonDir(f.dir)
		file := func(name string) string { return filepath.Join(dir, "refs", "heads", name) }
		damage := map[string]string{
			"empty": "", "nul": strings.Repeat("\x00", len(tip)+1), "garbage": "hello there\n", "zero": strings.Repeat("0", len(tip)) + "\n",
			"short": tip[:20] + "\n", "newline": "\n", "dangling": "ref: refs/heads/nothing\n",
		}
		heads := filepath.Join(dir, "refs", "heads")
		before, _ := os.ReadDir(heads)
		t.Cleanup(func() { // the next way to read it begins with what this one did
			now, _ := os.ReadDir(heads)
			for _, e := range now {
				if !slices.ContainsFunc(before, func(b os.DirEntry) bool { return b.Name() == e.Name() }) {
					os.Remove(file(e.Name()))
				}
			}
		})
		var broken []string
		for name, text := range damage {
			if err := os.WriteFile(file(name), []byte(text), 0o644); err != nil {
				t.Fatal(err)
			}
			broken = append(broken, "refs/heads/"+name)
		}
		for name, to := range map[string]string{"link": "/nonexistent/ref", "device": "/dev/null"} {
			if err := os.Symlink(to, file(name)); err != nil {
				t.Fatal(err)
			}
			broken = append(broken, "refs/heads/"+name)
		}
		slices.Sort(broken)
		// As git reads them, these are refs or none.
		os.WriteFile(file("trailing"), []byte(tip+" and more\n"), 0o644)
		os.Symlink("trailing", file("good-link"))
		os.WriteFile(file("no name"), []byte("x"), 0o644)
		os.WriteFile(file("main.lock"), nil, 0o644)
		os.MkdirAll(filepath.Join(dir, "refs", "remotes", "origin"), 0o755)
		os.WriteFile(filepath.Join(dir, "refs", "remotes", "origin", "HEAD"), []byte("ref: refs/remotes/origin/pruned\n"), 0o644)
		all = append(all, Ref{"refs/heads/trailing", tip}, Ref{"refs/heads/good-link", tip})
		slices.SortFunc(all, func(a, b Ref) int { return strings.Compare(a.Name, b.Name) })

		got, err := r.Refs("refs/")
		if !slices.Equal(got, all) {
			t.Errorf("Refs = %v\nwant %v", got, all)
		}
		var e *BrokenRefsError
		if !errors.As(err, &e) {
			t.Fatalf("no word of the broken refs: %v", err)
		}
		var names []string
		for _, b := range e.Refs {
			names = append(names, b.Name)
			if b.File != filepath.Join(dir, b.Name) || b.Why == "" {
				t.Errorf("%+v", b)
			}
		}
		if !slices.Equal(names, broken) {
			t.Errorf("broken %v\nwant   %v", names, broken)
		}
		if by, readable := Broken(err); len(by) != len(broken) || !readable {
			t.Errorf("Broken(%v) = %v, %v", err, by, readable)
		}
		if !strings.Contains(err.Error(), e.Refs[0].File) {
			t.Errorf("%v does not name the file", err)
		}
		if tags, err := r.Refs("refs/tags/"); err != nil || len(tags) != 4 {
			t.Errorf("tags beside broken branches: %v, %v", tags, err)
		}
	})
}

func TestAZeroInPackedRefsIsNamed(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		runGit(t, f.dir, "pack-refs", "--all")
		name := filepath.Join(commonDir(f.dir), "packed-refs")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		out := strings.Replace(string(text), f.light+" refs/tags/light", strings.Repeat("0", len(f.light))+" refs/tags/light", 1)
		if out == string(text) {
			t.Fatalf("no tag light in\n%s", text)
		}
		t.Cleanup(func() { os.WriteFile(name, text, 0o644) })
		if err := os.WriteFile(name, []byte(out), 0o644); err != nil {
			t.Fatal(err)
		}
		got, err := r.Refs("refs/")
		if by, _ := Broken(err); len(by) != 1 || by["refs/tags/light"].Name == "" {
			t.Errorf("%v", err)
		}
		if slices.ContainsFunc(got, func(r Ref) bool { return r.Name == "refs/tags/light" }) || len(got) == 0 {
			t.Errorf("%v", got)
		}
	})
}
