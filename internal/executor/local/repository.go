package local

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"quire/internal/executor"
	"quire/internal/jobfile"

	"golang.org/x/sys/unix"
)

// Repository is what commands of a sandbox or container see in the place of their
// run's bare repository: its objects and refs, and a configuration that says how
// they are stored. The repository's own config may hold credentials (URLs with a
// token, http.extraHeader), its hooks are the owner's, and whatever else lies there
// is nobody's in a job.
type Repository struct {
	gitDir string
	view   string // a directory of ours, shown as gitDir; "": gitDir itself is
	dirs   []string

	mu    sync.Mutex
	stamp map[string]stamp // of copied files
}

// Bind is a directory of this machine that commands see, read-only, under another
// path.
type Bind struct{ Source, Target string }

var (
	// shownDirs are shown as they are.
	shownDirs = []string{"objects", "refs", "reftable", "info"}
	// copiedFiles git replaces by renaming: a mount of one would show the replaced
	// file for ever.
	copiedFiles = []string{"HEAD", "packed-refs", "shallow"}
)

// ShowRepository makes the view of a run's repository in a directory, which it makes.
// It is nil where there is no repository.
func ShowRepository(ctx context.Context, spec executor.Spec, view string) (*Repository, error) {
	gitDir := spec.GitDir
	if gitDir == "" {
		return nil, nil
	}
	if spec.Checkout {
		return &Repository{gitDir: gitDir}, nil
	}
	r := &Repository{gitDir: gitDir, view: view, stamp: map[string]stamp{}}
	made, err := jobfile.Within(ctx, r.make, nil)
	if err == nil && made {
		err = r.configure(ctx)
	}
	if err == nil && made {
		err = r.Refresh(ctx)
	}
	switch {
	case err != nil:
		return nil, fmt.Errorf("showing the repository %s to commands: %w", gitDir, err)
	case !made:
		return nil, nil
	}
	return r, nil
}

// make makes the directory, with the mount points in it. It says whether there is
// anything to show.
func (r *Repository) make() (bool, error) {
	if info, err := os.Stat(r.gitDir); err != nil || !info.IsDir() {
		return false, nil
	}
	if err := makeReadable(r.view); err != nil {
		return false, err
	}
	for _, dir := range shownDirs {
		// A link could lead anywhere on the machine.
		if info, err := os.Lstat(filepath.Join(r.gitDir, dir)); err != nil || !info.IsDir() {
			continue
		}
		if err := makeReadable(filepath.Join(r.view, dir)); err != nil {
			return false, err
		}
		r.dirs = append(r.dirs, dir)
	}
	return true, nil
}

// makeReadable makes a directory that everybody may read, whatever the umask.
func makeReadable(dir string) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	return os.Chmod(dir, 0o755)
}

// Binds are the mounts that show the repository, outer ones first.
func (r *Repository) Binds() []Bind {
	if r == nil {
		return nil
	}
	if r.view == "" {
		return []Bind{{r.gitDir, r.gitDir}}
	}
	all := []Bind{{r.view, r.gitDir}}
	for _, dir := range r.dirs {
		path := filepath.Join(r.gitDir, dir)
		all = append(all, Bind{path, path})
	}
	return all
}

// stamp tells a file from what it was.
type stamp struct {
	ino   uint64
	size  int64
	mtime unix.Timespec
	ctime unix.Timespec
}

// Refresh takes over what has become of the copied files. Executors call it before
// each command.
func (r *Repository) Refresh(ctx context.Context) error {
	if r == nil || r.view == "" {
		return nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now, err := jobfile.Within(ctx, func() (map[string]stamp, error) { return r.stamps(), nil }, nil)
	if err != nil {
		return err
	}
	for _, name := range copiedFiles {
		s, there := now[name]
		before, was := r.stamp[name]
		switch {
		case !there && was:
			err = os.Remove(filepath.Join(r.view, name))
		case there && s != before:
			err = r.copy(ctx, name)
		default:
			continue
		}
		if errors.Is(err, fs.ErrNotExist) {
			err, there = nil, false // gone meanwhile
		}
		if errors.Is(err, jobfile.ErrOutside) {
			err = errors.New("it is a link that leads out of the repository: put the file itself there")
		}
		if err != nil {
			return fmt.Errorf("the repository's %s: %w", name, err)
		}
		delete(r.stamp, name)
		if there {
			r.stamp[name] = s
		}
	}
	return nil
}

func (r *Repository) stamps() map[string]stamp {
	all := map[string]stamp{}
	for _, name := range copiedFiles {
		var st unix.Stat_t
		if unix.Lstat(filepath.Join(r.gitDir, name), &st) == nil {
			all[name] = stamp{st.Ino, st.Size, st.Mtim, st.Ctim}
		}
	}
	return all
}

// copy makes a file of the repository appear whole. A link is followed only within the
// repository: its owner need not be quire's user, who reads more than he does.
func (r *Repository) copy(ctx context.Context, name string) error {
	root, err := jobfile.OpenRoot(ctx, r.gitDir)
	if err != nil {
		return err
	}
	defer root.Close()
	in, err := root.Open(ctx, name)
	if err != nil {
		return err
	}
	defer in.Close()
	return r.write(name, in)
}

func (r *Repository) write(name string, from io.Reader) error {
	aside := filepath.Join(r.view, "new-"+name)
	out, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, from)
	if err = errors.Join(err, out.Chmod(0o644), out.Close()); err != nil {
		os.Remove(aside)
		return err
	}
	return os.Rename(aside, filepath.Join(r.view, name))
}

// mostConfig is how large a repository's config may be, in bytes.
const mostConfig = 1 << 20

// configure writes the configuration of the view: a bare repository, and the
// extensions of its format, without which git reads nothing or misreads it.
func (r *Repository) configure(ctx context.Context) error {
	text, err := r.config(ctx)
	if err != nil {
		return err
	}
	out := "[core]\n\trepositoryFormatVersion = 0\n\tbare = true\n"
	if bytes.Contains(bytes.ToLower(text), []byte("extensions")) { // else there is no need of a process
		if out, err = minimalConfig(ctx, text); err != nil {
			return err
		}
	}
	return r.write("config", strings.NewReader(out))
}

// config reads the repository's own. That one is often a link into another place that
// the owner keeps; nothing of it is shown but what formatSetting takes.
func (r *Repository) config(ctx context.Context) ([]byte, error) {
	path := filepath.Join(r.gitDir, "config")
	text, err := jobfile.Within(ctx, func() ([]byte, error) {
		fd, err := unix.Open(path, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil, err
		}
		f := os.NewFile(uintptr(fd), path)
		defer f.Close()
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() {
			return nil, errors.Join(err, errors.New("it is no plain file"))
		}
		text, err := io.ReadAll(io.LimitReader(f, mostConfig+1))
		if len(text) > mostConfig {
			return nil, fmt.Errorf("it is larger than %d bytes", mostConfig)
		}
		return text, err
	}, nil)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("the repository's config: %w", err)
	}
	return text, nil
}

// formatSetting is a setting that says how a repository is stored, in git's list: its
// name in small letters, a line feed and the value. Not worktreeConfig, which names
// another file of settings; it is said by leaving it out that there is none.
var formatSetting = regexp.MustCompile(`^(?:core\.(repositoryformatversion)|extensions\.([a-z0-9-]+))\n([A-Za-z0-9._/:+-]*)$`)

// minimalConfig has git read a configuration, and keeps of it what formatSetting takes.
// It does not include other files.
func minimalConfig(ctx context.Context, text []byte) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "config", "--file", "-", "--no-includes", "--null", "--list")
	cmd.Dir, cmd.Stdin = "/", bytes.NewReader(text)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_DIR=/dev/null"}
	list, err := cmd.Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			err = errors.New(strings.TrimSpace(string(ee.Stderr)))
		}
		return "", fmt.Errorf("the repository's config: %w", err)
	}
	version, extensions := "0", ""
	for entry := range strings.SplitSeq(string(list), "\x00") {
		m := formatSetting.FindStringSubmatch(entry)
		switch {
		case m == nil || m[2] == "worktreeconfig":
		case m[1] != "":
			version = m[3]
		default:
			extensions += "\t" + m[2] + " = " + m[3] + "\n"
		}
	}
	return "[core]\n\trepositoryFormatVersion = " + version + "\n\tbare = true\n[extensions]\n" + extensions, nil
}
