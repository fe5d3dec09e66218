package docker

import (
	"archive/tar"
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

func must(t *testing.T, errs ...error) {
	t.Helper()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
}

// hostileTree is a workspace with what no commit holds but a job can make, beside
// a file of the operator's.
func hostileTree(t *testing.T) (ws, outside string) {
	t.Helper()
	dir := t.TempDir()
	ws, outside = filepath.Join(dir, "ws"), filepath.Join(dir, "outside")
	at := filepath.Join(ws, ".quire")
	must(t, os.MkdirAll(filepath.Join(at, "sub"), 0o755), os.Mkdir(outside, 0o755),
		os.WriteFile(filepath.Join(outside, "file"), []byte("SECRET"), 0o600),
		os.WriteFile(filepath.Join(at, "Dockerfile"), []byte("FROM scratch\n"), 0o644),
		os.WriteFile(filepath.Join(at, "ci.fnl"), nil, 0o644),
		os.WriteFile(filepath.Join(at, "sub", "file"), []byte("inside"), 0o755),
		os.Symlink(filepath.Join(outside, "file"), filepath.Join(at, "link")), os.Symlink(outside, filepath.Join(at, "dirlink")),
		unix.Mkfifo(filepath.Join(at, "pipe"), 0o644), unix.Mkfifo(filepath.Join(at, "sub", "pipe"), 0o644))
	return ws, outside
}

// read lists a tar: names, with what links lead to.
func read(t *testing.T, archive []byte) (names []string) {
	t.Helper()
	for r := tar.NewReader(bytes.NewReader(archive)); ; {
		h, err := r.Next()
		if errors.Is(err, io.EOF) {
			return names
		}
		must(t, err)
		if h.Linkname != "" {
			h.Name += " -> " + h.Linkname
		}
		names = append(names, h.Name)
	}
}

// While a workspace is copied to an engine, a job exchanges a directory with a
// link to one of the operator's.
func TestWhatIsCopiedToAnEngineIsTheWorkspaceOnly(t *testing.T) {
	ws, outside := hostileTree(t)
	dir, link := filepath.Join(ws, "dir"), filepath.Join(ws, "link")
	must(t, os.Mkdir(dir, 0o755), os.Symlink(outside, link))
	for _, name := range []string{"file", "other"} {
		must(t, os.WriteFile(filepath.Join(dir, name), []byte("inside"), 0o644))
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				unix.Renameat2(unix.AT_FDCWD, dir, unix.AT_FDCWD, link, unix.RENAME_EXCHANGE)
			}
		}
	}()
	defer func() { close(stop); <-done }()
	met := false
	for range 500 {
		var archive bytes.Buffer
		w := tar.NewWriter(&archive)
		must(t, addTree(t.Context(), w, ws, "/ws"), w.Close())
		if bytes.Contains(archive.Bytes(), []byte("SECRET")) {
			t.Fatalf("a file outside was copied: %q", read(t, archive.Bytes()))
		}
		met = met || slices.Contains(read(t, archive.Bytes()), "ws/dir/file")
	}
	if !met {
		t.Error("the directory was never copied: the test shows nothing")
	}
}
