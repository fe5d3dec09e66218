package attack

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"quire/internal/executor/executortest"
)

var made struct {
	once sync.Once
	name string
	err  error
}

// image is the name of an image of nothing but busybox, on the machine's engine.
func image(t *testing.T) string {
	t.Helper()
	if err := exec.Command("docker", "version").Run(); err != nil {
		executortest.Needs(t, "a Docker engine and its command: apt-get install docker.io: "+err.Error())
	}
	root := executortest.Busybox(t)
	made.once.Do(func() {
		name := fmt.Sprintf("quire-test/attack:%d", os.Getpid())
		out, err := exec.Command("sh", "-c", `tar -C "$0" -c . | docker import - "$1"`, root, name).CombinedOutput()
		if err != nil {
			made.err = fmt.Errorf("docker import: %w: %s", err, out)
			return
		}
		made.name = name
	})
	if made.err != nil {
		t.Fatal(made.err)
	}
	return made.name
}

// builtLabel is on images that tests have built of it.
func builtLabel() string { return fmt.Sprintf("quire.attack=%d", os.Getpid()) }

func removeImage() {
	if made.name == "" {
		return
	}
	built, _ := exec.Command("docker", "image", "ls", "-q", "-a", "--filter", "label="+builtLabel()).Output()
	for _, id := range strings.Fields(string(built)) {
		exec.Command("docker", "image", "rm", "-f", id).Run()
	}
	exec.Command("docker", "image", "rm", "-f", made.name).Run()
}

// engineGroups are the groups that may talk to the engine.
func engineGroups() []uint32 {
	socket := strings.TrimPrefix(os.Getenv("DOCKER_HOST"), "unix://")
	if socket == "" {
		socket = "/var/run/docker.sock"
	}
	info, err := os.Stat(socket)
	if err != nil {
		return nil
	}
	return []uint32{info.Sys().(*syscall.Stat_t).Gid}
}
