package executortest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/executor"
)

// Specs checks that an executor makes nothing for a run whose texts would reach
// past it, whoever was to have checked them before.
func Specs(t *testing.T, make func(executor.Spec) (executor.Executor, error)) {
	for name, c := range map[string]struct {
		change func(*executor.Spec)
		says   string
	}{
		"options after a zero byte": {func(s *executor.Spec) { mountAt(s, "/c\x00--bind\x00/\x00/host") }, "zero byte"},
		"a zero byte in the source": {func(s *executor.Spec) { s.Mounts = []executor.Mount{{Source: s.RunDir + "\x00x", Target: "/c"}} }, "zero byte"},
		"a newline":                 {func(s *executor.Spec) { mountAt(s, "/c\n") }, "control character"},
		"the root":                  {func(s *executor.Spec) { mountAt(s, "/") }, "shared by all programs"},
		"the kernel's":              {func(s *executor.Spec) { mountAt(s, "/proc/sys/kernel") }, "/proc"},
		"the machine's sockets":     {func(s *executor.Spec) { mountAt(s, "/run/docker.sock") }, "/run"},
		"not clean":                 {func(s *executor.Spec) { mountAt(s, "/c/../etc") }, "clean"},
		"relative":                  {func(s *executor.Spec) { mountAt(s, "c") }, "absolute"},
		"the workspace":             {func(s *executor.Spec) { mountAt(s, s.Workspace) }, "quire's"},
		"above the workspace":       {func(s *executor.Spec) { mountAt(s, filepath.Dir(s.RunDir)) }, "quire's"},
		"beside the workspace":      {func(s *executor.Spec) { mountAt(s, s.RunDir+"/x") }, "quire's"},
		"the repository":            {func(s *executor.Spec) { mountAt(s, s.GitDir) }, "quire's"},
		"in the repository":         {func(s *executor.Spec) { mountAt(s, s.GitDir+"/hooks") }, "quire's"},
		"a hidden file":             {func(s *executor.Spec) { s.Hidden = []string{"/c/secret"}; mountAt(s, "/c") }, "quire's"},
		"the clone's directory":     {func(s *executor.Spec) { mountAt(s, s.Workspace+"/.git/hooks") }, ".git"},
		"one in another": {func(s *executor.Spec) {
			s.Mounts = []executor.Mount{{Source: s.RunDir, Target: "/c"}, {Source: s.RunDir, Target: "/c/d"}}
		}, "in one another"},
		"an image that is an option": {func(s *executor.Spec) { s.Image = "--privileged" }, "image"},
		"a service's name":           {func(s *executor.Spec) { s.Services = []executor.Service{{Name: "../x", Image: "i"}} }, "service"},
		"a service's variable": {func(s *executor.Spec) {
			s.Services = []executor.Service{{Name: "x", Image: "i", Env: []string{"A\x00=b"}}}
		}, "service"},
	} {
		t.Run(name, func(t *testing.T) {
			spec := NewSpec(t)
			c.change(&spec)
			x, err := make(spec)
			if err == nil {
				x.Close(context.Background())
			}
			if err == nil || !strings.Contains(err.Error(), c.says) || strings.ContainsAny(err.Error(), "\x00\n") {
				t.Errorf("got %v, want an error in one line that says %q", err, c.says)
			}
			if left, _ := filepath.Glob(filepath.Join(spec.RunDir, "bwrap")); len(left) > 0 {
				t.Errorf("it made %v", left)
			}
			if _, err := os.Lstat("/host"); err == nil {
				t.Error("there is a /host on this machine now")
			}
		})
	}
}

func mountAt(s *executor.Spec, target string) {
	s.Mounts = append(s.Mounts, executor.Mount{Source: s.RunDir, Target: target, Writable: true})
}
