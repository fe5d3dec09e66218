// Package installtest builds the real programs and lays them out as install.sh
// does, for tests that start them.
package installtest

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// Programs is an installation in a temporary directory.
type Programs struct {
	Prefix string // bin/quire, libexec/quire/post-receive and pre-receive
	Source string // the tree that they were built from

	// GoEnv is where Go keeps things, for tests that build with another HOME.
	GoEnv map[string]string
}

// Build builds the programs from the tree at source. Close removes them.
func Build(source string) (p *Programs, err error) {
	p = &Programs{}
	if p.Source, err = filepath.Abs(source); err != nil {
		return nil, err
	}
	out, err := exec.Command("go", "env", "-json", "GOCACHE", "GOMODCACHE", "GOPATH", "GOPROXY", "GOFLAGS").Output()
	if err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	if err := json.Unmarshal(out, &p.GoEnv); err != nil {
		return nil, fmt.Errorf("go env: %w", err)
	}
	if p.Prefix, err = os.MkdirTemp("", "quire-programs-"); err != nil {
		return nil, err
	}
	made := p.Prefix // p is nil where there is an error to return
	defer func() {
		if err != nil {
			os.RemoveAll(made)
		}
	}()
	if err := os.Chmod(p.Prefix, 0o755); err != nil { // some tests push as another user
		return nil, err
	}
	for _, program := range [][2]string{
		{"libexec/quire/post-receive", "./hooks/post-receive"},
		{"libexec/quire/pre-receive", "./hooks/pre-receive"},
		{"libexec/quire/quire-inside", "./internal/executor/docker/inside/quire-inside"},
		{"bin/quire", "./cmd/quire"},
	} {
		// The flags of install.sh, so that its own build finds the work done.
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(p.Prefix, program[0]), program[1])
		cmd.Dir = p.Source
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return nil, fmt.Errorf("build %s: %w\n%s", program[1], err, out)
		}
	}
	return p, nil
}

// Close removes the installation.
func (p *Programs) Close() { os.RemoveAll(p.Prefix) }
