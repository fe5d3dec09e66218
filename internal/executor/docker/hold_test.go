package docker_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/docker"
	"quire/internal/executor/executortest"

	"github.com/docker/docker/api/types/container"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/api/types/network"
)

// Every container of a run is held in the same way, whatever it is for.
func TestEveryContainerIsHeld(t *testing.T) {
	c := engine(t)
	spec := executortest.NewSpec(t)
	spec.Network = "none"
	spec.Limits = executor.Limits{CPU: 0.5, Memory: 64 << 20, PIDs: 20}
	spec.Services = []executor.Service{{Name: "db", Image: built.image, Argv: []string{"sleep", "1000"}}}
	x := start(t, spec)
	root := executortest.Busybox(t)
	if err := importImage(c, root, built.image+"-other"); err != nil {
		t.Fatal(err)
	}
	if _, err := x.Exec(t.Context(), executor.Command{Argv: []string{"true"}, Env: []string{"PATH=/bin"}, Image: built.image + "-other"}, nil, nil); err != nil {
		t.Fatal(err)
	}
	names := labelled(t, c, docker.LabelRun+"="+spec.RunID)
	seen := 0
	for _, name := range names {
		name, isContainer := strings.CutPrefix(name, "container /")
		if !isContainer {
			continue
		}
		seen++
		info, err := c.ContainerInspect(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		h := info.HostConfig
		if h.Init == nil || !*h.Init || h.Privileged || !slices.Contains(h.SecurityOpt, "no-new-privileges") || h.IpcMode != "private" || !h.RestartPolicy.IsNone() {
			t.Errorf("%s: %+v", name, h)
		}
		for _, cap := range []string{"NET_RAW", "MKNOD", "SETFCAP", "SETPCAP", "AUDIT_WRITE"} {
			if !slices.Contains(h.CapDrop, cap) && !slices.Contains(h.CapDrop, "CAP_"+cap) {
				t.Errorf("%s: has %s", name, cap)
			}
		}
		if h.NanoCPUs != 5e8 || h.Memory != 64<<20 || h.MemorySwap != 64<<20 || h.PidsLimit == nil || *h.PidsLimit < 20 || *h.PidsLimit > 100 {
			t.Errorf("%s: limits %+v", name, h.Resources)
		}
		if len(h.Ulimits) != 1 || h.Ulimits[0].Name != "core" || h.Ulimits[0].Hard != 0 {
			t.Errorf("%s: ulimits %+v", name, h.Ulimits)
		}
		for net := range info.NetworkSettings.Networks {
			n, err := c.NetworkInspect(t.Context(), net, network.InspectOptions{})
			if err != nil || !n.Internal && n.Name != "none" {
				t.Errorf("%s: is in the network %s, which leads outside (%v)", name, net, err)
			}
		}
	}
	if seen != 3 {
		t.Errorf("%d containers, want the run's, the other image's and the service's: %v", seen, names)
	}
	out, _ := sh(t, x, "grep CapEff /proc/self/status; mknod /tmp/d c 1 3; ulimit -c")
	if !strings.Contains(out, "not permitted") || !strings.HasSuffix(out, "\n0\n") {
		t.Errorf("inside: %s", out)
	}
}

// Another way to write an image's name is no further container, with a limit of
// its own.
func TestAnImageHasOneContainer(t *testing.T) {
	c := engine(t)
	spec := executortest.NewSpec(t)
	x := start(t, spec)
	for _, name := range []string{"", built.image, "docker.io/" + built.image, "index.docker.io/" + built.image} {
		if _, err := x.Exec(t.Context(), executor.Command{Argv: []string{"true"}, Env: []string{"PATH=/bin"}, Image: name}, nil, nil); err != nil {
			t.Errorf("%q: %v", name, err)
		}
	}
	if names := labelled(t, c, docker.LabelRun+"="+spec.RunID); len(names) != 1 {
		t.Errorf("one image under several names has %v", names)
	}
}

// A pipeline that names a service does not get out of the operator's network.
func TestServicesInsideTheOperatorsNetwork(t *testing.T) {
	c := engine(t)
	spec := executortest.NewSpec(t)
	spec.Network = "quire-test-" + strings.ToLower(spec.RunID)
	made, err := c.NetworkCreate(t.Context(), spec.Network, network.CreateOptions{Driver: "bridge", Internal: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.NetworkRemove(context.Background(), made.ID) })
	spec.Services = []executor.Service{web("db", "one")}
	x := start(t, spec)
	if out, _ := sh(t, x, "wget -q -O - http://db/"); out != "one\n" {
		t.Error(out)
	}
	info, err := c.ContainerInspect(t.Context(), "quire-"+spec.RunID+"-1")
	if err != nil || info.NetworkSettings.Networks[spec.Network] == nil {
		t.Errorf("the container is not in the operator's network: %+v, %v", info.NetworkSettings, err)
	}
	for name := range info.NetworkSettings.Networks {
		if n, err := c.NetworkInspect(t.Context(), name, network.InspectOptions{}); err != nil || !n.Internal {
			t.Errorf("the network %s leads outside: %v", name, err)
		}
	}
}

// buildSpec is a run whose image a Dockerfile makes.
func buildSpec(t *testing.T, dockerfile string) executor.Spec {
	spec := executortest.NewSpec(t)
	spec.Context = contextOf(map[string]string{"Dockerfile": dockerfile})
	spec.Domains = []string{spec.RunID} // no image of another test's
	return spec
}

// A RUN is held by the run's limits: what it prints of them shows in the end.
func TestABuildIsHeldByTheLimits(t *testing.T) {
	c := engine(t)
	forgetBuilt(t, c)
	cgroup := func(v1, v2 string) string {
		return "{ cat /sys/fs/cgroup/" + v1 + " 2>/dev/null || cat /sys/fs/cgroup/" + v2 + "; } >>/limits\n"
	}
	spec := buildSpec(t, "FROM "+built.image+"\n"+
		"ENV PATH=/bin\n"+
		"RUN "+cgroup("memory/memory.limit_in_bytes", "memory.max")+
		// The engine has no option for it: it is set as soon as the step's container is there.
		"RUN cd /sys/fs/cgroup; test ! -d pids || cd pids; while grep -q max pids.max; do sleep 0.1; done; cat pids.max >>/limits\n"+
		"RUN "+cgroup("cpu/cpu.cfs_quota_us", "cpu.max")+
		"RUN ulimit -c >>/limits\n")
	spec.Limits = executor.Limits{CPU: 0.5, Memory: 64 << 20, PIDs: 20}
	_, out := builtRun(t, spec, "cat /limits")
	f := strings.Fields(out)
	if len(f) < 4 || f[0] != strconv.Itoa(64<<20) || f[2] != "50000" || f[len(f)-1] != "0" {
		t.Errorf("a build's limits: %q", out)
	}
	if n, err := strconv.Atoi(f[1]); err != nil || n < 20 || n > 100 {
		t.Errorf("a build's processes: %q", f[1])
	}
}

// More processes than the limit cannot be made while an image is built.
func TestAForkBombInABuild(t *testing.T) {
	c := engine(t)
	forgetBuilt(t, c)
	spec := buildSpec(t, "FROM "+built.image+"\nENV PATH=/bin\nRUN i=0; while [ $i -lt 300 ]; do sleep 300 & i=$((i+1)); done; printf 'all are %s' there\n")
	spec.Limits.PIDs = 20
	x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
	if x != nil || err == nil || !strings.Contains(err.Error(), "fork") || strings.Contains(err.Error(), "all are there") {
		t.Errorf("%v, %v", x, err)
	}
}

// What a step prints of containers is not believed.
func TestABuildDoesNotNameTheContainersItIsHeldBy(t *testing.T) {
	c := engine(t)
	forgetBuilt(t, c)
	other := executortest.NewSpec(t)
	start(t, other)
	victim, err := c.ContainerInspect(t.Context(), "quire-"+other.RunID+"-1")
	if err != nil {
		t.Fatal(err)
	}
	spec := buildSpec(t, fmt.Sprintf("FROM %s\nENV PATH=/bin\nRUN echo ' ---> Running in %s'; echo ' ---> Running in nothing'\n", built.image, victim.ID[:12]))
	spec.Limits.PIDs = 20
	if _, out := builtRun(t, spec, "echo ran"); out != "ran\n" {
		t.Error(out)
	}
	after, err := c.ContainerInspect(t.Context(), victim.ID)
	if err != nil || after.HostConfig.PidsLimit != nil && *after.HostConfig.PidsLimit > 0 {
		t.Errorf("another run's container was limited: %v, %v", after.HostConfig.PidsLimit, err)
	}
}

func TestABuildHasTheRunsNetwork(t *testing.T) {
	c := engine(t)
	forgetBuilt(t, c)
	spec := buildSpec(t, "FROM "+built.image+"\nENV PATH=/bin\nRUN ip route >/routes; ip -o link | wc -l >>/routes\n")
	spec.Network = "none"
	if _, out := builtRun(t, spec, "cat /routes"); out != "1\n" {
		t.Errorf("with no network a build has routes and interfaces:\n%s", out)
	}
}

// The engine fetches nothing for a build on its own account: a listener on this
// machine's loopback, which no container reaches, hears nobody.
func TestTheEngineFetchesNothing(t *testing.T) {
	c := engine(t)
	forgetBuilt(t, c)
	var heard atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard.Add(1)
		fmt.Fprintln(w, "private")
	}))
	defer s.Close()
	base := built.image + "-other"
	if err := importImage(c, executortest.Busybox(t), base, "ENV PATH=/bin", "ONBUILD ADD "+s.URL+"/onbuild /fetched"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.ImageRemove(context.Background(), base, image.RemoveOptions{Force: true}) })
	for name, text := range map[string]string{
		"plain":        "FROM " + built.image + "\nADD " + s.URL + "/x /fetched\n",
		"lower case":   "FROM " + built.image + "\n  add " + s.URL + "/x /fetched\n",
		"a variable":   "FROM " + built.image + "\nARG U=" + s.URL + "/x\nADD $U /fetched\n",
		"split":        "FROM " + built.image + "\nA\\\nDD http:\\\n//" + strings.TrimPrefix(s.URL, "http://") + "/x /fetched\n",
		"JSON":         "FROM " + built.image + "\nADD [\"http:\\u002f\\u002f" + strings.TrimPrefix(s.URL, "http://") + "/x\", \"/fetched\"]\n",
		"quoted":       "FROM " + built.image + "\nADD \"ht\"tp:\"//" + strings.TrimPrefix(s.URL, "http://") + "/x\" /fetched\n",
		"escape":       "# escape=`\nFROM " + built.image + "\nRUN true \\\nADD " + s.URL + "/x /fetched\n",
		"ONBUILD":      "FROM " + base + "\n",
		"ONBUILD, ARG": "ARG B=" + base + "\nFROM ${B}\n",
		"ONBUILD here": "FROM " + built.image + " AS a\nONBUILD ADD " + s.URL + "/x /fetched\nFROM a\n",
	} {
		t.Run(name, func(t *testing.T) {
			x, err := docker.New(t.Context(), buildSpec(t, text), docker.WithHelper(built.helper))
			if x != nil || err == nil {
				x.Close(t.Context())
				t.Fatal("it was built")
			}
			if !strings.Contains(err.Error(), "ADD") && !strings.Contains(err.Error(), "escape") {
				t.Error(err)
			}
		})
	}
	if n := heard.Load(); n != 0 {
		t.Errorf("the engine asked %d times", n)
	}
}

// A build takes no step from another: an engine finds them by too little.
func TestABuildTakesNoStepFromAnother(t *testing.T) {
	c := engine(t)
	forgetBuilt(t, c)
	text := "FROM " + built.image + "\nENV PATH=/bin\nRUN head -c 16 /dev/urandom | md5sum >/once\n"
	_, one := builtRun(t, buildSpec(t, text), "cat /once")
	_, two := builtRun(t, buildSpec(t, text), "cat /once")
	if one == two || one == "" {
		t.Errorf("the same step: %q, %q", one, two)
	}
}

// The end of the run ends a build, and nothing of it is left.
func TestABuildEndsWithItsRun(t *testing.T) {
	c := engine(t)
	forgetBuilt(t, c)
	spec := buildSpec(t, "FROM "+built.image+"\nENV PATH=/bin\nRUN echo sleeping "+executortest.RunID(t)+"; sleep 3000\n")
	stop := errors.New("canceled by ann")
	ctx, cancel := context.WithCancelCause(t.Context())
	spec.Progress = func(text string) {
		if strings.Contains(text, "RUN") {
			go func() { // when the step's container is there
				for ctx.Err() == nil {
					if list, err := c.ContainerList(t.Context(), container.ListOptions{}); err == nil && slices.ContainsFunc(list, func(x container.Summary) bool { return strings.Contains(x.Command, "sleep 3000") }) {
						cancel(stop)
					}
				}
			}()
		}
	}
	x, err := docker.New(ctx, spec, docker.WithHelper(built.helper))
	if x != nil || err == nil {
		t.Fatalf("%v, %v", x, err)
	}
	for { // the engine learns of it by the connection; the test's own time is the bound
		list, err := c.ContainerList(t.Context(), container.ListOptions{All: true})
		if err != nil {
			t.Fatal(err)
		}
		if !slices.ContainsFunc(list, func(x container.Summary) bool { return strings.Contains(x.Command, "sleep 3000") }) {
			break
		}
	}
}

// A name is a name: no image is had by the beginning of its id.
func TestImagesByNameOnly(t *testing.T) {
	c := engine(t)
	info, err := c.ImageInspect(t.Context(), built.image)
	if err != nil {
		t.Fatal(err)
	}
	id := strings.TrimPrefix(info.ID, "sha256:")
	t.Setenv("DOCKER_CONFIG", t.TempDir())
	for _, name := range []string{id[:6], id[:12], id, info.ID, "quire.invalid/built:0123", "quire.invalid/built"} {
		spec := executortest.NewSpec(t)
		spec.Image = name
		x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
		if err == nil {
			x.Close(t.Context())
			t.Errorf("%s: it was found", name)
		}
	}
}
