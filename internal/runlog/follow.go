package runlog

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// Follow copies a growing file from offset to w until it will grow no more,
// and returns the offset it reached; a later Follow from there goes on without
// a byte twice or missing. The file need not be there yet.
//
// ended says that nobody will write any more (Dir.Ended); the rest is read
// after it said so. An error is w's, the file's, or ctx's cause.
func Follow(ctx context.Context, w io.Writer, path string, offset int64, ended func() bool) (int64, error) {
	watch := NewWatcher()
	defer watch.Close()
	// The directory tells of the file's appearing and of the run's outcome.
	watch.Add(filepath.Dir(path))
	var f *os.File
	defer func() {
		if f != nil {
			f.Close()
		}
	}()
	for {
		over := ended() // asked before reading, so that nothing is written after the last read
		if f == nil {
			var err error
			f, err = os.Open(path)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return offset, err
			}
			if err != nil {
				f = nil
			} else if _, err := f.Seek(offset, io.SeekStart); err != nil {
				return offset, err
			} else {
				watch.Add(path)
				// Who removes old runs leaves alone what is locked so. Closing lets go.
				syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
			}
		}
		if f != nil {
			n, err := io.Copy(w, f)
			offset += n
			if err != nil {
				return offset, err
			}
		}
		if over {
			return offset, nil
		}
		if err := watch.Wait(ctx); err != nil {
			return offset, err
		}
	}
}
