package docker_test

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quire/internal/executor"
	"quire/internal/executor/docker"
	"quire/internal/executor/executortest"

	"github.com/docker/docker/api/types/image"
	"github.com/docker/docker/client"
)

// variant makes an image of busybox after a script has worked on its files.
func variant(t *testing.T, c *client.Client, script string, changes ...string) string {
	t.Helper()
	root := filepath.Join(t.TempDir(), "root")
	if out, err := exec.Command("sh", "-ec", `cp -a "$0" "$1"; cd "$1"; `+script, executortest.Busybox(t), root).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	name := "quire-test/variant:" + strings.ToLower(executortest.RunID(t))
	if err := importImage(c, root, name, changes...); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.ImageRemove(context.Background(), name, image.RemoveOptions{Force: true}) })
	return name
}

// cached is a run with a directory of this machine at /c.
func cached(t *testing.T) (spec executor.Spec, dir string) {
	spec = executortest.NewSpec(t)
	dir = t.TempDir()
	info, err := os.Stat(spec.Workspace)
	if err != nil || info.Mode().Perm()&0o700 == 0 {
		t.Fatal(info, err)
	}
	spec.Mounts = []executor.Mount{{Source: dir, Target: "/c", Writable: true}}
	return spec, dir
}

// files are what lies in a directory.
func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err == nil && path != dir {
			all = append(all, strings.TrimPrefix(path, dir))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// An image's own links and volumes make nothing on this machine.
func TestAnImageMovesNoMounts(t *testing.T) {
	c := engine(t)
	spec, _ := cached(t)
	top := "/" + strings.Split(spec.Workspace, "/")[1]
	for script, says := range map[string]string{
		fmt.Sprintf("rm -rf .%[1]s; mkdir c; ln -s /c/x .%[1]s", top):            top + " is a symbolic link (to /c/x)",
		fmt.Sprintf("rm -rf .%[1]s; ln -s /link .%[1]s; ln -s ../c/x link", top): top + " is a symbolic link (to /c/x)",
		"ln -s /elsewhere c":                 "/c is a symbolic link (to /elsewhere)",
		"rm -rf sbin; ln -s /c/sbin sbin":    "/sbin/docker-init of the image is /c/sbin/docker-init",
		"true # VOLUME /c/made":              "its volume /c/made",
		"ln -s /c v # VOLUME /v/made/deeper": "its volume /v/made/deeper",
	} {
		spec, dir := cached(t)
		if script, volume, found := strings.Cut(script, " # "); found {
			spec.Image = variant(t, c, script, volume)
		} else {
			spec.Image = variant(t, c, script)
		}
		x, err := docker.New(t.Context(), spec, docker.WithHelper(built.helper))
		if err == nil {
			x.Close(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), spec.Image) || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%s: %v", script, err)
		}
		if all := files(t, dir); len(all) != 0 {
			t.Errorf("%s: made in the cache: %q", script, all)
		}
		if names := labelled(t, c, docker.LabelRun+"="+spec.RunID); len(names) != 0 {
			t.Errorf("%s: left: %v", script, names)
		}
	}
}

// What images usually have is no hindrance, and quire's own program is under a
// name that an image cannot know.
func TestAnImageWithLinksOfItsOwn(t *testing.T) {
	c := engine(t)
	spec, dir := cached(t)
	spec.Image = variant(t, c, "ln -s /c/.q .quire; rm -rf etc dev; ln -s /c etc; ln -s /c dev; mkdir -p usr/sbin; rm -rf sbin; ln -s usr/sbin sbin; mkdir -p var run; ln -s ../run var/run",
		"VOLUME /var/run/data", "VOLUME /c")
	x := start(t, spec)
	if out, _ := sh(t, x, "echo of the job > /c/f; echo here"); out != "here\n" {
		t.Error(out)
	}
	if all := files(t, dir); len(all) != 1 || all[0] != "/f" {
		t.Errorf("in the cache: %q", all)
	}
}

// A command can make links in its container, and end it, so that it is started
// again with them in it. Its successor is one without.
func TestACommandMovesNoMounts(t *testing.T) {
	c := engine(t)
	spec, dir := cached(t)
	top := "/" + strings.Split(spec.Workspace, "/")[1]
	spec.Image = variant(t, c, "rm -rf ."+top) // a directory that the engine makes can be renamed
	told := make(chan string, 100)
	spec.Progress = func(s string) { told <- s }
	x := start(t, spec)
	x.Exec(t.Context(), executor.Command{
		Argv: []string{"sh", "-c", "mv " + top + " /moved && ln -s /c/x " + top + "; kill -KILL -1; sleep 100"}, Env: []string{"PATH=/bin"}, Timeout: time.Minute,
	}, nil, nil)
	await(t, "a command that runs", func() bool {
		exit, err := x.Exec(t.Context(), executor.Command{Argv: []string{"test", "!", "-L", top}, Env: []string{"PATH=/bin"}}, nil, nil)
		return err == nil && exit.Code == 0
	})
	if all := files(t, dir); len(all) != 0 {
		t.Errorf("made in the cache: %q", all)
	}
	select {
	case s := <-told:
		if !strings.Contains(s, top+" is a symbolic link (to /c/x)") || !strings.Contains(s, "another is started") {
			t.Errorf("told: %s", s)
		}
	default:
		t.Error("nobody was told that it is another container")
	}
}

// A command cannot put a program in the place of quire's.
func TestQuiresProgramIsNotReplaced(t *testing.T) {
	engine(t)
	spec := executortest.NewSpec(t)
	x := start(t, spec)
	out, _ := sh(t, x, `p=$(ls -d /.quire-*); test -f $p || echo no file; rm -f $p 2>/dev/null; mv $p /x 2>/dev/null; echo evil 2>/dev/null > $p; ls -d /.quire-* | wc -l`)
	if out != "1\n" {
		t.Errorf("%q", out)
	}
	if out, _ := sh(t, x, "echo here"); out != "here\n" {
		t.Errorf("%q", out)
	}
}
