package runlog

import (
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// asUser runs the named test of this binary as an unprivileged user, if we are
// root: root is stopped by no permission.
func asUser(t *testing.T) (here bool) {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv("QUIRE_TEST_AS_USER") != "" {
		return true
	}
	dir, err := os.MkdirTemp("", "quire-as-user")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := errors.Join(os.Chmod(dir, 0o755), os.Mkdir(dir+"/tmp", 0o777), os.Chmod(dir+"/tmp", 0o777)); err != nil {
		t.Fatal(err)
	}
	bin := filepath.Join(dir, "test")
	data, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(bin, data, 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(bin, "-test.run", "^"+t.Name()+"$", "-test.count=1")
	cmd.Dir = dir
	cmd.Env = []string{"QUIRE_TEST_AS_USER=1", "TMPDIR=" + dir + "/tmp", "PATH=" + os.Getenv("PATH")}
	cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("as another user: %v\n%s", err, out)
	}
	return false
}

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

func TestAWorkspaceOfDirectoriesWithoutPermissionsIsRemoved(t *testing.T) {
	if !asUser(t) {
		return
	}
	d := Dir(t.TempDir())
	ws := d.Workspace()
	outside := filepath.Join(string(d), "outside")
	deep := filepath.Join(ws, "a", "b", "c")
	must(t, os.MkdirAll(deep, 0o700), os.Mkdir(outside, 0o700), os.WriteFile(filepath.Join(outside, "kept"), nil, 0o600),
		os.WriteFile(filepath.Join(deep, "f"), nil, 0o000),
		os.Symlink("/", filepath.Join(ws, "root")), os.Symlink(outside, filepath.Join(deep, "out")),
		os.Symlink("loop", filepath.Join(ws, "loop")), os.Symlink("..", filepath.Join(deep, "up")),
		os.Chmod(deep, 0o000), os.Chmod(filepath.Join(ws, "a", "b"), 0o000), os.Chmod(filepath.Join(ws, "a"), 0o000), os.Chmod(ws, 0o500))
	must(t, d.RemoveWorkspace())
	if _, err := os.Lstat(ws); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the workspace is still there: %v", err)
	}
	if _, err := os.Stat(filepath.Join(outside, "kept")); err != nil {
		t.Errorf("outside: %v", err)
	}
	must(t, d.RemoveWorkspace()) // again: nothing to do
}

func TestAWorkspaceThatIsALinkTakesNothingWithIt(t *testing.T) {
	d := Dir(t.TempDir())
	outside := t.TempDir()
	must(t, os.WriteFile(filepath.Join(outside, "kept"), nil, 0o600), os.Symlink(outside, d.Workspace()), d.RemoveWorkspace())
	if _, err := os.Stat(filepath.Join(outside, "kept")); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(d.Workspace()); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("the link is still there: %v", err)
	}
}

func TestDeletingDoesNotReachThroughAMount(t *testing.T) {
	d := Dir(t.TempDir())
	outside := t.TempDir()
	at := filepath.Join(d.Workspace(), "a b")
	must(t, os.WriteFile(filepath.Join(outside, "kept"), nil, 0o600), os.MkdirAll(at, 0o700))
	if err := syscall.Mount(outside, at, "", syscall.MS_BIND, ""); err != nil {
		t.Skip("needs the right to mount: ", err)
	}
	defer syscall.Unmount(at, 0)
	if err := d.RemoveWorkspace(); err == nil || !strings.Contains(err.Error(), "is mounted in it") {
		t.Errorf("RemoveWorkspace: %v", err)
	}
	if _, err := os.Stat(filepath.Join(outside, "kept")); err != nil {
		t.Error(err)
	}
	must(t, syscall.Unmount(at, 0), d.RemoveWorkspace())
}

func TestAVeryDeepWorkspace(t *testing.T) {
	d := Dir(t.TempDir())
	must(t, os.MkdirAll(d.Workspace(), 0o700))
	// Longer than PATH_MAX: only steps of one name reach it.
	at, err := os.OpenRoot(d.Workspace())
	must(t, err)
	for range 100 {
		name := strings.Repeat("d", 100)
		must(t, at.Mkdir(name, 0o700))
		next, err := at.OpenRoot(name)
		must(t, err, at.Close())
		at = next
	}
	must(t, at.Close(), d.RemoveWorkspace())
}
