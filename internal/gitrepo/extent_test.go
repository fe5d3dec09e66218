package gitrepo

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"
)

func TestExtentIsWhatACheckoutMakes(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		entries := int64(strings.Count(runGit(t, f.dir, "ls-tree", "-r", "-t", f.second), "\n") + 1 -
			strings.Count(runGit(t, f.dir, "ls-tree", "-r", f.second, f.oddName), "?")) // names are quoted: one a line
		var size int64
		for line := range strings.Lines(runGit(t, f.dir, "ls-tree", "-r", "-l", f.second) + "\n") {
			var n int64
			if _, err := fmt.Sscan(strings.Fields(line)[3], &n); err != nil {
				t.Fatal(err)
			}
			size += n
		}
		got, err := r.Extent(f.annotated, ExtentBounds{Entries: 1000, Bytes: 1 << 20})
		if err != nil || got.Entries != entries || got.Bytes != size || got.Path != len(f.oddName) {
			t.Errorf("Extent = %+v, %v; git says %d entries, %d bytes, a path of %d", got, err, entries, size, len(f.oddName))
		}
		if got, err := r.Extent(f.second, ExtentBounds{}); err != nil || got.Entries != entries {
			t.Errorf("without bounds: %+v, %v", got, err)
		}
		for _, b := range []ExtentBounds{{Entries: entries - 1}, {Bytes: size - 1}, {Entries: 1}} {
			if _, err := r.Extent(f.second, b); !errors.Is(err, ErrTooLarge) || !strings.Contains(err.Error(), "[limits]") {
				t.Errorf("with %+v: %v", b, err)
			}
		}
		if _, err := r.Extent(f.second, ExtentBounds{Entries: entries, Bytes: size}); err != nil {
			t.Errorf("with bounds that are just met: %v", err)
		}
	})
}

// A bomb is summed up and not expanded: it costs as many readings as it has trees.
func TestExtentOfABomb(t *testing.T) {
	f := newFixture(t)
	blob := zeros(t, f.dir, 1<<20)
	file := gitIn(t, f.dir, "100644 blob "+blob+"\tf\n", "mktree")
	empty := gitIn(t, f.dir, "", "mktree")
	for _, c := range []struct {
		name          string
		leaf          string
		levels        int
		entries, size int64
	}{
		{"10^8 files", file, 4, 201010100, 100_000_000 << 20},
		{"10^8 directories", empty, 4, 101010100, 0},
		{"10^40 files", file, 20, math.MaxInt64, math.MaxInt64},
	} {
		t.Run(c.name, func(t *testing.T) {
			commit := gitIn(t, f.dir, "bomb\n", "commit-tree", bomb(t, f.dir, c.leaf, c.levels))
			bothWays(t, f.dir, func(t *testing.T, r *Repo) {
				for _, b := range []ExtentBounds{{Entries: 1e6}, {Entries: 1e6, Bytes: 1 << 30}} {
					if got, err := r.Extent(commit, b); !errors.Is(err, ErrTooLarge) || got.Entries != c.entries {
						t.Errorf("%+v, %v; want %d entries", got, err, c.entries)
					}
				}
				if c.size > 0 {
					if got, err := r.Extent(commit, ExtentBounds{Bytes: 1 << 30}); !errors.Is(err, ErrTooLarge) || got.Bytes != c.size {
						t.Errorf("%+v, %v; want %d bytes", got, err, c.size)
					}
				}
			})
		})
	}
}

// Nor does a tree that is deep, or wide, or has names that are no files'.
func TestExtentOfOddTrees(t *testing.T) {
	f := newFixture(t)
	blob := hashed(t, f.dir, "blob", "x")
	commitOf := func(tree string) string {
		return hashed(t, f.dir, "commit", "tree "+tree+"\nauthor A <a@b> 1 +0000\ncommitter A <a@b> 1 +0000\n\n")
	}
	deep := gitIn(t, f.dir, "100644 blob "+blob+"\tf\n", "mktree")
	for range 30 {
		deep = gitIn(t, f.dir, "040000 tree "+deep+"\t"+strings.Repeat("d", 200)+"\n", "mktree")
	}
	var wide strings.Builder
	for i := range 3000 {
		fmt.Fprintf(&wide, "100644 blob %s\tf%04d\n", blob, i)
	}
	raw := strings.Repeat("\x11", 20)
	for _, c := range []struct{ name, tree, want string }{
		{"deep", deep, "a path in"},
		{"wide", gitIn(t, f.dir, wide.String(), "mktree"), "more than 2000 files"},
		{"a name of .git", hashed(t, f.dir, "tree", "100644 .GIT\x00"+raw), "an entry is called \".GIT\""},
		{"a name of ..", hashed(t, f.dir, "tree", "100644 ..\x00"+raw), "an entry is called \"..\""},
		{"a name with a slash", hashed(t, f.dir, "tree", "100644 a/b\x00"+raw), "an entry is called \"a/b\""},
		{"a long name", hashed(t, f.dir, "tree", "100644 "+strings.Repeat("n", 256)+"\x00"+raw), "256 bytes"},
		{"cut short", hashed(t, f.dir, "tree", "100644 a\x00"+raw[:19]), "malformed tree"},
		{"of nothing", strings.Repeat("ab", 20), "no such object"},
	} {
		bothWays(t, f.dir, func(t *testing.T, r *Repo) {
			if got, err := r.Extent(commitOf(c.tree), ExtentBounds{Entries: 2000}); err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s: %+v, %v; want %q", c.name, got, err, c.want)
			}
		})
	}
}

// What attributes may add when files are written is counted too.
func TestExtentWithAttributes(t *testing.T) {
	f := newFixture(t)
	blob := hashed(t, f.dir, "blob", strings.Repeat("$Id$", 1000))
	for text, want := range map[string]int64{"*.c text\n": 1, "* ident\n": 18, "* working-tree-encoding=UTF-32\n": 4, "[attr]x ident eol=crlf\n": 36} {
		attributes := hashed(t, f.dir, "blob", text)
		below := gitIn(t, f.dir, "100644 blob "+attributes+"\t.gitattributes\n", "mktree")
		c := gitIn(t, f.dir, "c\n", "commit-tree", gitIn(t, f.dir, "100644 blob "+blob+"\tf\n040000 tree "+below+"\td\n", "mktree"))
		bothWays(t, f.dir, func(t *testing.T, r *Repo) {
			if got, err := r.Extent(c, ExtentBounds{Bytes: 1 << 30}); err != nil || got.Bytes != want*(4000+int64(len(text))) {
				t.Errorf("%q: %+v, %v; want a factor of %d", text, got, err, want)
			}
		})
	}
}
