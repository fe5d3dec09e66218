package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

func runRefs(t *testing.T, dir string) string {
	t.Helper()
	return strings.ReplaceAll(runGit(t, dir, "for-each-ref", "--format=%(refname) %(objectname)", RunRefs), "\n", ";")
}

func TestRunsAreKeptAndForgotten(t *testing.T) {
	f := newFixture(t)
	tag := hashed(t, f.dir, "tag", "object "+f.first+"\ntype commit\ntag x\ntagger A <a@b> 1 +0000\n\nm\n")
	r, err := Open(context.Background(), f.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.KeepRuns(map[int64]string{7: f.first, 8: tag, 10: f.merge}); err != nil {
		t.Fatal(err)
	}
	want := fmt.Sprintf("%[1]s10 %[4]s;%[1]s7 %[2]s;%[1]s8 %[3]s", RunRefs, f.first, tag, f.merge)
	if got := runRefs(t, f.dir); got != want {
		t.Errorf("refs %q, want %q", got, want)
	}
	// Again, and with one whose object is gone: the others are kept, and it is told.
	err = r.KeepRuns(map[int64]string{7: f.first, 11: strings.Repeat("1", 40), 12: f.first})
	if err == nil || !strings.Contains(err.Error(), "keep the commit of run 11") || strings.Contains(err.Error(), "run 7") {
		t.Errorf("an object that is gone: %v", err)
	}
	if got := runRefs(t, f.dir); !strings.Contains(got, RunRefs+"12 "+f.first) || strings.Contains(got, RunRefs+"11") {
		t.Errorf("refs %q", got)
	}
	runGit(t, f.dir, "update-ref", RunRefs+"nonsense", f.first)
	runGit(t, f.dir, "pack-refs", "--all")
	if err := r.ForgetRuns(func(n int64) bool { return slices.Contains([]int64{8, 12}, n) }); err != nil {
		t.Fatal(err)
	}
	if got, want := runRefs(t, f.dir), fmt.Sprintf("%[1]s12 %[2]s;%[1]s8 %[3]s", RunRefs, f.first, tag); got != want {
		t.Errorf("refs %q, want %q", got, want)
	}
	if got := runGit(t, f.dir, "for-each-ref", "refs/heads"); got == "" {
		t.Error("the branches are gone")
	}
}

// The repository's hooks have no say in it.
func TestKeepingRunsCallsNoHook(t *testing.T) {
	f := newFixture(t)
	hooks := filepath.Join(f.dir, "hooks")
	if err := errors.Join(os.MkdirAll(hooks, 0o755),
		os.WriteFile(filepath.Join(hooks, "reference-transaction"), []byte("#!/bin/sh\nexit 1\n"), 0o755)); err != nil {
		t.Fatal(err)
	}
	r, err := Open(context.Background(), f.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if err := r.KeepRuns(map[int64]string{1: f.first}); err != nil {
		t.Error(err)
	}
}

// Each loose ref is a file that every push reads: the runs' are packed before they
// are many, and not while a file of packed refs is damaged, which would be written anew.
func TestRefsOfRunsArePacked(t *testing.T) {
	f := newFixture(t)
	r, err := Open(context.Background(), f.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	loose := func() int {
		files, err := os.ReadDir(filepath.Join(f.dir, "refs/quire/runs"))
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
		return len(files)
	}
	keep := func(from, to int64) {
		t.Helper()
		for n := from; n < to; n++ {
			if err := r.KeepRuns(map[int64]string{n: f.first}); err != nil {
				t.Fatal(err)
			}
		}
	}
	keep(1, 100)
	if n := loose(); n >= looseRuns {
		t.Errorf("%d of the runs' refs are loose, want fewer than %d", n, looseRuns)
	}
	if got := strings.Count(runRefs(t, f.dir), RunRefs); got != 99 {
		t.Errorf("%d runs are kept, want 99", got)
	}
	packed := filepath.Join(f.dir, "packed-refs")
	if err := os.WriteFile(packed, nil, 0o644); err != nil { // what a power cut leaves
		t.Fatal(err)
	}
	keep(200, 240)
	if text, err := os.ReadFile(packed); err != nil || len(text) > 0 {
		t.Errorf("the damaged file was written anew: %q, %v", text, err)
	}
	if n := loose(); n < 40 {
		t.Errorf("%d refs are loose, want the 40 new ones at least", n)
	}
}
