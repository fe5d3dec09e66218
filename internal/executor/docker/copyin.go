package docker

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"quire/internal/executor/docker/inside"

	"github.com/docker/docker/api/types/container"
)

// copyIn puts into a container of another machine's engine what a container
// here would have mounted. Nothing comes back.
func (d *Executor) copyIn(ctx context.Context, id string) error {
	r, w := io.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		w.CloseWithError(d.writeTree(w))
	}()
	err := d.engine.CopyToContainer(ctx, id, "/", r, container.CopyToContainerOptions{})
	r.Close()
	<-done
	if err != nil {
		return fmt.Errorf("copying the workspace to the engine: %w", err)
	}
	return nil
}

func (d *Executor) writeTree(w io.Writer) error {
	t := tar.NewWriter(w)
	made := map[string]bool{"/": true}
	for _, m := range d.shown() {
		if err := parents(t, m.Target, made); err != nil {
			return err
		}
		if err := addTree(t, m.Source, m.Target); err != nil {
			return err
		}
		made[m.Target] = true
	}
	if err := parents(t, inside.Path, made); err != nil {
		return err
	}
	info, err := os.Stat(d.helper)
	if err != nil {
		return err
	}
	h := &tar.Header{Typeflag: tar.TypeReg, Name: inside.Path[1:], Mode: 0o755, Size: info.Size()}
	if err := t.WriteHeader(h); err != nil {
		return err
	}
	if err := copyFile(t, d.helper); err != nil {
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

// addTree adds a directory as it is: modes, owners, symbolic links. A socket
// or device is left out.
func addTree(t *tar.Writer, source, target string) error {
	return filepath.WalkDir(source, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		if info.Mode()&(fs.ModeSocket|fs.ModeDevice|fs.ModeNamedPipe) != 0 {
			return nil
		}
		link := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if link, err = os.Readlink(p); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, link)
		if err != nil {
			return err
		}
		h.Format = tar.FormatPAX
		h.Uname, h.Gname = "", "" // this machine's names mean nothing there
		if s, ok := info.Sys().(*syscall.Stat_t); ok {
			h.Uid, h.Gid = int(s.Uid), int(s.Gid)
		}
		h.Name = strings.TrimPrefix(target+strings.TrimPrefix(p, source), "/")
		if info.IsDir() {
			h.Name += "/"
		}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if !info.Mode().IsRegular() {
			return nil
		}
		f, err := os.Open(p)
		if err != nil {
			return err
		}
		defer f.Close()
		_, err = io.CopyN(t, f, h.Size) // a file that grows meanwhile is cut
		return err
	})
}

func copyFile(w io.Writer, path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(w, f)
	return err
}
