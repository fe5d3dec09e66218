package supervise

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"
	"syscall"

	"quire/pipeline"
)

// maxRead bounds what read-file returns, in bytes: it becomes a Lua string.
const maxRead = 64 << 20

// ReadFile reads a file of the workspace. os.Root keeps the way inside, however
// the links lie (openat(2), one step after the other).
func (w *world) ReadFile(name string) ([]byte, error) {
	f, err := w.openInside(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, maxRead+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, cause(err))
	}
	if len(data) > maxRead {
		return nil, fmt.Errorf("read %s: it is larger than %d MiB", name, maxRead>>20)
	}
	return data, nil
}

// openInside opens a plain file for reading. O_NONBLOCK: opening a pipe that a
// job made would wait for its writer.
func (w *world) openInside(name string) (*os.File, error) {
	f, err := w.files.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, cause(err))
	}
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() {
		f.Close()
		return nil, fmt.Errorf("read %s: it is no plain file", name)
	}
	return f, nil
}

// WriteFile writes a file of the workspace, making its directories.
func (w *world) WriteFile(name string, data []byte) error {
	if dir := path.Dir(name); dir != "." {
		if err := w.files.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("write %s: %w", name, cause(err))
		}
	}
	f, err := w.files.OpenFile(name, os.O_WRONLY|os.O_CREATE|syscall.O_NONBLOCK, 0o644)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, cause(err))
	}
	if st, serr := f.Stat(); serr != nil || !st.Mode().IsRegular() {
		f.Close()
		return fmt.Errorf("write %s: it is no plain file", name)
	}
	if err = f.Truncate(0); err == nil {
		_, err = f.Write(data)
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", name, cause(err))
	}
	return nil
}

// Artifact copies a file of the workspace to where it outlives the run,
// redacted like everything else that does.
func (w *world) Artifact(call pipeline.Call, name string) error {
	if !filepath.IsLocal(name) {
		return fmt.Errorf("keep %s: it leads out of the workspace", name)
	}
	if err := w.holdsNoSecret("the path", name); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	from, err := w.openInside(name)
	if err != nil {
		return err
	}
	defer from.Close()
	base := w.dir.Artifacts(call.Job)
	if err := os.MkdirAll(base, 0o700); err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	root, err := os.OpenRoot(base)
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, err)
	}
	defer root.Close()
	if dir := path.Dir(path.Clean(name)); dir != "." {
		if err := root.MkdirAll(dir, 0o700); err != nil {
			return fmt.Errorf("keep %s: %w", name, cause(err))
		}
	}
	to, err := root.OpenFile(path.Clean(name), os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, cause(err))
	}
	redacted := w.vault.Redactor().Writer(to)
	_, err = io.Copy(redacted, from)
	if cerr := redacted.Close(); err == nil {
		err = cerr
	}
	if cerr := to.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("keep %s: %w", name, cause(err))
	}
	return nil
}

// cause takes the operation and path off an error of package os: the sentence
// around it names them.
func cause(err error) error {
	var pe *os.PathError
	if !errors.As(err, &pe) {
		return err
	}
	if strings.Contains(pe.Err.Error(), "escapes") {
		return errors.New("it leads out of the workspace")
	}
	return pe.Err
}
