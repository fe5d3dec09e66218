package choose_test

import (
	"bytes"
	"strings"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/choose"
	"quire/internal/executor/executortest"
	"quire/internal/executor/local"
)

func TestAnUnknownExecutorNamesTheKnown(t *testing.T) {
	for _, kind := range []string{"", "podman", "HOST"} {
		x, err := choose.New(t.Context(), kind, executortest.NewSpec(t))
		if x != nil || err == nil || !strings.Contains(err.Error(), "host, bwrap, docker") {
			t.Errorf("%q: %v, %v", kind, x, err)
		}
	}
}

// An executor that is not to be had must never be replaced by a weaker one.
func TestAnAbsentExecutorIsAnErrorThatSaysWhatToInstall(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("DOCKER_HOST", "unix:///no/such/socket")
	for kind, says := range map[string]string{"bwrap": "apt-get install bubblewrap", "docker": "apt-get install docker.io"} {
		x, err := choose.New(t.Context(), kind, executortest.NewSpec(t))
		if x != nil || err == nil || strings.Contains(err.Error(), "\n") {
			t.Fatalf("%s: %v, %v", kind, x, err)
		}
		if !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", kind, err)
		}
	}
}

func TestServicesNeedContainers(t *testing.T) {
	spec := executortest.NewSpec(t)
	spec.Services = []executor.Service{{Name: "db", Image: "postgres:16"}}
	for _, kind := range []string{"host", "bwrap"} {
		if x, err := choose.New(t.Context(), kind, spec); x != nil || err == nil || !strings.Contains(err.Error(), "service db") {
			t.Errorf("%s: %v, %v", kind, x, err)
		}
	}
}

func TestTheHostIsAlwaysThere(t *testing.T) {
	x, err := choose.New(t.Context(), "host", executortest.NewSpec(t))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close(t.Context())
	var out bytes.Buffer
	exit, err := x.Exec(t.Context(), executor.Command{Argv: []string{"echo", "x"}, Env: []string{"PATH=" + local.DefaultPath}}, &out, &out)
	if err != nil || exit.Code != 0 || out.String() != "x\n" {
		t.Errorf("%+v, %v, %q", exit, err, out.String())
	}
}
