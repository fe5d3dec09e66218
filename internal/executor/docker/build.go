package docker

import (
	"archive/tar"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	dockerbuild "github.com/docker/docker/api/types/build"
)

// LabelContext is on images that were built here, with their context's hash.
const LabelContext = "quire.context"

// build makes the image of .quire/Dockerfile, or finds the one that was made of
// the same context before. "" without error: there is no Dockerfile.
//
// The context is the directory .quire without its Fennel: an image depends on
// what is there and nothing else, and a commit elsewhere builds none.
func (d *Executor) build(ctx context.Context, dir string) (string, error) {
	if info, err := os.Lstat(filepath.Join(dir, "Dockerfile")); err != nil || !info.Mode().IsRegular() {
		return "", nil
	}
	files, err := contextFiles(dir)
	if err != nil {
		return "", fmt.Errorf("the image of .quire/Dockerfile: %w", err)
	}
	hash := sha256.New()
	if err := writeContext(hash, dir, files); err != nil {
		return "", fmt.Errorf("the image of .quire/Dockerfile: %w", err)
	}
	sum := hex.EncodeToString(hash.Sum(nil))
	tag := "quire/built:" + sum[:32]
	if _, err := d.engine.ImageInspect(ctx, tag); err == nil {
		return tag, nil
	} else if !errdefs.IsNotFound(err) {
		return "", fmt.Errorf("the image of .quire/Dockerfile: %s", oneLine(err))
	}
	written, err := writtenCredentials()
	if err != nil {
		return "", err
	}
	begun := time.Now()
	d.spec.Progress("building the image of .quire/Dockerfile …")
	body, w := io.Pipe()
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		w.CloseWithError(writeContext(w, dir, files))
	}()
	defer func() {
		body.Close()
		<-sent
	}()
	answer, err := d.engine.ImageBuild(ctx, body, dockerbuild.ImageBuildOptions{
		Tags: []string{tag}, Dockerfile: "Dockerfile", Remove: true, ForceRemove: true,
		Labels:      map[string]string{LabelContext: sum},
		AuthConfigs: written,
	})
	if err != nil {
		return "", fmt.Errorf("building the image of .quire/Dockerfile: %s", oneLine(err))
	}
	defer answer.Body.Close()
	if err := followBuild(answer.Body, d.spec.Progress); err != nil {
		return "", fmt.Errorf("building the image of .quire/Dockerfile: %w", err)
	}
	d.spec.Progress(fmt.Sprintf("built the image of .quire/Dockerfile in %s", time.Since(begun).Round(100*time.Millisecond)))
	return tag, nil
}

// followBuild tells each step, and of a step that fails what it said last.
func followBuild(r io.Reader, tell func(string)) error {
	var said []string
	for dec := json.NewDecoder(r); ; {
		var m message
		if err := dec.Decode(&m); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
		if m.Error != "" {
			why := strings.Join(strings.Fields(m.Error), " ")
			if len(said) > 0 {
				return fmt.Errorf("%s\n%s", why, strings.Join(said, "\n"))
			}
			return errors.New(why)
		}
		for line := range strings.Lines(m.Stream) {
			line = strings.TrimRight(line, "\r\n")
			switch {
			case strings.HasPrefix(line, "Step "):
				said = nil
				tell(line)
			case strings.HasPrefix(line, " --->"), strings.TrimSpace(line) == "":
			default:
				said = append(said[max(0, len(said)-19):], line)
			}
		}
	}
}

// contextFiles are the paths of a build's context, sorted.
func contextFiles(dir string) ([]string, error) {
	var files []string
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(dir, path)
		if err != nil || e.IsDir() || strings.HasSuffix(rel, ".fnl") {
			return err // git keeps no empty directories, and a file brings its own
		}
		files = append(files, rel)
		return nil
	})
	return files, err
}

// writeContext writes a tar of the files in which nothing depends on when and
// by whom they were checked out, so that it serves for the hash too.
func writeContext(w io.Writer, dir string, files []string) error {
	t := tar.NewWriter(w)
	for _, rel := range files {
		path := filepath.Join(dir, rel)
		info, err := os.Lstat(path)
		if err != nil {
			return err
		}
		to := ""
		if info.Mode()&fs.ModeSymlink != 0 {
			if to, err = os.Readlink(path); err != nil {
				return err
			}
		}
		h, err := tar.FileInfoHeader(info, to)
		if err != nil {
			return fmt.Errorf("%s: %w", rel, err)
		}
		mode := int64(0o644)
		if info.IsDir() || info.Mode()&0o111 != 0 {
			mode = 0o755
		}
		*h = tar.Header{Typeflag: h.Typeflag, Name: filepath.ToSlash(rel), Linkname: h.Linkname, Size: h.Size, Mode: mode, Format: tar.FormatPAX}
		if err := t.WriteHeader(h); err != nil {
			return err
		}
		if info.Mode().IsRegular() {
			if err := copyFile(t, path); err != nil {
				return err
			}
		}
	}
	return t.Close()
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
