package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// programs builds what install.sh --demo builds.
func programs(t *testing.T) (demo string) {
	t.Helper()
	dir := t.TempDir()
	for out, pkg := range map[string]string{
		"bin/demo": "quire/cmd/demo", "bin/quire": "quire/cmd/quire", "libexec/quire/post-receive": "quire/hooks/post-receive",
	} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(dir, out), pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("build %s: %v\n%s", pkg, err, out)
		}
	}
	return filepath.Join(dir, "bin", "demo")
}

func TestDemo(t *testing.T) {
	demo := programs(t)
	t.Run("whole", func(t *testing.T) {
		temp := t.TempDir()
		cmd := exec.Command(demo)
		cmd.Env = append(os.Environ(), "TMPDIR="+temp)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
		for _, want := range []string{
			`(?m)^remote: run 1  main [0-9a-f]{8}  3 jobs`, `(?m)^remote:   ok +syntax `, `(?m)^remote:   ok +test `,
			`(?m)^remote:   ok +quire/mirror `, `(?m)^remote: success: run 1 succeeded`,
			`(?m)^  branch  [0-9a-f]{8}  main$`, `(?m)^  tag     [0-9a-f]{8}  v[0-9.]+-[0-9a-f]{8}$`,
			`(?m)^and the token is in none of the [0-9]+ files`,
		} {
			if !regexp.MustCompile(want).Match(out) {
				t.Errorf("nothing like %s in\n%s", want, out)
			}
		}
		if bytes.Contains(out, []byte("demo_")) {
			t.Errorf("the token is shown:\n%s", out)
		}
		nothingLeft(t, temp)
	})
	t.Run("interrupted", func(t *testing.T) {
		temp := t.TempDir()
		cmd := exec.Command(demo)
		cmd.Env = append(os.Environ(), "TMPDIR="+temp)
		var out output
		cmd.Stdout, cmd.Stderr = &out, &out
		cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		for end := time.Now().Add(time.Minute); !strings.Contains(out.String(), "remote: run 1"); time.Sleep(5 * time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("no run is shown:\n%s", out.String())
			}
		}
		if err := syscall.Kill(-cmd.Process.Pid, syscall.SIGINT); err != nil {
			t.Fatal(err)
		}
		cmd.Wait()
		if got := cmd.ProcessState.ExitCode(); got != 130 {
			t.Errorf("status %d\n%s", got, out.String())
		}
		nothingLeft(t, temp)
	})
}

func nothingLeft(t *testing.T, dir string) {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		t.Errorf("left behind: %s", e.Name())
	}
}

type output struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.b.String()
}
