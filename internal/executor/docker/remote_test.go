package docker_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/executortest"
)

// distant makes the machine's engine look as if it were another machine's: it
// is reached by TCP, and so nothing of this machine is mounted.
func distant(t testing.TB) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var all sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		all.Wait()
	})
	all.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			all.Go(func() { relay(c.(*net.TCPConn)) })
		}
	})
	t.Setenv("DOCKER_HOST", "tcp://"+l.Addr().String())
}

func relay(c *net.TCPConn) {
	defer c.Close()
	e, err := net.Dial("unix", "/var/run/docker.sock")
	if err != nil {
		return
	}
	defer e.Close()
	var up sync.WaitGroup
	up.Go(func() {
		io.Copy(e, c)
		e.(*net.UnixConn).CloseWrite()
	})
	io.Copy(c, e)
	c.Close()
	up.Wait()
}

func TestADistantEngine(t *testing.T) {
	engine(t)
	distant(t)
	spec := executortest.NewSpec(t)
	write(t, filepath.Join(spec.Workspace, "dir", "f"), "of the workspace\n")
	write(t, filepath.Join(spec.GitDir, "objects", "o"), "of the repository\n")
	if err := os.Symlink("dir/f", filepath.Join(spec.Workspace, "link")); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(spec.Workspace, "tool"), []byte("#!/bin/sh\necho runs\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	cache := t.TempDir()
	write(t, filepath.Join(cache, "c"), "of a cache\n")
	spec.Mounts = []executor.Mount{{Source: cache, Target: "/var/cache/x", Writable: true}}
	x := start(t, spec)
	out, exit := sh(t, x, `cat link "$G/objects/o" /var/cache/x/c; ./tool; echo new > new; cat new; pwd`, "G="+spec.GitDir)
	if out != "of the workspace\nof the repository\nof a cache\nruns\nnew\n"+spec.Workspace+"\n" {
		t.Errorf("%s%+v", out, exit)
	}
	if _, err := os.Stat(filepath.Join(spec.Workspace, "new")); err == nil {
		t.Error("the engine is not as distant as the test thinks")
	}
}

func TestConformanceAtADistance(t *testing.T) {
	engine(t)
	distant(t)
	executortest.Run(t, executortest.Traits{Path: "/bin", Extra: []string{"HOME", "HOSTNAME"}}, open)
}

// The ssh here runs the remote command on this machine; the rest is real.
func TestAnEngineOverSSH(t *testing.T) {
	engine(t)
	if _, err := exec.LookPath("docker"); err != nil {
		executortest.Needs(t, "the docker command: apt-get install docker.io")
	}
	bin := t.TempDir()
	script := "#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done\n[ \"$2\" = far.example ] || { echo \"ssh: no host $2\" >&2; exit 255; }\nshift 2\nunset DOCKER_HOST\nexec \"$@\"\n"
	if err := os.WriteFile(filepath.Join(bin, "ssh"), []byte(script), 0o755); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin+":"+os.Getenv("PATH"))
	t.Setenv("DOCKER_HOST", "ssh://git@far.example:2222")
	x := start(t, executortest.NewSpec(t))
	if out, _ := sh(t, x, "echo over ssh"); out != "over ssh\n" {
		t.Error(out)
	}
	if left := executortest.Marked(t, "dial-stdio"); len(left) == 0 {
		t.Error("the engine was not reached over ssh")
	}
	t.Setenv("DOCKER_HOST", "ssh://nowhere.example")
	if _, err := newDocker(t, executortest.NewSpec(t)); err == nil || !strings.Contains(err.Error(), "no host nowhere.example") {
		t.Errorf("%v", err)
	}
}
