package docker_test

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/docker"
	"quire/internal/executor/executortest"

	"github.com/docker/docker/api/types/filters"
	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

func TestDockerfile(t *testing.T) {
	c := engine(t)
	spec := executortest.NewSpec(t)
	quire := filepath.Join(spec.Workspace, ".quire")
	write(t, filepath.Join(quire, "Dockerfile"), "FROM "+built.image+"\nCOPY tool /bin/tool\nRUN [\"/bin/chmod\", \"755\", \"/bin/tool\"]\nENV PATH=/bin\n")
	write(t, filepath.Join(quire, "tool"), "#!/bin/sh\necho tool of "+spec.RunID+"\n")
	write(t, filepath.Join(quire, "ci.fnl"), "(print 1)")
	t.Cleanup(func() {
		images, _ := c.ImageList(context.Background(), image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", docker.LabelContext))})
		for _, i := range images {
			// Only those of this test start from its image.
			if info, err := c.ImageInspect(context.Background(), i.ID); err == nil && slices.Contains(info.RootFS.Layers, baseLayer(t, c)) {
				c.ImageRemove(context.Background(), i.ID, image.RemoveOptions{Force: true})
			}
		}
	})
	made := func(s executor.Spec) (told []string, out string) {
		s.Image, s.DefaultImage = "", "127.0.0.1:1/never:1"
		s.Progress = func(text string) { told = append(told, text) }
		x, err := docker.New(t.Context(), s, docker.WithHelper(built.helper))
		if err != nil {
			t.Fatal(err)
		}
		defer x.Close(t.Context())
		out, _ = sh(t, x, "tool")
		return told, out
	}
	told, out := made(spec)
	if out != "tool of "+spec.RunID+"\n" || len(told) < 4 || !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "Step 2/5 : COPY tool") }) {
		t.Errorf("%q, told %q", out, told)
	}
	// Another run, another time of checking out, other Fennel: the same image.
	again := executortest.NewSpec(t)
	for name, content := range map[string]string{
		"Dockerfile": "FROM " + built.image + "\nCOPY tool /bin/tool\nRUN [\"/bin/chmod\", \"755\", \"/bin/tool\"]\nENV PATH=/bin\n",
		"tool":       "#!/bin/sh\necho tool of " + spec.RunID + "\n", "ci.fnl": "(print 2)", "lib/x.fnl": "",
	} {
		write(t, filepath.Join(again.Workspace, ".quire", name), content)
	}
	again.GitDir = spec.GitDir
	if told, out := made(again); out != "tool of "+spec.RunID+"\n" || len(told) != 0 {
		t.Errorf("the same context: %q, told %q", out, told)
	}
	write(t, filepath.Join(again.Workspace, ".quire", "tool"), "#!/bin/sh\necho changed in "+spec.RunID+"\n")
	if told, out := made(again); out != "changed in "+spec.RunID+"\n" || len(told) == 0 {
		t.Errorf("another context: %q, told %q", out, told)
	}
}

func TestDockerfileThatFails(t *testing.T) {
	engine(t)
	for content, says := range map[string]string{
		"FROM " + built.image + "\nRUN echo the last words; exit 3\n": "the last words",
		"FROM " + built.image + "\nCOPY none /\n":                     "none",
		"FROM " + built.image + "\nNONSENSE x\n":                      "NONSENSE",
		"FROM 127.0.0.1:1/none:1\n":                                   "127.0.0.1:1",
		"":                                                            "Dockerfile",
	} {
		spec := executortest.NewSpec(t)
		write(t, filepath.Join(spec.Workspace, ".quire", "Dockerfile"), content)
		x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
		if x != nil || err == nil || !strings.Contains(err.Error(), "image of .quire/Dockerfile") || !strings.Contains(err.Error(), says) {
			t.Errorf("%q: %v, %v", content, x, err)
		}
	}
}

// baseLayer is the digest of the test image's only layer.
func baseLayer(t testing.TB, c *client.Client) string {
	t.Helper()
	info, err := c.ImageInspect(context.Background(), built.image)
	if err != nil || len(info.RootFS.Layers) != 1 {
		t.Fatalf("%s: %+v, %v", built.image, info.RootFS, err)
	}
	return info.RootFS.Layers[0]
}
