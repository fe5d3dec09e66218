package jobfile

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"quire/internal/jobfile/hungfs"

	"golang.org/x/sys/unix"
)

// asUser runs the named test of this binary as an unprivileged user, if we are
// root: root is stopped by no permission.
func asUser(t *testing.T) (here bool) {
	t.Helper()
	if os.Geteuid() != 0 || os.Getenv("QUIRE_TEST_AS_USER") != "" {
		return true
	}
	dir, err := os.MkdirTemp("", "quire-as-user")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o755), os.Mkdir(dir+"/tmp", 0o777), os.Chmod(dir+"/tmp", 0o777))
	bin := filepath.Join(dir, "test")
	data, err := os.ReadFile(os.Args[0])
	must(t, err, os.WriteFile(bin, data, 0o755))
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

func isGone(t *testing.T, path string) {
	t.Helper()
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("%s is still there: %v", path, err)
	}
}

func TestADirectoryThatNobodyMayEnterIsRemoved(t *testing.T) {
	if !asUser(t) {
		return
	}
	dir := t.TempDir()
	ws, outside := filepath.Join(dir, "ws"), filepath.Join(dir, "outside")
	deep := filepath.Join(ws, "a", "b", "c")
	must(t, os.MkdirAll(deep, 0o700), os.Mkdir(outside, 0o500), os.WriteFile(filepath.Join(deep, "f"), nil, 0o000),
		os.Symlink("/", filepath.Join(ws, "root")), os.Symlink(outside, filepath.Join(deep, "out")),
		os.Symlink("loop", filepath.Join(ws, "loop")), os.Symlink("..", filepath.Join(deep, "up")),
		unix.Mkfifo(filepath.Join(deep, "pipe"), 0), os.Mkdir(filepath.Join(ws, "empty"), 0o000),
		os.Chmod(deep, 0o000), os.Chmod(filepath.Join(ws, "a", "b"), 0o000), os.Chmod(filepath.Join(ws, "a"), 0o000), os.Chmod(ws, 0o500))
	must(t, Remove(t.Context(), ws))
	isGone(t, ws)
	if st, err := os.Stat(outside); err != nil || st.Mode().Perm() != 0o500 {
		t.Errorf("outside: %v, %v", st, err)
	}
	must(t, Remove(t.Context(), ws)) // again: nothing to do
}

func TestALinkOrFileInThePlaceOfADirectory(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	kept, ws := filepath.Join(outside, "kept"), filepath.Join(dir, "ws")
	must(t, os.WriteFile(kept, nil, 0o600), os.Symlink(outside, ws), Remove(t.Context(), ws))
	isGone(t, ws)
	must(t, unix.Mkfifo(ws, 0o600), Remove(t.Context(), ws))
	isGone(t, ws)
	if _, err := os.Stat(kept); err != nil {
		t.Error(err)
	}
}

func TestDeletingDoesNotReachThroughAMount(t *testing.T) {
	dir, outside := t.TempDir(), t.TempDir()
	ws := filepath.Join(dir, "ws")
	at := filepath.Join(ws, "a b", "c")
	must(t, os.WriteFile(filepath.Join(outside, "kept"), nil, 0o600), os.MkdirAll(at, 0o700))
	if err := unix.Mount(outside, at, "", unix.MS_BIND, ""); err != nil {
		t.Skip("needs the right to mount: ", err)
	}
	defer unix.Unmount(at, 0)
	if err := Remove(t.Context(), ws); err == nil || !strings.Contains(err.Error(), at+" is mounted in it") {
		t.Errorf("Remove: %v", err)
	}
	// A mount that came after the look at the table.
	for prefix, old := range map[string]bool{".new-": false, ".old-": true} {
		noOpenat2.Store(old)
		top, err := Hold(ws)
		must(t, err)
		r := &remover{ctx: t.Context(), top: top, prefix: prefix}
		if err := r.all(); err == nil {
			t.Error("a mount was deleted")
		}
		top.Close()
	}
	noOpenat2.Store(false)
	if _, err := os.Stat(filepath.Join(outside, "kept")); err != nil {
		t.Error(err)
	}
	table, err := os.ReadFile("/proc/self/mountinfo")
	must(t, err)
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); strings.HasPrefix(unescapeMount.Replace(f[4]), ws) {
			must(t, unix.Unmount(unescapeMount.Replace(f[4]), 0))
		}
	}
	must(t, Remove(t.Context(), ws))
	isGone(t, ws)
}

// nest makes a chain of directories, longer than any path may be.
func nest(t *testing.T, dir string, levels int, name string) {
	t.Helper()
	fd, err := unix.Open(dir, unix.O_PATH, 0)
	must(t, err)
	for range levels {
		must(t, unix.Mkdirat(fd, name, 0o700))
		next, err := unix.Openat(fd, name, unix.O_PATH, 0)
		must(t, err, unix.Close(fd))
		fd = next
	}
	must(t, unix.Close(fd))
}

func TestATreeOfAnyDepthIsRemovedWithFewDescriptors(t *testing.T) {
	for _, levels := range []int{600, 5_000, 100_000} {
		t.Run(fmt.Sprint(levels), func(t *testing.T) {
			dir := t.TempDir()
			if levels > 10_000 { // on a disk this would be half a gigabyte
				memory, err := os.MkdirTemp("/dev/shm", "quire-test-")
				if err != nil {
					t.Skip("needs a file system in memory: ", err)
				}
				t.Cleanup(func() { Remove(context.Background(), memory) })
				dir = memory
			}
			ws := filepath.Join(dir, "ws")
			must(t, os.MkdirAll(filepath.Join(ws, "side", "x"), 0o700))
			nest(t, ws, levels, "d")
			nest(t, filepath.Join(ws, "side"), 300, strings.Repeat("n", 100))
			// So few that a descriptor for each level cannot be had, and a stack on
			// which a call for each level has no room.
			var old unix.Rlimit
			must(t, unix.Getrlimit(unix.RLIMIT_NOFILE, &old))
			open, err := os.ReadDir("/proc/self/fd")
			must(t, err)
			few := old
			few.Cur = uint64(len(open) + 12)
			must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &few))
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err = Remove(t.Context(), ws)
			runtime.ReadMemStats(&after)
			must(t, unix.Setrlimit(unix.RLIMIT_NOFILE, &old), err)
			isGone(t, ws)
			if grown := int64(after.StackInuse) - int64(before.StackInuse); grown > 1<<20 {
				t.Errorf("the stack has grown by %d bytes", grown)
			}
		})
	}
}

func TestAWideTree(t *testing.T) {
	dir := t.TempDir()
	ws := filepath.Join(dir, "ws")
	for i := range 100 {
		sub := filepath.Join(ws, fmt.Sprint(i), "x")
		must(t, os.MkdirAll(sub, 0o700))
		for j := range 100 {
			must(t, os.WriteFile(filepath.Join(sub, fmt.Sprint(j)), nil, 0o600))
		}
	}
	must(t, Remove(t.Context(), ws))
	isGone(t, ws)
}

func TestRemovalEndsWithItsContext(t *testing.T) {
	dir := t.TempDir()
	ws := filepath.Join(dir, "ws")
	must(t, os.Mkdir(ws, 0o700))
	for i := range 2000 {
		must(t, os.WriteFile(filepath.Join(ws, fmt.Sprint(i)), nil, 0o600))
	}
	cause := errors.New("enough")
	looks := &countdown{Context: context.Background(), left: 10, cause: cause}
	top, err := Hold(ws)
	must(t, err)
	defer top.Close()
	if err := (&remover{ctx: looks, top: top, prefix: ".test-"}).all(); err == nil {
		t.Fatal("it went on to the end")
	}
	left, err := os.ReadDir(ws)
	if err != nil || len(left) == 0 || len(left) == 2000 {
		t.Errorf("%d are left, %v", len(left), err)
	}
	must(t, Remove(t.Context(), ws)) // goes on
	isGone(t, ws)
}

// countdown is a context that ends after so many looks at it.
type countdown struct {
	context.Context
	left  int
	cause error
}

func (c *countdown) Err() error {
	if c.left--; c.left < 0 {
		return c.cause
	}
	return nil
}

func TestRemovalOfAHungFileSystemIsAbandoned(t *testing.T) {
	dir := t.TempDir()
	must(t, os.MkdirAll(filepath.Join(dir, "hung"), 0o755))
	ctx, cause := gone(t, hungfs.Mount(t, filepath.Join(dir, "hung")))
	if err := Remove(ctx, filepath.Join(dir, "hung", "ws")); !errors.Is(err, cause) {
		t.Errorf("got %v", err)
	}
}

func TestWhatRootMadeImmutableIsRemoved(t *testing.T) {
	dir := t.TempDir()
	ws := filepath.Join(dir, "ws")
	sub := filepath.Join(ws, "sub")
	file := filepath.Join(sub, "file")
	must(t, os.MkdirAll(sub, 0o000), os.Chmod(sub, 0o700), os.WriteFile(file, nil, 0o600), os.Mkdir(filepath.Join(ws, "held"), 0o700))
	for _, path := range []string{file, sub, filepath.Join(ws, "held"), ws} {
		f, err := os.Open(path)
		must(t, err)
		err = unix.IoctlSetPointerInt(int(f.Fd()), unix.FS_IOC_SETFLAGS, unix.STATX_ATTR_IMMUTABLE)
		f.Close()
		if err != nil {
			t.Skip("needs root, and a file system with attributes: ", err)
		}
	}
	if os.RemoveAll(ws) == nil {
		t.Fatal("it was not immutable")
	}
	must(t, Remove(t.Context(), ws))
	isGone(t, ws)
}

func TestWhatCannotBeDeletedIsNamed(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make what another user cannot delete")
	}
	dir := t.TempDir()
	ws := filepath.Join(dir, "ws")
	at := filepath.Join(ws, "mine", "a\x1b[31m")
	must(t, os.MkdirAll(at, 0o700), os.WriteFile(filepath.Join(ws, "mine", "gone"), nil, 0o600))
	must(t, unix.Mount("quire-test", at, "tmpfs", 0, ""))
	t.Cleanup(func() { unix.Unmount(at, unix.MNT_DETACH) })
	top, err := Hold(ws)
	must(t, err)
	defer top.Close()
	err = (&remover{ctx: t.Context(), top: top, prefix: ".test-"}).all()
	if err == nil || strings.Contains(err.Error(), "\x1b") || !strings.Contains(err.Error(), `a\x1b[31m`) {
		t.Errorf("got %v, want an error that names it in plain text", err)
	}
	var found atomic.Bool
	filepath.WalkDir(ws, func(path string, _ fs.DirEntry, _ error) error {
		if filepath.Base(path) == "gone" {
			found.Store(true)
		}
		return nil
	})
	if found.Load() {
		t.Error("what could be deleted was not")
	}
	table, _ := os.ReadFile("/proc/self/mountinfo")
	for line := range strings.Lines(string(table)) {
		if f := strings.Fields(line); strings.HasPrefix(unescapeMount.Replace(f[4]), ws) {
			must(t, unix.Unmount(unescapeMount.Replace(f[4]), 0))
		}
	}
}
