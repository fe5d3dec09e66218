package gitrepo

import (
	"context"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The files that a history brings are those that git lists, less links.
func TestSmallFilesAdded(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		for _, c := range []struct{ tip, there string }{
			{f.merge, ""}, {f.merge, f.side}, {f.merge, f.second}, {f.nested, f.first}, {f.first, ""}, {f.merge, f.merge}, {f.annotated, ""},
		} {
			args := []string{"rev-list", "--objects", "--no-object-names", c.tip}
			if c.there != "" {
				args = append(args, "^"+c.there)
			}
			want := map[string]bool{}
			for _, oid := range strings.Fields(runGit(t, r.GitDir(), args...)) {
				if runGit(t, r.GitDir(), "cat-file", "-t", oid) == "blob" {
					text := runGit(t, r.GitDir(), "cat-file", "blob", oid)
					want[text] = text != "/etc/passwd" // the link
				}
			}
			maps.DeleteFunc(want, func(_ string, file bool) bool { return !file })
			got := map[string]bool{}
			complete, err := r.SmallFilesAdded(c.tip, func(oid string) bool { return oid == c.there }, 0, 100, func(path string, content []byte) {
				got[strings.TrimSuffix(string(content), "\n")] = true
			})
			if err != nil || !complete {
				t.Errorf("%+v: complete %v, %v", c, complete, err)
			}
			// What is there by another way may be visited all the same, nothing may be left out.
			for text := range want {
				if !got[text] {
					t.Errorf("%+v: %q is left out of %q", c, text, slices.Sorted(maps.Keys(got)))
				}
			}
			if c.there == c.tip && len(got) > 0 {
				t.Errorf("%+v: %q", c, slices.Sorted(maps.Keys(got)))
			}
		}
		if _, err := r.SmallFilesAdded(f.treeTag, func(string) bool { return false }, 0, 100, nil); err == nil {
			t.Error("a tag of a tree has a history")
		}
		err := r.SmallFiles([]string{f.first}, 0, 1<<20, func(oid string, _ []byte) { t.Errorf("a commit is a file: %s", oid) })
		if err != nil {
			t.Error(err)
		}
	})
}

// What is long or wide is left to git, and is not read.
func TestSmallFilesAddedGivesUp(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r.git")
	runGit(t, filepath.Dir(dir), "init", "-q", "--bare", dir)
	stream := "blob\nmark :1\ndata 1\nx\n"
	for i := range addedCommits + 10 {
		stream += fmt.Sprintf("commit refs/heads/long\ncommitter A <a@b> %d +0000\ndata 1\nc\nM 100644 :1 f%d\n\n", i+1, i)
	}
	wide := "commit refs/heads/wide\ncommitter A <a@b> 1 +0000\ndata 1\nc\n"
	for i := range addedRows + 10 {
		wide += fmt.Sprintf("M 100644 :1 d%d/f%d\n", i%100, i)
	}
	gitIn(t, dir, stream+wide+"\n", "fast-import", "--quiet")
	r, err := Open(context.Background(), dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	for _, ref := range []string{"refs/heads/long", "refs/heads/wide"} {
		complete, err := r.SmallFilesAdded(runGit(t, dir, "rev-parse", ref), func(string) bool { return false }, 0, 100, func(string, []byte) {})
		if complete || err != nil {
			t.Errorf("%s: complete %v, %v", ref, complete, err)
		}
	}
}
