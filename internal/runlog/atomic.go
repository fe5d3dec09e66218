package runlog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
)

// writeAtomic makes a file appear whole or not at all, and last: temporary
// name, sync, rename, sync of the directory.
func writeAtomic(path string, data []byte) error {
	err := writeAside(path, data)
	if errors.Is(err, fs.ErrNotExist) {
		if err = os.MkdirAll(filepath.Dir(path), 0o700); err == nil {
			err = writeAside(path, data)
		}
	}
	return err
}

func writeAside(path string, data []byte) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, "."+filepath.Base(path)+".")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
		return err
	}
	return syncDir(dir)
}

// syncParent makes the name of a new directory durable.
func syncParent(dir string) error { return syncDir(filepath.Dir(dir)) }

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	err = d.Sync()
	if cerr := d.Close(); err == nil {
		err = cerr
	}
	return err
}
