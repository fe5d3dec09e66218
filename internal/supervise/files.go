package supervise

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
)

// maxRead bounds what read-file returns, in bytes: it becomes a Lua string.
const maxRead = 64 << 20

// ReadFile reads a file of the workspace.
func (w *world) ReadFile(ctx context.Context, name string) ([]byte, error) {
	data, err := w.files.ReadFile(ctx, name, maxRead)
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", name, err)
	}
	return data, nil
}

// WriteFile writes a file of the workspace, making its directories.
func (w *world) WriteFile(ctx context.Context, name string, data []byte) error {
	if err := w.files.WriteFile(ctx, name, data); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// cause takes the operation and path off an error of package os: the sentence
// around it names them.
func cause(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
