package docker_test

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/docker"
	"quire/internal/executor/executortest"

	"github.com/docker/docker/api/types/network"
)

// logs keeps services' logs.
type logs struct {
	mu  sync.Mutex
	all map[string]*bytes.Buffer
}

type logOf struct {
	l    *logs
	name string
}

func (w logOf) Write(b []byte) (int, error) {
	w.l.mu.Lock()
	defer w.l.mu.Unlock()
	return w.l.all[w.name].Write(b)
}

func (w logOf) Close() error { return nil }

func (l *logs) open(name string) io.WriteCloser {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all[name] = &bytes.Buffer{}
	return logOf{l, name}
}

// web is a service that is ready some time after it has started.
func web(name, text string) executor.Service {
	return executor.Service{
		Name: name, Image: built.image, Env: []string{"TEXT=" + text},
		Argv:   []string{"sh", "-c", "echo begun; mkdir /www; sleep 0.5; echo $TEXT > /www/index.html; httpd -f -p 80 -h /www & trap 'echo ended; exit' TERM; wait"},
		Ready:  []string{"wget", "-q", "-O", "-", "http://127.0.0.1/"},
		Within: time.Minute,
	}
}

func TestServices(t *testing.T) {
	c := engine(t)
	spec := executortest.NewSpec(t)
	kept := &logs{all: map[string]*bytes.Buffer{}}
	spec.ServiceLog = kept.open
	spec.Services = []executor.Service{web("db", "one"), web("cache", "two")}
	x := open(t, spec)
	// Ready before the first command, by name, from any container of the run.
	if out, _ := sh(t, x, "wget -q -O - http://db/; wget -q -O - http://cache/"); out != "one\ntwo\n" {
		t.Error(out)
	}
	if err := x.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"db", "cache"} {
		if got := kept.all[name].String(); got != "begun\nended\n" {
			t.Errorf("the log of %s: %q", name, got)
		}
	}
	if names := labelled(t, c, docker.LabelRun+"="+spec.RunID); len(names) != 0 {
		t.Errorf("left: %v", names)
	}
}

func TestServicesWithoutTheOutsideWorld(t *testing.T) {
	c := engine(t)
	spec := executortest.NewSpec(t)
	spec.Network = "none"
	spec.Services = []executor.Service{web("db", "one")}
	x := start(t, spec)
	if out, _ := sh(t, x, "wget -q -O - http://db/"); out != "one\n" {
		t.Error(out)
	}
	n, err := c.NetworkInspect(t.Context(), "quire-"+spec.RunID, network.InspectOptions{})
	if err != nil || !n.Internal {
		t.Errorf("the run's network leads outside: %+v, %v", n, err)
	}
}

func TestServicesThatDoNotGetReady(t *testing.T) {
	c := engine(t)
	for _, s := range []struct {
		service executor.Service
		says    string
	}{
		{executor.Service{Name: "db", Image: built.image, Argv: []string{"sh", "-c", "exit 7"}, Ready: []string{"true"}}, "status 7"},
		{executor.Service{Name: "db", Image: built.image, Argv: []string{"sleep", "1000"}, Ready: []string{"sh", "-c", "echo not yet; exit 1"}, Within: time.Second}, "not ready within 1s"},
		{executor.Service{Name: "db", Image: built.image, Argv: []string{"no-such-program"}, Ready: []string{"false"}}, "status 127"},
		{executor.Service{Name: "db", Image: "127.0.0.1:1/none:1"}, "127.0.0.1:1/none:1"},
	} {
		spec := executortest.NewSpec(t)
		spec.Image, spec.Services = built.image, []executor.Service{s.service}
		x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
		if x != nil || err == nil || !strings.Contains(err.Error(), "service db") || !strings.Contains(err.Error(), s.says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%v: %v, %v", s.service, x, err)
		}
		if names := labelled(t, c, docker.LabelRun+"="+spec.RunID); len(names) != 0 {
			t.Errorf("left: %v", names)
		}
	}
}
