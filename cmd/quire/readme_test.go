package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestREADMEPipeline runs the pipeline that README.md shows: it succeeds where
// its tool succeeds, and fails where the tool fails or is missing. An example
// that reports success without the program it runs teaches a check that checks
// nothing.
func TestREADMEPipeline(t *testing.T) {
	page, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(page), "```fennel\n")
	pipeline, _, closed := strings.Cut(rest, "```")
	if !found || !closed {
		t.Fatal("README.md shows no pipeline")
	}
	jobs := strings.Count(pipeline, "(ci.job ")
	if jobs < 2 {
		t.Fatalf("%d jobs found in\n%s", jobs, pipeline)
	}
	git, err := exec.LookPath("git")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, tool string // what ./go is; empty if there is none
		ok         bool
	}{
		{"the tool succeeds", "#!/bin/sh\nexit 0\n", true},
		{"the tool fails", "#!/bin/sh\nexit 1\n", false},
		{"the tool is missing", "", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			tools, checkout := filepath.Join(dir, "tools"), filepath.Join(dir, "checkout")
			for _, d := range []string{tools, filepath.Join(checkout, ".quire")} {
				if err := os.MkdirAll(d, 0o755); err != nil {
					t.Fatal(err)
				}
			}
			// Only what a pipeline needs besides its tool: git, and a shell.
			for name, path := range map[string]string{"git": git, "sh": "/bin/sh"} {
				if err := os.Symlink(path, filepath.Join(tools, name)); err != nil {
					t.Fatal(err)
				}
			}
			if test.tool != "" {
				if err := os.WriteFile(filepath.Join(tools, "go"), []byte(test.tool), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.WriteFile(filepath.Join(checkout, ".quire/ci.fnl"), []byte(pipeline), 0o644); err != nil {
				t.Fatal(err)
			}
			env := []string{"PATH=" + tools, "HOME=" + dir, "TMPDIR=" + dir, "GIT_CONFIG_NOSYSTEM=1", "LC_ALL=C"}
			run := func(name string, args ...string) (string, error) {
				cmd := exec.Command(name, args...)
				cmd.Dir, cmd.Env = checkout, env
				out, err := cmd.CombinedOutput()
				return string(out), err
			}
			for _, args := range [][]string{{"init", "-q", "-b", "main"}, {"add", "-A"}, {"-c", "user.name=t", "-c", "user.email=t@t", "commit", "-qm", "one"}} {
				if out, err := run(git, args...); err != nil {
					t.Fatalf("git %v: %v\n%s", args, err, out)
				}
			}
			out, err := run(filepath.Join(programs.Prefix, "bin/quire"), "run")
			if (err == nil) != test.ok {
				t.Errorf("quire run: got %v, want success: %v\n%s", err, test.ok, out)
			}
			if n := strings.Count(out, "  FAIL "); !test.ok && n != jobs {
				t.Errorf("%d of %d jobs failed, want all\n%s", n, jobs, out)
			}
		})
	}
}
