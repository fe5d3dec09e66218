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

// contextOf is an image's context with these files; those whose name begins with
// "+" are executable.
func contextOf(files map[string]string) func(context.Context) ([]executor.ContextFile, error) {
	var all []executor.ContextFile
	for name, content := range files {
		path, executable := strings.CutPrefix(name, "+")
		all = append(all, executor.ContextFile{Path: path, Content: []byte(content), Executable: executable})
	}
	slices.SortFunc(all, func(a, b executor.ContextFile) int { return strings.Compare(a.Path, b.Path) })
	return func(context.Context) ([]executor.ContextFile, error) { return all, nil }
}

// forgetBuilt removes the images that were built on the test's own.
func forgetBuilt(t *testing.T, c *client.Client) {
	t.Cleanup(func() {
		images, _ := c.ImageList(context.Background(), image.ListOptions{Filters: filters.NewArgs(filters.Arg("label", docker.LabelContext))})
		for _, i := range images {
			if info, err := c.ImageInspect(context.Background(), i.ID); err == nil && slices.Contains(info.RootFS.Layers, baseLayer(t, c)) {
				c.ImageRemove(context.Background(), i.ID, image.RemoveOptions{Force: true})
			}
		}
	})
}

// builtRun runs a script in the image of a context, and says what the run was
// told meanwhile.
func builtRun(t *testing.T, s executor.Spec, script string) (told []string, out string) {
	t.Helper()
	s.Image, s.DefaultImage = "", "127.0.0.1:1/never:1"
	s.Progress = func(text string) { told = append(told, text) }
	x, err := docker.New(t.Context(), s, docker.WithHelper(built.helper))
	if err != nil {
		t.Fatal(err)
	}
	defer x.Close(t.Context())
	out, _ = sh(t, x, script)
	return told, out
}

func TestDockerfile(t *testing.T) {
	c := engine(t)
	forgetBuilt(t, c)
	spec := executortest.NewSpec(t)
	dockerfile := "FROM " + built.image + "\nCOPY tool /bin/tool\nENV PATH=/bin\n"
	files := map[string]string{"Dockerfile": dockerfile, "+tool": "#!/bin/sh\necho tool of " + spec.RunID + "\n"}
	spec.Context, spec.Domains = contextOf(files), []string{"own"}
	// What lies in the workspace is not what was committed.
	write(t, filepath.Join(spec.Workspace, ".quire", "Dockerfile"), "FROM 127.0.0.1:1/none:1\n")
	told, out := builtRun(t, spec, "tool")
	if out != "tool of "+spec.RunID+"\n" || len(told) < 4 || !slices.ContainsFunc(told, func(s string) bool { return strings.HasPrefix(s, "Step 2/4 : COPY tool") }) {
		t.Errorf("%q, told %q", out, told)
	}
	// Another run of the same context: the same image. So for who trusts the domain.
	for _, domains := range [][]string{{"own"}, {"branch", "own"}} {
		again := executortest.NewSpec(t)
		again.Context, again.Domains = spec.Context, domains
		if told, out := builtRun(t, again, "tool"); out != "tool of "+spec.RunID+"\n" || len(told) != 0 {
			t.Errorf("the same context in %v: %q, told %q", domains, out, told)
		}
	}
	// What a domain built that is not trusted is not used.
	other := executortest.NewSpec(t)
	other.Context, other.Domains = spec.Context, []string{"other"}
	if told, _ := builtRun(t, other, "tool"); len(told) == 0 {
		t.Error("the image of a domain that is not trusted was used")
	}
	files["+tool"] = "#!/bin/sh\necho changed in " + spec.RunID + "\n"
	spec.Context = contextOf(files)
	spec.RunID = executortest.RunID(t)
	if told, out := builtRun(t, spec, "tool"); !strings.HasPrefix(out, "changed in ") || len(told) == 0 {
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
		"FROM " + built.image + "\nADD http://127.0.0.1:1/x /x\n":                                          "line 2: ADD of a URL is fetched by the engine",
		"FROM " + built.image + "\nCOPY --from=127.0.0.1:1/none:1 / /\n":                                   "127.0.0.1:1",
		"FROM quire.invalid/built:0123\n":                                                                  "is used without being named",
		"# syntax=127.0.0.1:1/frontend\nFROM " + built.image + "\nRUN --mount=type=cache,target=/x true\n": "BuildKit",
	} {
		spec := executortest.NewSpec(t)
		spec.Context = contextOf(map[string]string{"Dockerfile": content})
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
