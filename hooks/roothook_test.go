package hooks_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// Root counts as one who may push where root is in the group. What the owner put
// in the hook's place, or has git run by the config, is run neither as root nor as
// another member.
func TestNoProgramOfTheOwnersIsRunToTryAPush(t *testing.T) {
	towns(t, func(t *testing.T, b *town) {
		seen := filepath.Join(b.Dir, "seen")
		if err := os.WriteFile(seen, nil, 0o666); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(seen, 0o666); err != nil {
			t.Fatal(err)
		}
		evil := filepath.Join(b.Dir, "evil")
		script := fmt.Sprintf("#!/bin/sh\necho \"$0 as $(id -u)\" >>%s\n", seen)
		if err := os.WriteFile(evil, []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(evil, 0o755); err != nil {
			t.Fatal(err)
		}
		alike := b.lookalike(seen)
		for _, group := range []string{"root", "team"} {
			repo := b.repository("alice", group+".git", group)
			b.must("root", "quire", "install", repo)
			other := b.repository("alice", group+"-other.git", "")
			b.must("alice", "sh", "-c", `cd "$1"; cp "$2" x; mv x hooks/post-receive
git config core.alternateRefsCommand "$3"; echo "$4/objects" >objects/info/alternates`, "sh", repo, alike, evil, other)
			out, status := b.as("root", "quire", "doctor", repo)
			b.says(out, repo+"/hooks/post-receive is not this installation's hook")
			if status == 0 {
				t.Errorf("it is no failure\n%s", out)
			}
			b.must("alice", "sh", "-c", `rm "$1"; cp "$2" "$1"`, "sh", repo+"/hooks/post-receive", evil)
			b.as("root", "quire", "doctor", repo)
			out = b.must("root", "quire", "install", repo)
			if group == "root" {
				b.says(out, "not tried as root: root tries a push only where nobody else can change what git obeys: others than root can change "+repo)
			} else {
				b.says(out, "tried as bob: a push is recorded")
			}
			if text, err := os.ReadFile(seen); err != nil || len(text) > 0 {
				t.Errorf("%s: run to try a push: %s, %v", group, text, err)
			}
		}
	})
}

// lookalike is a program that was built from our package's path, as far as a look
// at it tells, and writes to a file.
func (b *town) lookalike(seen string) string {
	b.t.Helper()
	src := filepath.Join(b.Dir, "src")
	main := fmt.Sprintf(`package main
import ("fmt"; "os")
func main() {
	f, err := os.OpenFile(%q, os.O_APPEND|os.O_WRONLY, 0)
	if err == nil { fmt.Fprintln(f, "a program alike, as", os.Geteuid()) }
}
`, seen)
	for name, text := range map[string]string{"go.mod": "module quire\n\ngo 1.22\n", "hooks/post-receive/main.go": main} {
		file := filepath.Join(src, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			b.t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			b.t.Fatal(err)
		}
	}
	alike := filepath.Join(b.Dir, "alike")
	cmd := exec.Command("go", "build", "-o", alike, "./hooks/post-receive")
	cmd.Dir = src
	if out, err := cmd.CombinedOutput(); err != nil {
		b.t.Fatalf("%v\n%s", err, out)
	}
	if err := os.Chmod(alike, 0o755); err != nil {
		b.t.Fatal(err)
	}
	return alike
}
