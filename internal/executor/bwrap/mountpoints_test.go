package bwrap_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/executortest"
	"quire/internal/executor/local"
)

// While bwrap makes a sandbox the whole machine is below /oldroot, and it follows
// links when it makes the directories that lead to a mount.

// canary is a directory of this machine in which nothing may appear.
func canary(t *testing.T) (dir string, unchanged func()) {
	t.Helper()
	dir = t.TempDir()
	return dir, func() {
		t.Helper()
		if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
			t.Errorf("in a directory of the machine: %v, %v", left, err)
		}
	}
}

func TestMountPointsAreNotMadeThroughLinksOfACommit(t *testing.T) {
	needBwrap(t)
	outside, unchanged := canary(t)
	for _, link := range []string{"/oldroot" + outside, "../../../../../../../../../../oldroot" + outside} {
		spec := executortest.NewSpec(t)
		if err := os.Symlink(link, filepath.Join(spec.Workspace, "b")); err != nil {
			t.Fatal(err)
		}
		spec.Mounts = []executor.Mount{{Source: t.TempDir(), Target: filepath.Join(spec.Workspace, "b", "made"), Writable: true}}
		x, err := newBwrap(spec)
		if err == nil {
			sh(t, x, "true")
			x.Close(t.Context())
			t.Error("a cache behind a link is not refused")
		} else if !strings.Contains(err.Error(), "symbolic link") || !strings.Contains(err.Error(), "b") {
			t.Errorf("the refusal does not say why: %v", err)
		}
		unchanged()
	}
}

// The repository lies below the home directory, which a command can write to.
func TestMountPointsAreNotMadeThroughLinksOfACommand(t *testing.T) {
	needBwrap(t)
	outside, unchanged := canary(t)
	spec := executortest.NewSpec(t)
	home := t.TempDir()
	moved := filepath.Join(home, "srv", "git", "team", "project.git")
	if err := os.MkdirAll(filepath.Dir(moved), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(spec.GitDir, moved); err != nil {
		t.Fatal(err)
	}
	spec.GitDir = moved
	cache := t.TempDir()
	spec.Mounts = []executor.Mount{{Source: cache, Target: filepath.Join(home, ".cache", "deep", "er"), Writable: true}}
	x := start(t, spec)
	swap := `
for d in "$HOME/srv" "$HOME/srv/git" "$HOME/.cache" "$HOME/.cache/deep"; do
	mv "$d" "$d.old" 2>/dev/null && ln -s "$TO" "$d" && echo "SWAPPED $d"
	rm -rf "$d" 2>/dev/null
	[ -e "$d" ] || { ln -s "$TO" "$d" && echo "REPLACED $d"; }
done; true`
	to := "TO=/oldroot" + outside
	// Every name of the home directory, and of its parents.
	for _, h := range []string{home, home + "/", home + "/srv/..", filepath.Dir(home), filepath.Join(home, "srv"), "/tmp", "/elsewhere", home} {
		out, exit := sh(t, x, swap, "HOME="+h, to)
		if exit.Code != 0 || strings.Contains(out, home) && strings.Contains(out, "SWAPPED") {
			t.Errorf("HOME=%s: %s %+v", h, out, exit)
		}
		unchanged()
	}
	// And under the hands of commands that run at the same time.
	var all sync.WaitGroup
	for range 3 {
		all.Go(func() {
			for range 5 {
				for _, h := range []string{home, "/elsewhere"} {
					var out bytes.Buffer
					if _, err := x.Exec(t.Context(), executor.Command{Argv: []string{"sh", "-c", swap}, Env: []string{"PATH=" + local.DefaultPath, "HOME=" + h, to}}, &out, &out); err != nil {
						t.Errorf("%v", err)
					}
				}
			}
		})
	}
	all.Wait()
	unchanged()
	if out, _ := sh(t, x, fmt.Sprintf("ls %s >/dev/null && echo there; echo kept > ~/.cache/deep/er/f", moved), "HOME="+home); out != "there\n" {
		t.Errorf("%s", out)
	}
	if b, err := os.ReadFile(filepath.Join(cache, "f")); err != nil || string(b) != "kept\n" {
		t.Errorf("%q, %v", b, err)
	}
}

// Directories on the way to a mount stay what the commands make of them.
func TestMountPointsKeepTheirNeighbours(t *testing.T) {
	spec := executortest.NewSpec(t)
	write(t, filepath.Join(spec.Workspace, "web", "index.js"), "tracked")
	cache := t.TempDir()
	spec.Mounts = []executor.Mount{{Source: cache, Target: filepath.Join(spec.Workspace, "web", "node_modules"), Writable: true}}
	x := start(t, spec)
	home := filepath.Dir(filepath.Dir(spec.RunDir))
	if out, exit := sh(t, x, `cat web/index.js; echo new > web/more; echo m > web/node_modules/m; mkdir -p ~/.local/bin; echo tool > ~/.local/bin/t`, "HOME="+home); out != "tracked" || exit.Code != 0 {
		t.Errorf("%s%+v", out, exit)
	}
	if out, _ := sh(t, x, `cat web/more web/node_modules/m ~/.local/bin/t`, "HOME="+home); out != "new\nm\ntool\n" {
		t.Errorf("the next command finds %q", out)
	}
	for path, want := range map[string]string{filepath.Join(spec.Workspace, "web", "more"): "new\n", filepath.Join(cache, "m"): "m\n"} {
		if b, err := os.ReadFile(path); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
}

// The copy of the settings is other runs', too: a command's home directory is not made
// in it.
func TestNothingIsMadeInTheSettings(t *testing.T) {
	spec := executortest.NewSpec(t)
	x := start(t, spec)
	if out, exit := sh(t, x, "echo mine > ~/f && cat ~/f", "HOME=/etc/made-by-a-job"); exit.Code != 0 || out != "mine\n" {
		t.Errorf("%s%+v", out, exit)
	}
	if made, _ := filepath.Glob(filepath.Join(spec.Kept, "*", "*", "made-by-a-job")); len(made) > 0 {
		t.Errorf("in what later runs see: %q", made)
	}
	if out, _ := sh(t, x, "ls -d /etc/passwd; touch /etc/passwd /etc/made"); strings.Count(out, "Read-only") != 2 || !strings.HasPrefix(out, "/etc/passwd") {
		t.Errorf("%s", out)
	}
}

// Between the look at a mount point and the mount a command of the same run has all the
// time it wants to put a link in the place of a directory that was found good: bwrap is
// held up until it has tried.
func TestMountPointsAreNotExchangedAfterTheyWereChecked(t *testing.T) {
	needBwrap(t)
	outside, unchanged := canary(t)
	spec := executortest.NewSpec(t)
	home, cache := t.TempDir(), t.TempDir()
	spec.Mounts = []executor.Mount{
		{Source: cache, Target: filepath.Join(spec.Workspace, "b", "made"), Writable: true},
		{Source: t.TempDir(), Target: filepath.Join(home, "c", "d", "made"), Writable: true},
	}
	real, err := exec.LookPath("bwrap")
	if err != nil {
		t.Fatal(err)
	}
	bin := t.TempDir()
	if err := os.Chmod(bin, 0o755); err != nil {
		t.Fatal(err)
	}
	in := func(name string) string { return filepath.Join(spec.Workspace, name) }
	// What it can do is read in its text.
	held := fmt.Sprintf("#!/bin/sh\n# --disable-userns\nif [ -e %[1]s ]; then\n\trm %[1]s\n\techo > %[2]s\n\twhile [ ! -e %[3]s ]; do sleep 0.02; done\nfi\nexec %[4]s \"$@\"\n",
		in("hold"), in("held"), in("tried"), real)
	if err := os.WriteFile(filepath.Join(bin, "bwrap"), []byte(held), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	x := start(t, spec)
	env := []string{"HOME=" + home, "TO=/oldroot" + outside}
	attack := make(chan string)
	go func() {
		out, _ := sh(t, x, `echo > started
while [ ! -e held ]; do sleep 0.02; done
for d in b "$HOME/c/d" "$HOME/c"; do
	mv "$d" "$d.old" 2>/dev/null && ln -s "$TO" "$d" && echo "EXCHANGED $d"
	rm -rf "$d" 2>/dev/null
	[ -e "$d" ] || { ln -s "$TO" "$d" && echo "REPLACED $d"; }
done
echo > tried
while [ ! -e over ]; do sleep 0.02; done`, env...)
		attack <- out
	}()
	for {
		if _, err := os.Stat(in("started")); err == nil {
			break
		}
	}
	write(t, in("hold"), "")
	if out, exit := sh(t, x, `echo kept > b/made/f && ls -d b/made ~/c/d/made`, env...); exit.Code != 0 {
		t.Errorf("%s%+v", out, exit)
	}
	if _, err := os.Stat(in("held")); err != nil {
		t.Error("bwrap was not held up")
	}
	write(t, in("over"), "")
	if out := <-attack; out != "" {
		t.Errorf("%s", out)
	}
	unchanged()
	if b, err := os.ReadFile(filepath.Join(cache, "f")); err != nil || string(b) != "kept\n" {
		t.Errorf("the cache: %q, %v", b, err)
	}
}
