package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"

	"quire/internal/jobfile"

	"github.com/docker/docker/api/types/container"
)

// copyIn puts into a container of another machine's engine what a container
// here would have mounted. Nothing comes back.
func (d *Executor) copyIn(ctx context.Context, id, program string) error {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(d.writeTree(ctx, w, program))
	}()
	err := d.engine.CopyToContainer(ctx, id, "/", r, container.CopyToContainerOptions{})
	r.Close()
	<-done
	if err != nil {
		return fmt.Errorf("copying the workspace to the engine: %w", err)
	}
	return nil
}

func (d *Executor) writeTree(ctx context.Context, w io.Writer, program string) error {
	t := tar.NewWriter(w)
	made := map[string]bool{"/": true}
	for _, m := range d.shown {
		if err := parents(t, m.Target, made); err != nil {
			return err
		}
		if err := addTree(ctx, t, m.Source, m.Target); err != nil {
			return err
		}
		made[m.Target] = true
	}
	if err := parents(t, program, made); err != nil {
		return err
	}
	info, err := os.Stat(d.helper)
	if err != nil {
		return err
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: program[1:], Mode: 0o755, Size: info.Size()}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	f, err := os.Open(d.helper)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyN(t, f, h.Size); err != nil {
		return err
	}
	return t.Close()
}

// parents adds the directories that lead to a path, once each.
func parents(t *tar.Writer, target string, made map[string]bool) error {
	dir := path.Dir(path.Clean(target))
	if made[dir] {
		return nil
	}
	if err := parents(t, dir, made); err != nil {
		return err
	}
	made[dir] = true
	return t.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: dir[1:] + "/", Mode: 0o755})
}

// treeBounds are what a directory that is copied to an engine may hold.
var treeBounds = jobfile.Bounds{Entries: 5_000_000, Depth: 500}

// addTree adds a directory as it is: modes, owners, symbolic links. A pipe, socket
// or device is left out. A command may be at work in it, and change what is
// there.
func addTree(ctx context.Context, t *tar.Writer, source, target string) error {
	root, err := jobfile.OpenRoot(ctx, source)
	if err != nil {
		return err
	}
	defer root.Close()
	top, err := jobfile.Within(ctx, func() (*jobfile.Node, error) { return jobfile.Hold(source) }, (*jobfile.Node).Close)
	if err != nil {
		return err
	}
	defer top.Close()
	if err := addEntry(ctx, t, target, jobfile.Entry{Node: top}); err != nil {
		return err
	}
	if err := root.Walk(ctx, ".", treeBounds, func(e jobfile.Entry) error { return addEntry(ctx, t, target, e) }); err != nil {
		return fmt.Errorf("%s: %w", source, err)
	}
	return nil
}

func addEntry(ctx context.Context, t *tar.Writer, target string, e jobfile.Entry) error {
	h := tar.Header{Name: strings.TrimPrefix(path.Join(target, e.Name), "/"), Linkname: e.Target, Mode: tarMode(e.Mode()), Format: tar.FormatPAX}
	h.Uid, h.Gid = e.Owner() // this machine's names mean nothing there
	switch {
	case e.IsRegular():
		h.Typeflag, h.Size = tar.TypeReg, e.Size()
	case e.IsLink():
		h.Typeflag = tar.TypeSymlink
	case e.IsDir():
		h.Typeflag, h.Name = tar.TypeDir, h.Name+"/"
	default:
		return nil
	}
	if err := t.WriteHeader(&h); err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	return copyEntry(ctx, t, e)
}

// tarMode is a mode as tar(5) has it.
func tarMode(m fs.FileMode) int64 {
	bits := int64(m.Perm())
	for bit, has := range map[int64]fs.FileMode{0o4000: fs.ModeSetuid, 0o2000: fs.ModeSetgid, 0o1000: fs.ModeSticky} {
		if m&has != 0 {
			bits |= bit
		}
	}
	return bits
}

// copyEntry copies the bytes of a plain file: as many as its header says. One
// that grows meanwhile is cut, and one that shrinks is filled up with zeros.
func copyEntry(ctx context.Context, w io.Writer, e jobfile.Entry) error {
	if !e.IsRegular() || e.Size() == 0 {
		return nil
	}
	f, err := e.Open(ctx)
	if err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	defer f.Close()
	if _, err := io.CopyN(w, io.MultiReader(f, zeros{}), e.Size()); err != nil {
		return fmt.Errorf("%s: %w", e.Name, err)
	}
	return nil
}

// zeros never ends.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}
