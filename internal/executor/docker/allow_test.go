package docker_test

import (
	"strings"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/docker"
	"quire/internal/executor/executortest"
)

// A registry of this machine or its network is asked for nothing, by whatever
// way a pipeline names an image of it, unless the operator has listed it.
func TestRegistriesOfTheMachineAreNotAsked(t *testing.T) {
	engine(t)
	address := serve(t, executortest.Busybox(t), "amd64", "")
	port := address[strings.LastIndexByte(address, ':'):]
	for _, host := range []string{address, "localhost" + port, "[::1]" + port, "127.1" + port, "10.0.0.1:1", "169.254.169.254", "192.168.1.1:1"} {
		name := host + "/image:1"
		for what, change := range map[string]func(*executor.Spec){
			"image":   func(s *executor.Spec) { s.Image = name },
			"service": func(s *executor.Spec) { s.Services = []executor.Service{{Name: "db", Image: name}} },
			"FROM":    func(s *executor.Spec) { s.Context = contextOf(map[string]string{"Dockerfile": "FROM " + name + "\n"}) },
			"COPY --from": func(s *executor.Spec) {
				s.Context = contextOf(map[string]string{"Dockerfile": "FROM " + built.image + "\nCOPY --from=" + name + " / /x\n"})
			},
		} {
			if strings.HasPrefix(host, "[") && (what == "FROM" || what == "COPY --from") {
				continue // no name that a Dockerfile may have here
			}
			spec := executortest.NewSpec(t)
			change(&spec)
			x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
			if err == nil {
				x.Close(t.Context())
			}
			if err == nil || !strings.Contains(err.Error(), name) || !strings.Contains(err.Error(), "allow_images") {
				t.Errorf("%s %s: %v", what, name, err)
			}
		}
	}
}

func TestAllowImages(t *testing.T) {
	engine(t)
	for _, c := range []struct {
		allow string
		ok    bool
	}{
		{"docker.io/quire-test/*", true}, {"docker.io/*", true}, {"*", true}, {"docker.io/quire-test/busybox", true},
		{"docker.io/library/*", false}, {"quire-test/*", false}, {"docker.io/quire-test/busybox:none", false}, {"docker.io/quire-test/busy", false},
	} {
		spec := executortest.NewSpec(t)
		spec.Image, spec.AllowImages = built.image, []string{c.allow}
		x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
		if err == nil {
			x.Close(t.Context())
		}
		if c.ok != (err == nil) || err != nil && !strings.Contains(err.Error(), "allow_images") {
			t.Errorf("%s: %v", c.allow, err)
		}
		if c.ok {
			continue
		}
		spec.Image, spec.DefaultImage = "", built.image // the operator's own choice needs no list
		spec.RunID = executortest.RunID(t)
		start(t, spec)
	}
}
