package docker_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/docker"
	"quire/internal/executor/executortest"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/network"
	"github.com/docker/docker/api/types/volume"
	"github.com/docker/docker/client"
)

func sh(t testing.TB, x executor.Executor, script string, env ...string) (string, executor.Exit) {
	t.Helper()
	var out bytes.Buffer
	exit, err := x.Exec(t.Context(), executor.Command{Argv: []string{"sh", "-c", script}, Env: append([]string{"PATH=/bin"}, env...)}, &out, &out)
	if err != nil {
		t.Fatalf("%s: %v", script, err)
	}
	return out.String(), exit
}

func write(t testing.TB, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// labelled are the names of everything in the engine that carries a label.
func labelled(t testing.TB, c *client.Client, label string) []string {
	t.Helper()
	by := filters.NewArgs(filters.Arg("label", label))
	var names []string
	containers, err := c.ContainerList(context.Background(), container.ListOptions{All: true, Filters: by})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range containers {
		names = append(names, "container "+x.Names[0])
	}
	networks, err := c.NetworkList(context.Background(), network.ListOptions{Filters: by})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range networks {
		names = append(names, "network "+x.Name)
	}
	volumes, err := c.VolumeList(context.Background(), volume.ListOptions{Filters: by})
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range volumes.Volumes {
		names = append(names, "volume "+x.Name)
	}
	return names
}

func TestARunLeavesNothingInTheEngine(t *testing.T) {
	c := engine(t)
	spec := executortest.NewSpec(t)
	var events []string
	spec.Container = func(started bool, name string) { events = append(events, fmt.Sprint(started, " ", name)) }
	x := open(t, spec)
	if out, _ := sh(t, x, "hostname; cat /etc/os-name"); out != "quire\nbusybox\n" {
		t.Error(out)
	}
	if names := labelled(t, c, docker.LabelRun+"="+spec.RunID); len(names) != 1 {
		t.Errorf("the run's things: %v", names)
	}
	info, err := c.ContainerInspect(t.Context(), "quire-"+spec.RunID+"-1")
	if err != nil {
		t.Fatal(err)
	}
	l := info.Config.Labels
	if l[docker.LabelRepo] != spec.GitDir || l[docker.LabelBoot] == "" || l[docker.LabelHome] == "" {
		t.Errorf("labels: %v", l)
	}
	if h := info.HostConfig; h.Init == nil || !*h.Init || !slices.Contains(h.SecurityOpt, "no-new-privileges") || h.Privileged {
		t.Errorf("host configuration: %+v", h)
	}
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if names := labelled(t, c, docker.LabelRun+"="+spec.RunID); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
	want := []string{"true quire-" + spec.RunID + "-1", "false quire-" + spec.RunID + "-1"}
	if !slices.Equal(events, want) {
		t.Errorf("told of containers: %q, want %q", events, want)
	}
	if _, err := x.Exec(t.Context(), executor.Command{Argv: []string{"true"}}, nil, nil); err == nil {
		t.Error("a command ran after Close")
	}
}

func TestAJobsOwnImage(t *testing.T) {
	c := engine(t)
	root := executortest.Busybox(t)
	write(t, filepath.Join(root, "etc", "os-name"), "other\n")
	other := built.image + "-other"
	if err := importImage(c, root, other, "ENV FROM_IMAGE=yes", "ENV PATH=/bin:/image"); err != nil {
		t.Fatal(err)
	}
	x := start(t, executortest.NewSpec(t))
	var all sync.WaitGroup
	for range 4 { // one container, however many ask for it at once
		all.Go(func() {
			var out bytes.Buffer
			exit, err := x.Exec(t.Context(), executor.Command{
				Argv: []string{"sh", "-c", "cat /etc/os-name; echo $FROM_IMAGE $PATH; echo shared >> f"}, Image: other,
				Env: []string{"PATH=" + os.Getenv("PATH")}, // the machine's, which means nothing there
			}, &out, &out)
			if err != nil || exit.Code != 0 || out.String() != "other\nyes /bin:/image\n" {
				t.Errorf("%q, %+v, %v", out.String(), exit, err)
			}
		})
	}
	all.Wait()
	if out, _ := sh(t, x, "cat /etc/os-name f"); out != "busybox\n"+strings.Repeat("shared\n", 4) {
		t.Errorf("the run's own container: %q", out)
	}
}

func TestTheRepositoryIsReadAndNotWritten(t *testing.T) {
	engine(t)
	spec := executortest.NewSpec(t)
	borrowed := filepath.Join(t.TempDir(), "objects")
	write(t, filepath.Join(borrowed, "of-another"), "borrowed\n")
	write(t, filepath.Join(borrowed, "pack", "a.pack"), "")
	write(t, filepath.Join(spec.GitDir, "HEAD"), "own\n")
	write(t, filepath.Join(spec.GitDir, "objects", "info", "alternates"), "# none\n"+borrowed+"\n")
	x := start(t, spec)
	out, _ := sh(t, x, `cat "$G/HEAD" "$B/of-another"; echo x > "$G/HEAD"; rm -f "$B/of-another"`, "G="+spec.GitDir, "B="+borrowed)
	// Two streams, in whichever order they come.
	if !strings.Contains(out, "own\nborrowed\n") || strings.Count(out, "Read-only") != 2 {
		t.Error(out)
	}
	if out, _ := sh(t, x, `ls -A / "$D"`, "D="+filepath.Dir(spec.RunDir)); strings.Contains(out, "sys-secret") || !strings.Contains(out, "runs") {
		t.Error(out)
	}
}

func TestFilesBelongToTheWorkspacesOwner(t *testing.T) {
	if os.Geteuid() != 0 {
		executortest.Needs(t, "root, to give a workspace to somebody")
	}
	engine(t)
	spec := executortest.NewSpec(t)
	if err := os.Chown(spec.Workspace, 4321, 4322); err != nil {
		t.Fatal(err)
	}
	// What leads to the workspace must be open to its owner.
	for d := filepath.Dir(spec.Workspace); d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	x := start(t, spec)
	if out, _ := sh(t, x, "id -u; id -g; echo x > f; stat -c %u:%g f; echo y > $HOME/f && echo home"); out != "4321\n4322\n4321:4322\nhome\n" {
		t.Error(out)
	}
}

func TestNetworkNone(t *testing.T) {
	engine(t)
	spec := executortest.NewSpec(t)
	spec.Network = "none"
	if out, _ := sh(t, start(t, spec), "ip -o link | wc -l"); strings.TrimSpace(out) != "1" {
		t.Errorf("interfaces: %s", out)
	}
	spec = executortest.NewSpec(t)
	spec.Network = "quire-no-such-network"
	spec.Image = built.image
	if x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper)); err == nil || !strings.Contains(err.Error(), "quire-no-such-network") {
		t.Errorf("%v, %v", x, err)
	}
}

// A command that kills all it can, with the container's own process, ends
// badly; the next one finds the container as it was.
func TestKillEverythingInside(t *testing.T) {
	engine(t)
	x := start(t, executortest.NewSpec(t))
	for _, signal := range []string{"KILL", "TERM", "HUP"} {
		var out bytes.Buffer
		exit, err := x.Exec(t.Context(), executor.Command{
			Argv: []string{"sh", "-c", "echo here >> /root/f; kill -" + signal + " -1; sleep 100"}, Env: []string{"PATH=/bin"}, Timeout: time.Minute,
		}, &out, &out)
		if err == nil && exit.Code == 0 || exit.TimedOut {
			t.Errorf("%s: %+v, %v", signal, exit, err)
		}
	}
	// The engine may still be clearing up the end of the one before.
	await(t, "a command that runs", func() bool {
		var out bytes.Buffer
		exit, err := x.Exec(t.Context(), executor.Command{Argv: []string{"cat", "/root/f"}, Env: []string{"PATH=/bin"}}, &out, &out)
		return err == nil && exit.Code == 0 && strings.HasPrefix(out.String(), "here\n")
	})
}

// After somebody has removed the run's container, its commands get another, however
// far the engine has come with removing it.
func TestTheContainerIsRemovedBySomebody(t *testing.T) {
	c := engine(t)
	spec := executortest.NewSpec(t)
	var mu sync.Mutex
	var events []string
	spec.Container = func(started bool, name string) {
		mu.Lock()
		defer mu.Unlock()
		events = append(events, fmt.Sprint(started, " ", strings.TrimPrefix(name, "quire-"+spec.RunID)))
	}
	x := open(t, spec)
	name := func(n int) string { return fmt.Sprintf("quire-%s-%d", spec.RunID, n) }

	// Between two commands, while the engine still works on it.
	removing := make(chan error, 1)
	go func() {
		removing <- c.ContainerRemove(context.Background(), name(1), container.RemoveOptions{Force: true})
	}()
	await(t, "the container's end", func() bool {
		info, err := c.ContainerInspect(t.Context(), name(1))
		return err != nil || !info.State.Running || info.State.Dead
	})
	for range 3 {
		if out, exit := sh(t, x, "echo here"); out != "here\n" || exit.Code != 0 {
			t.Errorf("the next command: %q, %+v", out, exit)
		}
	}
	if err := <-removing; err != nil {
		t.Fatal(err)
	}

	// Under a command, which fails; the next does not.
	up := filepath.Join(spec.Workspace, "up")
	go func() {
		for t.Context().Err() == nil {
			if _, err := os.Stat(up); err == nil {
				break
			}
			time.Sleep(10 * time.Millisecond)
		}
		removing <- c.ContainerRemove(context.Background(), name(2), container.RemoveOptions{Force: true})
	}()
	_, err := x.Exec(t.Context(), executor.Command{Argv: []string{"sh", "-c", "echo > up; sleep 1000"}, Env: []string{"PATH=/bin"}}, nil, nil)
	if err == nil || !strings.Contains(err.Error(), "has stopped while the command ran") {
		t.Errorf("the command under which it went: %v", err)
	}
	if out, exit := sh(t, x, "echo here"); out != "here\n" || exit.Code != 0 {
		t.Errorf("the next command: %q, %+v", out, exit)
	}
	if err := <-removing; err != nil {
		t.Fatal(err)
	}
	if err := x.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if names := labelled(t, c, docker.LabelRun+"="+spec.RunID); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
	if want := []string{"true -1", "false -1", "true -2", "false -2", "true -3", "false -3"}; !slices.Equal(events, want) {
		t.Errorf("told of containers: %q, want %q", events, want)
	}
}

// The supervisor's death ends its commands inside, before anybody sweeps.
func TestALostConnectionEndsTheCommand(t *testing.T) {
	engine(t)
	spec := executortest.NewSpec(t)
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	mark := fmt.Sprint(100_000_000+os.Getpid(), "5")
	c := exec.Command(self, "supervise", spec.RunID, spec.Workspace, built.helper, built.image, "echo > up; sleep "+mark)
	c.Stderr = os.Stderr
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	await(t, "the command's start", func() bool {
		_, err := os.Stat(filepath.Join(spec.Workspace, "up"))
		return err == nil && len(executortest.Marked(t, "sleep\x00"+mark)) == 1
	})
	c.Process.Kill()
	c.Wait()
	await(t, "the command's end", func() bool { return len(executortest.Marked(t, "sleep\x00"+mark)) == 0 })

	// Its container is a dead run's now.
	e := engine(t)
	if names := labelled(t, e, docker.LabelRun+"="+spec.RunID); len(names) != 1 {
		t.Fatalf("the dead run's things: %v", names)
	}
	if err := docker.Sweep(t.Context(), filepath.Dir(spec.RunDir), func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	if names := labelled(t, e, docker.LabelRun+"="+spec.RunID); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

// await waits for a fact that nobody announces.
func await(t testing.TB, what string, fact func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if fact() {
			return
		}
	}
	t.Fatalf("%s did not come", what)
}

func TestSweepTouchesNobodyElses(t *testing.T) {
	c := engine(t)
	spec, dead := executortest.NewSpec(t), executortest.NewSpec(t)
	dead.RunDir = filepath.Join(filepath.Dir(spec.RunDir), "dead") // runs of one quire
	alive := start(t, spec)
	dead.Services = []executor.Service{{Name: "s", Image: built.image, Argv: []string{"sleep", "1000"}}}
	open(t, dead)

	elsewhere := executortest.NewSpec(t) // a run of another quire
	start(t, elsewhere)
	made, err := c.ContainerCreate(t.Context(), &container.Config{Image: built.image, Cmd: []string{"true"}, Labels: map[string]string{docker.LabelRun: "x"}}, nil, nil, nil, "")
	if err != nil {
		t.Fatal(err)
	}
	defer c.ContainerRemove(context.Background(), made.ID, container.RemoveOptions{Force: true})
	home, err := c.ContainerInspect(t.Context(), "quire-"+dead.RunID+"-1")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.VolumeCreate(t.Context(), volume.CreateOptions{Name: "quire-test-" + dead.RunID, Labels: home.Config.Labels}); err != nil {
		t.Fatal(err)
	}

	if err := docker.Sweep(t.Context(), filepath.Dir(spec.RunDir), func(id string) bool { return id == spec.RunID }); err != nil {
		t.Fatal(err)
	}
	if names := labelled(t, c, docker.LabelRun+"="+dead.RunID); len(names) != 0 {
		t.Errorf("the dead run has left: %v", names)
	}
	if out, _ := sh(t, alive, "echo alive"); out != "alive\n" {
		t.Errorf("the living run: %q", out)
	}
	if names := labelled(t, c, docker.LabelRun+"="+elsewhere.RunID); len(names) != 1 {
		t.Errorf("another quire's run: %v", names)
	}
	if _, err := c.ContainerInspect(t.Context(), made.ID); err != nil {
		t.Errorf("somebody's container: %v", err)
	}
}

func TestAnEngineThatIsNotThere(t *testing.T) {
	dir := t.TempDir()
	write(t, filepath.Join(dir, "no-socket"), "")
	for host, says := range map[string]string{
		"unix://" + dir + "/none":      "apt-get install docker.io",
		"unix://" + dir + "/no-socket": "systemctl start docker",
		"tcp://127.0.0.1:1":            "DOCKER_HOST",
		"ssh://-oProxyCommand=x":       "ssh://USER@HOST",
		"ssh://":                       "ssh://USER@HOST",
	} {
		t.Setenv("DOCKER_HOST", host)
		x, err := docker.New(t.Context(), executortest.NewSpec(t))
		if x != nil || err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v, %v", host, x, err)
		}
		if strings.HasPrefix(host, "unix:") || strings.HasPrefix(host, "tcp:") {
			if err := docker.Sweep(t.Context(), dir, func(string) bool { return true }); err != nil {
				t.Errorf("Sweep with %s: %v", host, err)
			}
		}
	}
	t.Setenv("DOCKER_HOST", "")
	t.Setenv("DOCKER_CONFIG", dir)
	t.Setenv("DOCKER_CONTEXT", "nowhere")
	if x, err := docker.New(t.Context(), executortest.NewSpec(t)); x != nil || err == nil || !strings.Contains(err.Error(), `docker context "nowhere"`) {
		t.Errorf("%v, %v", x, err)
	}
}

func TestAHelperThatNeedsLibraries(t *testing.T) {
	engine(t)
	dash, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	spec := executortest.NewSpec(t)
	if x, err := docker.New(t.Context(), spec, docker.WithHelper(dash)); err == nil || !strings.Contains(err.Error(), "CGO_ENABLED=0") {
		t.Errorf("%v, %v", x, err)
	}
}

func TestNoImage(t *testing.T) {
	engine(t)
	spec := executortest.NewSpec(t)
	x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close(context.Background())
	if _, err := x.Exec(t.Context(), executor.Command{Argv: []string{"true"}}, nil, nil); err == nil || !strings.Contains(err.Error(), "(ci.image") {
		t.Errorf("%v", err)
	}
	if exit, err := x.Exec(t.Context(), executor.Command{Argv: []string{"true"}, Env: []string{"PATH=/bin"}, Image: built.image}, nil, nil); err != nil || exit.Code != 0 {
		t.Errorf("a job with an image of its own: %+v, %v", exit, err)
	}
}

func TestCancelledWhileTheContainerStarts(t *testing.T) {
	c := engine(t)
	spec := executortest.NewSpec(t)
	x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("no more")
	go cancel(why)
	if exit, err := x.Exec(ctx, executor.Command{Argv: []string{"true"}, Env: []string{"PATH=/bin"}, Image: built.image}, nil, nil); err == nil && exit.Code != 0 {
		t.Errorf("%+v, %v", exit, err)
	}
	if err := x.Close(context.Background()); err != nil {
		t.Error(err)
	}
	if names := labelled(t, c, docker.LabelRun+"="+spec.RunID); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}
