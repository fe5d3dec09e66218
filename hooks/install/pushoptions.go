package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
)

// `git push -o ci.skip` works only if the repository says that it takes push
// options. git says so for receive.advertisePushOptions, which is off unless set.
const pushOptionsKey = "receive.advertisePushOptions"

// Refs that keep the commits of runs (gitrepo.RunRefs) are shown to no client, and
// changed by none, where this names them.
const (
	hideKey = "transfer.hideRefs"
	hidden  = "refs/quire"
)

// record is what uninstalling must know, kept in the repository.
type record struct {
	MadeHooksDir bool `json:"made_hooks_dir,omitempty"`

	// ConfigBefore is the repository's config before we changed it, ConfigAfter
	// the SHA-256 of what it was then: if it still is that, the old bytes can be
	// put back.
	ConfigBefore []byte `json:"config_before,omitempty"`
	ConfigAfter  string `json:"config_after,omitempty"`
	ValueBefore  string `json:"value_before,omitempty"` // of pushOptionsKey; "" if it was not set here
}

func (r Repo) recordPath() string { return filepath.Join(r.GitDir, "quire-install.json") }

func (r Repo) readRecord() (*record, error) {
	rec := &record{}
	data, err := os.ReadFile(r.recordPath())
	if errors.Is(err, fs.ErrNotExist) {
		return rec, nil
	}
	if err == nil {
		err = json.Unmarshal(data, rec)
	}
	if err != nil {
		return nil, fmt.Errorf("read what was installed (%s): %w", r.recordPath(), err)
	}
	return rec, nil
}

func (r Repo) writeRecord(rec *record) error {
	data, err := json.MarshalIndent(rec, "", "  ")
	if err == nil {
		// It holds the config's bytes: as readable as that is, and to all if it is.
		mode := fs.FileMode(0o644)
		if st, err := os.Stat(filepath.Join(r.GitDir, "config")); err == nil {
			mode = 0o600 | st.Mode().Perm()&0o044
		}
		err = WriteFile(r.recordPath(), append(data, '\n'), mode)
	}
	if err != nil {
		return fmt.Errorf("record the installation: %w", err)
	}
	return nil
}

// configure allows push options and hides the refs of runs, unless that is so
// already.
func (r Repo) configure(rec *record) (changed bool, err error) {
	options, hides := r.PushOptions(), r.hidesRunRefs()
	if options && hides {
		return false, nil
	}
	config, err := filepath.EvalSymlinks(filepath.Join(r.GitDir, "config"))
	if err != nil {
		return false, fmt.Errorf("allow push options: %w", err)
	}
	before, err := os.ReadFile(config)
	if err != nil {
		return false, fmt.Errorf("allow push options: %w", err)
	}
	st, err := os.Stat(config)
	if err != nil {
		return false, fmt.Errorf("allow push options: %w", err)
	}
	// An earlier version's installation is undone with this one, to the bytes that
	// were there before both, unless somebody has changed them in between.
	again := rec.ConfigBefore != nil
	whole := !again || digest(before) == rec.ConfigAfter
	if !again {
		if value, err := git(r.GitDir, "config", "--local", "--get", pushOptionsKey); err == nil {
			rec.ValueBefore = strings.TrimSuffix(value, "\n")
		}
		rec.ConfigBefore = before
		if err := r.writeRecord(rec); err != nil { // before the change that it is to undo
			return false, err
		}
	}
	if !options {
		if _, err := git(r.GitDir, "config", "--local", pushOptionsKey, "true"); err != nil {
			return false, fmt.Errorf("allow push options in %s: %w", config, err)
		}
	}
	if !hides {
		if _, err := git(r.GitDir, "config", "--local", "--add", hideKey, hidden); err != nil {
			return false, fmt.Errorf("hide the refs of runs in %s: %w", config, err)
		}
	}
	if err := restoreOwner(config, st); err != nil {
		return true, fmt.Errorf("allow push options: %w", err)
	}
	after, err := os.ReadFile(config)
	if err != nil {
		return true, fmt.Errorf("allow push options: %w", err)
	}
	if whole {
		rec.ConfigAfter = digest(after)
	}
	return true, r.writeRecord(rec)
}

// PushOptions reports whether the repository takes push options.
func (r Repo) PushOptions() bool {
	out, err := git(r.GitDir, "config", "--type=bool", "--get", pushOptionsKey)
	return err == nil && strings.TrimSpace(out) == "true"
}

// hidesRunRefs reports whether the repository keeps the refs of runs from clients.
func (r Repo) hidesRunRefs() bool {
	out, err := git(r.GitDir, "config", "--get-all", hideKey)
	return err == nil && slices.Contains(strings.Split(out, "\n"), hidden)
}

// removeRunRefs removes the refs that keep the commits of runs.
func (r Repo) removeRunRefs() error {
	out, err := git(r.GitDir, "for-each-ref", "--format=%(refname)", hidden+"/")
	if err != nil {
		return fmt.Errorf("remove the refs of runs: %w", err)
	}
	for ref := range strings.Lines(out) {
		if _, err := git(r.GitDir, "-c", "core.hooksPath=/dev/null", "update-ref", "--no-deref", "-d", strings.TrimSuffix(ref, "\n")); err != nil {
			return fmt.Errorf("remove the refs of runs: %w", err)
		}
	}
	return nil
}

// restoreConfig undoes configure: the old bytes if nobody has changed the file
// since, else the two keys.
func (r Repo) restoreConfig(rec *record) (changed bool, err error) {
	if rec.ConfigBefore == nil {
		return false, nil
	}
	config, err := filepath.EvalSymlinks(filepath.Join(r.GitDir, "config"))
	if err != nil {
		return false, fmt.Errorf("restore the repository's config: %w", err)
	}
	now, err := os.ReadFile(config)
	if err != nil {
		return false, fmt.Errorf("restore the repository's config: %w", err)
	}
	st, err := os.Stat(config)
	if err != nil {
		return false, fmt.Errorf("restore the repository's config: %w", err)
	}
	switch {
	case bytes.Equal(now, rec.ConfigBefore):
		return false, nil
	case digest(now) == rec.ConfigAfter:
		err = WriteFile(config, rec.ConfigBefore, st.Mode().Perm())
	default:
		if _, getErr := git(r.GitDir, "config", "--local", "--get", hideKey, "^"+hidden+"$"); getErr == nil {
			_, err = git(r.GitDir, "config", "--local", "--unset-all", hideKey, "^"+hidden+"$")
		}
		if err != nil {
			break
		}
		if rec.ValueBefore != "" {
			_, err = git(r.GitDir, "config", "--local", pushOptionsKey, rec.ValueBefore)
		} else if _, getErr := git(r.GitDir, "config", "--local", "--get", pushOptionsKey); getErr == nil {
			_, err = git(r.GitDir, "config", "--local", "--unset-all", pushOptionsKey)
		}
	}
	if err == nil {
		err = restoreOwner(config, st)
	}
	if err != nil {
		return false, fmt.Errorf("restore the repository's config: %w", err)
	}
	return true, nil
}

// restoreOwner makes a file that was replaced belong to whom it did, since git
// and we write anew and rename.
func restoreOwner(path string, st fs.FileInfo) error {
	sys := st.Sys().(*syscall.Stat_t)
	if now, err := os.Stat(path); err != nil {
		return err
	} else if s := now.Sys().(*syscall.Stat_t); s.Uid != sys.Uid || s.Gid != sys.Gid {
		if err := os.Chown(path, int(sys.Uid), int(sys.Gid)); err != nil {
			return err
		}
	}
	return os.Chmod(path, st.Mode().Perm())
}

func digest(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// WriteFile writes a file anew: temporary name, sync, rename, sync of the
// directory.
func WriteFile(path string, data []byte, mode fs.FileMode) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".quire-")
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Chmod(mode)
	}
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
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}
