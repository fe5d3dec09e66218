package jobfile

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quire/internal/jobfile/hungfs"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// bothWays runs a test with openat2 and, as on an old kernel, without.
func bothWays(t *testing.T, test func(t *testing.T)) {
	t.Run("openat2", func(t *testing.T) {
		test(t)
		if noOpenat2.Load() {
			t.Error("this kernel should have openat2")
		}
	})
	t.Run("in steps", func(t *testing.T) {
		noOpenat2.Store(true)
		defer noOpenat2.Store(false)
		test(t)
	})
}

// hostile is a workspace with everything in it that is no plain file, beside an
// outside that must not be reached.
func hostile(t *testing.T) (root *Root, ws, outside string) {
	t.Helper()
	dir := t.TempDir()
	ws, outside = filepath.Join(dir, "ws"), filepath.Join(dir, "outside")
	must(t, os.MkdirAll(filepath.Join(ws, "dir"), 0o755), os.Mkdir(outside, 0o755),
		os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600),
		os.WriteFile(filepath.Join(ws, "plain"), []byte("text"), 0o644),
		os.WriteFile(filepath.Join(ws, "dir", "inner"), []byte("inner"), 0o644),
		os.Symlink("dir/inner", filepath.Join(ws, "in")), os.Symlink("..", filepath.Join(ws, "dir", "up")),
		os.Symlink(filepath.Join(outside, "secret"), filepath.Join(ws, "absolute")),
		os.Symlink("../outside/secret", filepath.Join(ws, "relative")), os.Symlink("../outside", filepath.Join(ws, "out")),
		os.Symlink("/proc/self/root", filepath.Join(ws, "magic")), os.Symlink("loop", filepath.Join(ws, "loop")),
		os.Symlink("nowhere", filepath.Join(ws, "dangling")), os.Symlink("pipe", filepath.Join(ws, "topipe")),
		unix.Mkfifo(filepath.Join(ws, "pipe"), 0o644))
	l, err := net.Listen("unix", filepath.Join(ws, "socket"))
	must(t, err)
	t.Cleanup(func() { l.Close() })
	root, err = OpenRoot(t.Context(), ws)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	return root, ws, outside
}

func TestOnlyPlainFilesInsideAreRead(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		root, ws, _ := hostile(t)
		for name, want := range map[string]string{"plain": "text", "in": "inner", "dir/up/plain": "text", "./dir/../plain": "text"} {
			if got, err := root.ReadFile(t.Context(), name, 100); string(got) != want || err != nil {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		for name, says := range map[string]string{
			"absolute": "leads out", "relative": "leads out", "out/secret": "leads out", "magic/etc/passwd": "leads out",
			"../outside/secret": "leads out", "/etc/passwd": "leads out",
			"pipe": "a named pipe", "topipe": "a named pipe", "socket": "a socket", "dir": "a directory", ".": "a directory",
			"loop": "too many levels", "not/there": "no such file", "plain/x": "not a directory", "": "not exist",
		} {
			got, err := root.ReadFile(t.Context(), name, 100)
			if err == nil || !strings.Contains(err.Error(), says) || strings.Contains(err.Error(), ws) {
				t.Errorf("%q: %q, %v; want an error that says %q and no path", name, got, err, says)
			}
		}
	})
}

func TestADeviceIsNotOpened(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make a device")
	}
	bothWays(t, func(t *testing.T) {
		root, ws, _ := hostile(t)
		if err := unix.Mknod(filepath.Join(ws, "zero"), unix.S_IFCHR|0o666, int(unix.Mkdev(1, 5))); err != nil {
			t.Skip("needs to make devices: ", err)
		}
		if got, err := root.ReadFile(t.Context(), "zero", 100); err == nil || !strings.Contains(err.Error(), "a device") {
			t.Errorf("read %d bytes, %v", len(got), err)
		}
		if err := root.WriteFile(t.Context(), "zero", []byte("x")); err == nil || !strings.Contains(err.Error(), "a device") {
			t.Errorf("write: %v", err)
		}
	})
}

func TestASizeIsLookedAtBeforeReading(t *testing.T) {
	root, ws, _ := hostile(t)
	must(t, os.Truncate(filepath.Join(ws, "plain"), 1<<40)) // a terabyte of nothing
	var large TooLarge
	if _, err := root.ReadFile(t.Context(), "plain", 1<<20); !errors.As(err, &large) || err.Error() != "it is larger than 1 MiB" {
		t.Errorf("a sparse file: %v", err)
	}
}

// A file of /proc says that it has no bytes, and has some: it grows while it is read.
func TestAFileThatGrowsWhileItIsRead(t *testing.T) {
	root, err := OpenRoot(t.Context(), "/proc/self")
	must(t, err)
	defer root.Close()
	if got, err := root.ReadFile(t.Context(), "status", 16); !errors.As(err, new(TooLarge)) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
}

// A lease makes whoever opens the file wait until its holder gives it back.
func TestALeaseIsNotWaitedFor(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		root, ws, _ := hostile(t)
		f, err := os.OpenFile(filepath.Join(ws, "plain"), os.O_RDWR, 0)
		must(t, err)
		defer f.Close()
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_WRLCK); err != nil {
			t.Skip("needs leases: ", err)
		}
		// Else the notice of it, SIGIO, would end this program.
		if _, err := unix.FcntlInt(f.Fd(), unix.F_SETSIG, int(unix.SIGURG)); err != nil {
			t.Fatal(err)
		}
		if got, err := root.ReadFile(t.Context(), "plain", 100); err == nil {
			t.Errorf("read %q", got)
		}
		if err := root.WriteFile(t.Context(), "plain", nil); err == nil {
			t.Error("written")
		}
	})
}

func TestWritingStaysInside(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		root, ws, outside := hostile(t)
		must(t, root.WriteFile(t.Context(), "new/a/b", []byte("1")), root.WriteFile(t.Context(), "new/a/b", []byte("")),
			root.WriteFile(t.Context(), "new/a/b", []byte("2")), root.WriteFile(t.Context(), "in", []byte("through a link")),
			root.Append(t.Context(), "new/a/b", []byte("3")), root.Append(t.Context(), "appended", []byte("4")))
		for name, want := range map[string]string{"new/a/b": "23", "dir/inner": "through a link", "appended": "4"} {
			if got, err := os.ReadFile(filepath.Join(ws, name)); string(got) != want {
				t.Errorf("%s: %q, %v", name, got, err)
			}
		}
		for name, says := range map[string]string{
			"absolute": "leads out", "relative": "leads out", "out/new": "leads out", "magic/tmp/x": "leads out", "../x": "leads out",
			"pipe": "a named pipe", "topipe": "a named pipe", "socket": "a socket", "dir": "a directory", "dangling": "leads nowhere",
			"plain/x": "not a directory", "pipe/x": "not a directory",
		} {
			if err := root.WriteFile(t.Context(), name, []byte("x")); err == nil || !strings.Contains(err.Error(), says) {
				t.Errorf("%s: %v; want an error that says %q", name, err, says)
			}
		}
		if got, _ := os.ReadFile(filepath.Join(outside, "secret")); string(got) != "secret" {
			t.Errorf("outside was written: %q", got)
		}
		if err := root.Link(t.Context(), "/cache", "out/link"); !errors.Is(err, ErrOutside) {
			t.Errorf("Link: %v", err)
		}
		must(t, root.Link(t.Context(), "/cache", "deps/a"), root.Link(t.Context(), "/cache", "plain"))
		if to, _ := os.Readlink(filepath.Join(ws, "deps", "a")); to != "/cache" {
			t.Errorf("the link leads to %q", to)
		}
	})
}

// What is under a name changes all the time between a file and a link that leads
// out; whatever is read is inside.
func TestALinkThatTakesAFilesPlaceIsNotFollowed(t *testing.T) {
	bothWays(t, func(t *testing.T) {
		root, ws, _ := hostile(t)
		swap := filepath.Join(ws, "swap")
		must(t, os.Mkdir(filepath.Join(ws, "real"), 0o755), os.WriteFile(filepath.Join(ws, "real", "secret"), []byte("inside"), 0o644),
			os.Rename(filepath.Join(ws, "real"), swap))
		stop, done := make(chan struct{}), make(chan struct{})
		go func() {
			defer close(done)
			for {
				select {
				case <-stop:
					return
				default:
					unix.Renameat2(unix.AT_FDCWD, swap, unix.AT_FDCWD, filepath.Join(ws, "out"), unix.RENAME_EXCHANGE)
				}
			}
		}()
		defer func() { close(stop); <-done }()
		inside := 0
		for range 5000 {
			got, err := root.ReadFile(t.Context(), "swap/secret", 100)
			if err == nil && string(got) != "inside" {
				t.Fatalf("read %q", got)
			}
			if err == nil {
				inside++
			}
			if err := root.WriteFile(t.Context(), "swap/secret", []byte("inside")); err != nil && !errors.Is(err, ErrOutside) && !errors.Is(err, fs.ErrExist) {
				t.Logf("write: %v", err)
			}
		}
		if inside == 0 {
			t.Error("it was never read: the test shows nothing")
		}
	})
}

// gone is a context that ends when somebody waits for the file system.
func gone(t *testing.T, f *hungfs.FS) (context.Context, error) {
	t.Helper()
	cause := errors.New("canceled by the test")
	ctx, cancel := context.WithCancelCause(t.Context())
	t.Cleanup(func() { cancel(nil) })
	go func() {
		<-f.Asked()
		cancel(cause)
	}()
	return ctx, cause
}

// Each of these would wait for ever.
func TestAFileSystemThatDoesNotAnswerIsAbandoned(t *testing.T) {
	for name, call := range map[string]func(ctx context.Context, root *Root, dir string) error{
		"read": func(ctx context.Context, root *Root, _ string) error {
			_, err := root.ReadFile(ctx, "hung/x", 100)
			return err
		},
		"open":   func(ctx context.Context, root *Root, _ string) error { _, err := root.Open(ctx, "hung/x"); return err },
		"write":  func(ctx context.Context, root *Root, _ string) error { return root.WriteFile(ctx, "hung/a/b", nil) },
		"append": func(ctx context.Context, root *Root, _ string) error { return root.Append(ctx, "hung/a", nil) },
		"link":   func(ctx context.Context, root *Root, _ string) error { return root.Link(ctx, "/x", "hung/a/b") },
		"root": func(ctx context.Context, _ *Root, dir string) error {
			_, err := OpenRoot(ctx, filepath.Join(dir, "hung", "x"))
			return err
		},
		"walk": func(ctx context.Context, root *Root, _ string) error {
			return root.Walk(ctx, ".", Bounds{100, 100}, func(Entry) error { return nil })
		},
		"hold": func(ctx context.Context, _ *Root, dir string) error {
			_, err := Within(ctx, func() (*Node, error) { return Hold(filepath.Join(dir, "hung", "x")) }, (*Node).Close)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			must(t, os.Mkdir(filepath.Join(dir, "hung"), 0o755))
			root, err := OpenRoot(t.Context(), dir)
			must(t, err)
			t.Cleanup(func() { root.Close() })
			ctx, cause := gone(t, hungfs.Mount(t, filepath.Join(dir, "hung")))
			if err := call(ctx, root, dir); !errors.Is(err, cause) {
				t.Errorf("got %v, want the context's cause", err)
			}
		})
	}
}

func TestBytesThatNeverComeAreNotWaitedFor(t *testing.T) {
	dir := t.TempDir()
	must(t, os.Mkdir(filepath.Join(dir, "slow"), 0o755))
	ctx, cause := gone(t, hungfs.MountSlow(t, filepath.Join(dir, "slow")))
	root, err := OpenRoot(ctx, dir)
	must(t, err)
	t.Cleanup(func() { root.Close() })
	f, err := root.Open(ctx, "slow/x")
	must(t, err)
	if n, err := f.Read(make([]byte, 10)); n != 0 || !errors.Is(err, cause) {
		t.Errorf("read %d bytes, %v", n, err)
	}
	must(t, f.Close())
}

func TestAFileIsReadInPieces(t *testing.T) {
	root, ws, _ := hostile(t)
	text := strings.Repeat("0123456789", 100_000)
	must(t, os.WriteFile(filepath.Join(ws, "plain"), []byte(text), 0o644))
	f, err := root.Open(t.Context(), "plain")
	must(t, err)
	got, err := io.ReadAll(f)
	if string(got) != text || err != nil || f.Size() != int64(len(text)) {
		t.Errorf("%d bytes of %d, %v", len(got), f.Size(), err)
	}
	must(t, f.Close(), f.Close())
}

func TestWhatComesTooLateIsDiscarded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	release, discarded := make(chan struct{}), make(chan int)
	go cancel()
	got, err := Within(ctx, func() (int, error) { <-release; return 7, nil }, func(n int) { discarded <- n })
	if got != 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("%d, %v", got, err)
	}
	close(release)
	if n := <-discarded; n != 7 {
		t.Errorf("discarded %d", n)
	}
}
