package worker

import (
	"context"
	"fmt"
	"os"
	"syscall"
	"time"

	"quire/internal/config"
)

// A worker may stay for days, while a mirror's host is down. What the operator
// changes meanwhile counts from the next look on: a corrected URL, a mirror
// taken back, a secret that is kept elsewhere.

// version tells one content of a configuration from another, as far as its files'
// names can.
type version struct{ config, secrets fileVersion }

type fileVersion struct {
	path       string
	inode      uint64
	size       int64
	modifiedAt time.Time
}

// configVersion is that of the configuration that would be read now.
func configVersion() version {
	path := config.Find()
	return version{versionOf(path), versionOf(config.SecretsPath(path))}
}

func versionOf(path string) fileVersion {
	v := fileVersion{path: path}
	if st, err := os.Stat(path); err == nil {
		v.size, v.modifiedAt = st.Size(), st.ModTime()
		if sys, ok := st.Sys().(*syscall.Stat_t); ok {
			v.inode = sys.Ino
		}
	}
	return v
}

// reread reads the configuration again if it has changed. One that is faulty is
// told and not heeded. Another state directory is another worker's: leave says
// that this one has no more to do.
func (w *worker) reread(ctx context.Context) (leave bool, err error) {
	now := configVersion()
	if now == w.version {
		return false, nil
	}
	w.version = now
	cfg, err := config.Load()
	if err != nil {
		w.tell("read the configuration again; the worker goes on with what it had", err)
		return false, nil
	}
	if cfg.StateDir != w.cfg.StateDir {
		w.Log.Info("the configuration names another state directory; this worker leaves", "state_dir", cfg.StateDir)
		return true, nil
	}
	w.Log.Info("the configuration has changed and was read again", "path", cfg.Path)
	// A push that is under way is ended, and owed still.
	w.stopMirrors()
	w.cfg = cfg
	if w.stopMirrors, err = w.keepMirrors(ctx); err != nil {
		w.stopMirrors = func() {}
		return false, fmt.Errorf("worker: %w", err)
	}
	return false, nil
}
