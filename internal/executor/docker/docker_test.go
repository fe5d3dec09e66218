package docker_test

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/docker"
	"quire/internal/executor/executortest"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// built is what all tests share: the helper, and an image of busybox.
var built struct {
	once   sync.Once
	dir    string
	helper string
	image  string
	err    error
}

func TestMain(m *testing.M) {
	if len(os.Args) == 7 && os.Args[1] == "supervise" { // a supervisor that will be killed
		spec := executor.Spec{RunID: os.Args[2], Workspace: os.Args[3], RunDir: filepath.Dir(os.Args[3]), Image: os.Args[5]}
		x, err := docker.New(context.Background(), spec, docker.WithHelper(os.Args[4]))
		if err == nil {
			_, err = x.Exec(context.Background(), executor.Command{Argv: []string{"sh", "-c", os.Args[6]}, Env: []string{"PATH=/bin"}}, nil, nil)
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	status := m.Run()
	if built.dir != "" {
		os.RemoveAll(built.dir)
		if c, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation()); err == nil {
			for _, name := range []string{built.image, built.image + "-other"} {
				c.ImageRemove(context.Background(), name, image.RemoveOptions{Force: true, PruneChildren: true})
			}
			c.Close()
		}
	}
	os.Exit(status)
}

// engine is the machine's engine, the test's helper and image made.
func engine(t testing.TB) *client.Client {
	t.Helper()
	c, err := client.NewClientWithOpts(client.FromEnv, client.WithAPIVersionNegotiation())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := c.Ping(t.Context()); err != nil {
		executortest.Needs(t, "a Docker engine: apt-get install docker.io: "+err.Error())
	}
	root := executortest.Busybox(t)
	built.once.Do(func() { built.err = build(c, root) })
	if built.err != nil {
		t.Fatal(built.err)
	}
	return c
}

func build(c *client.Client, root string) (err error) {
	if built.dir, err = os.MkdirTemp("", "quire-docker-test-"); err != nil {
		return err
	}
	built.helper = filepath.Join(built.dir, "quire-inside")
	b := exec.Command("go", "build", "-o", built.helper, "quire/internal/executor/docker/inside/quire-inside")
	b.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := b.CombinedOutput(); err != nil {
		return fmt.Errorf("building the helper: %w\n%s", err, out)
	}
	built.image = fmt.Sprintf("quire-test/busybox:%d", os.Getpid())
	return importImage(c, root, built.image)
}

// importImage makes an image of a directory.
func importImage(c *client.Client, root, name string, changes ...string) error {
	r, w := io.Pipe()
	go func() { w.CloseWithError(tarOf(w, root)) }()
	answer, err := c.ImageImport(context.Background(), image.ImportSource{Source: r, SourceName: "-"}, name, image.ImportOptions{Changes: changes})
	if err != nil {
		return err
	}
	defer answer.Close()
	said, err := io.ReadAll(answer)
	if err == nil && strings.Contains(string(said), `"error"`) {
		err = fmt.Errorf("importing %s: %s", name, said)
	}
	return err
}

func tarOf(w io.Writer, root string) error {
	t := tar.NewWriter(w)
	err := filepath.WalkDir(root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || path == root {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		link, _ := os.Readlink(path)
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		h.Name = strings.TrimPrefix(path, root+"/")
		h.Uid, h.Gid, h.Uname, h.Gname = 0, 0, "", ""
		if h.Name == "tmp" {
			h.Mode = 0o1777
		}
		if err := t.WriteHeader(h); err != nil || !info.Mode().IsRegular() {
			return err
		}
		f, err := os.Open(path)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.Copy(t, f)
		return err
	})
	if err != nil {
		return err
	}
	return t.Close()
}

func newDocker(t testing.TB, spec executor.Spec) (executor.Executor, error) {
	t.Helper()
	spec.Image = built.image
	x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
	if err != nil {
		return nil, err
	}
	return x, nil
}

func open(t testing.TB, spec executor.Spec) executor.Executor {
	t.Helper()
	if spec.Image == "" {
		spec.Image = built.image
	}
	x, err := docker.New(context.Background(), spec, docker.WithHelper(built.helper))
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// start is open with a Close at the test's end.
func start(t testing.TB, spec executor.Spec) executor.Executor {
	t.Helper()
	x := open(t, spec)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := x.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return x
}

func TestHostileSpecs(t *testing.T) {
	executortest.Specs(t, func(spec executor.Spec) (executor.Executor, error) { return docker.New(t.Context(), spec) })
}

func TestConformance(t *testing.T) {
	engine(t)
	// Engines before 25.0 let containers use io_uring.
	executortest.Run(t, executortest.Traits{Path: "/bin", Sandbox: true, Allowed: []string{"io_uring_setup"}, Extra: []string{"HOME", "HOSTNAME"}}, open)
}

func TestLimits(t *testing.T) {
	engine(t)
	executortest.Limits(t, executortest.Traits{Path: "/bin"}, open)
}
