package executortest

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/internal/executor"
)

// intruder is the program of that name, built once.
var intruder = sync.OnceValues(func() ([]byte, error) {
	dir, err := os.MkdirTemp("", "quire-intruder-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "intruder")
	build := exec.Command("go", "build", "-o", path, "quire/internal/executor/executortest/intruder")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	build.Stderr = os.Stderr
	if err := build.Run(); err != nil {
		return nil, err
	}
	return os.ReadFile(path)
})

// refused: what no command of a sandbox may do to the machine it is on.
func (s *suite) refused(t *testing.T) {
	p := s.open(t)
	program, err := intruder()
	if err != nil {
		t.Fatalf("building the intruder: %v", err)
	}
	if err := os.WriteFile(filepath.Join(p.spec.Workspace, "intruder"), program, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(filepath.Join(p.spec.Workspace, "intruder"), 0o755); err != nil {
		t.Fatal(err)
	}
	o := p.run(t.Context(), executor.Command{Argv: append([]string{"./intruder"}, s.traits.Allowed...)})
	if o.fault != nil || o.Code != 0 || strings.Contains(o.out, "not refused") || !strings.Contains(o.out, "tried ") {
		t.Errorf("%s%s%v %+v", o.out, o.err, o.fault, o.Exit)
	}
}

// contained: what a command writes anywhere is on no path of the machine but those of
// its own.
func (s *suite) contained(t *testing.T) {
	p := s.open(t)
	outside := t.TempDir()
	state := filepath.Dir(p.spec.RunDir)
	dirs := []string{"/", "/etc", "/usr", "/usr/local/bin", "/bin", "/lib", "/opt", "/srv", "/var", "/var/lib", "/var/tmp", "/tmp", "/home",
		"/root", "/run", "/dev", "/dev/shm", "/boot", "/mnt", outside, state, p.spec.RunDir, p.spec.GitDir, filepath.Join(p.spec.GitDir, "refs"),
		filepath.Dir(p.spec.Workspace), filepath.Join("/oldroot", outside), filepath.Join("/proc/1/root", outside)}
	name := "planted-" + p.spec.RunID
	o := p.run(t.Context(), executor.Command{Argv: append([]string{"sh", "-c", `
name=$1; shift
for d in "$@"; do
	mkdir -p "$d" 2>/dev/null
	(echo x > "$d/$name") 2>/dev/null
	ln -s / "$d/$name-link" 2>/dev/null
done
echo x > "$name"`, "sh", name}, dirs...)})
	if o.fault != nil || o.Code != 0 {
		t.Errorf("%+v", o)
	}
	for _, d := range dirs {
		for _, planted := range []string{name, name + "-link"} {
			path := filepath.Join(d, planted)
			if _, err := os.Lstat(path); err == nil {
				t.Errorf("a command wrote to the machine: %s", path)
				os.Remove(path)
			}
		}
	}
	if _, err := os.Lstat(filepath.Join(p.spec.Workspace, name)); err != nil {
		t.Errorf("the workspace is to be written to: %v", err)
	}
}
