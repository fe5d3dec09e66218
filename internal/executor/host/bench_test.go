package host_test

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/executortest"
	"quire/internal/executor/host"
	"quire/internal/executor/local"
)

// One command, against Go's own fork and exec with two pipes.
func BenchmarkTrue(b *testing.B) {
	env := []string{"PATH=" + local.DefaultPath}
	bare := func() {
		c := exec.Command("/usr/bin/true")
		c.Env, c.Stdout, c.Stderr = env, io.MultiWriter(), io.MultiWriter()
		if err := c.Run(); err != nil {
			b.Fatal(err)
		}
	}
	for name, make := range map[string]func() executor.Executor{
		"cgroup": func() executor.Executor { return open(b, executortest.NewSpec(b)) },
		"plain": func() executor.Executor {
			x, err := host.NewWithoutCgroup(executortest.NewSpec(b))
			if err != nil {
				b.Fatal(err)
			}
			return x
		},
	} {
		b.Run(name, func(b *testing.B) {
			x := make()
			defer x.Close(b.Context())
			executortest.Ratio(b, 0, bare, func() {
				exit, err := x.Exec(b.Context(), executor.Command{Argv: []string{"true"}, Env: env}, io.Discard, io.MultiWriter())
				if err != nil || exit.Code != 0 {
					b.Fatal(exit, err)
				}
			})
		})
	}
}

// 100 MB through the pipe into a file, against the same command straight into a
// file.
func BenchmarkStream(b *testing.B) {
	x := open(b, executortest.NewSpec(b))
	defer x.Close(b.Context())
	dir := b.TempDir()
	argv := []string{"head", "-c", "100000000", "/dev/zero"}
	file := func(name string, fill func(*os.File)) func() {
		return func() {
			f, err := os.Create(filepath.Join(dir, name))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			fill(f)
		}
	}
	executortest.Ratio(b, 0, file("bare", func(f *os.File) {
		c := exec.Command(argv[0], argv[1:]...)
		c.Stdout = f
		if err := c.Run(); err != nil {
			b.Fatal(err)
		}
	}), file("ours", func(f *os.File) {
		exit, err := x.Exec(b.Context(), executor.Command{Argv: argv, Env: []string{"PATH=" + local.DefaultPath}}, f, nil)
		if err != nil || exit.Code != 0 {
			b.Fatal(exit, err)
		}
	}))
}
