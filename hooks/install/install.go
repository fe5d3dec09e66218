// Package install puts quire's hooks into repositories, and takes them out so
// that everything is again what it was: the hook that was there before, its
// mode, a symbolic link's target, and the bytes of the repository's config.
//
// A hook is installed as a symbolic link to the program in
// PREFIX/libexec/quire, so that a new version of quire is a new version of every
// hook. An earlier hook stays beside it as NAME.before-quire, and ours runs it.
// At no moment is there no hook.
package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"quire/hooks"
)

// Names of the hooks quire has.
const (
	PostReceive = "post-receive"
	PreReceive  = "pre-receive"
)

// Options say what to install.
type Options struct {
	// Libexec is the directory of the hook programs.
	Libexec string
	// WriteAhead also installs pre-receive, which announces each push before
	// git moves a ref.
	WriteAhead bool
}

// Result is what an installation did, for a person or a program.
type Result struct {
	GitDir      string   `json:"git_dir"`
	HooksDir    string   `json:"hooks_dir"`
	Hooks       []string `json:"hooks"`             // ours, now in place (install) or taken out (uninstall)
	Chained     []string `json:"chained,omitempty"` // earlier hooks, kept (install) or put back (uninstall)
	PushOptions bool     `json:"push_options"`      // the repository's config was changed for push options, or changed back
	Changed     bool     `json:"changed"`           // false: all was so already
}

// Install puts the hooks into the repository at path: a bare repository, a
// checkout, or a .git directory. Doing it again changes nothing.
func Install(path string, o Options) (Result, error) {
	repo, err := Find(path)
	if err != nil {
		return Result{}, err
	}
	res := Result{GitDir: repo.GitDir, HooksDir: repo.HooksDir}
	names := []string{PostReceive}
	if o.WriteAhead {
		names = append(names, PreReceive)
	}
	if repo.Elsewhere != "" {
		return res, repo.coveredElsewhere(names)
	}
	for _, name := range names { // before anything is changed
		if err := checkProgram(filepath.Join(o.Libexec, name), name); err != nil {
			return res, err
		}
		if err := repo.checkPlace(name); err != nil {
			return res, err
		}
	}
	rec, err := repo.readRecord()
	if err != nil {
		return res, err
	}
	if err := repo.makeHooksDir(rec); err != nil {
		return res, err
	}
	for _, name := range names {
		changed, err := repo.link(name, filepath.Join(o.Libexec, name))
		if err != nil {
			return res, err
		}
		res.Changed = res.Changed || changed
		res.Hooks = append(res.Hooks, name)
		if _, err := os.Lstat(repo.hook(name) + hooks.ChainSuffix); err == nil {
			res.Chained = append(res.Chained, name)
		}
	}
	res.PushOptions, err = repo.allowPushOptions(rec)
	res.Changed = res.Changed || res.PushOptions
	return res, err
}

// Uninstall takes the hooks out and puts back what was there before.
func Uninstall(path string) (Result, error) {
	repo, err := Find(path)
	if err != nil {
		return Result{}, err
	}
	res := Result{GitDir: repo.GitDir, HooksDir: repo.HooksDir}
	rec, err := repo.readRecord()
	if err != nil {
		return res, err
	}
	for _, name := range []string{PostReceive, PreReceive} {
		removed, restored, err := repo.unlink(name)
		if err != nil {
			return res, err
		}
		if removed {
			res.Hooks = append(res.Hooks, name)
		}
		if restored {
			res.Chained = append(res.Chained, name)
		}
	}
	if res.PushOptions, err = repo.restoreConfig(rec); err != nil {
		return res, err
	}
	if rec.MadeHooksDir {
		os.Remove(repo.HooksDir) // stays if somebody has put something into it
	}
	if err := os.Remove(repo.recordPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return res, fmt.Errorf("uninstall: %w", err)
	}
	res.Changed = len(res.Hooks) > 0 || res.PushOptions
	return res, nil
}

func (r Repo) hook(name string) string { return filepath.Join(r.HooksDir, name) }

func (r Repo) makeHooksDir(rec *record) error {
	err := os.Mkdir(r.HooksDir, 0o755)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("install: %w", err)
	}
	rec.MadeHooksDir = true
	return errors.Join(r.own(r.HooksDir), r.writeRecord(rec))
}

// checkPlace refuses what cannot be chained.
func (r Repo) checkPlace(name string) error {
	path := r.hook(name)
	st, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	if st.Mode().Type() != 0 && st.Mode().Type() != fs.ModeSymlink {
		return fmt.Errorf("install: %s is a %s, not a hook; move it away first", path, kind(st.Mode()))
	}
	if Ours(path) {
		return nil
	}
	if _, err := os.Lstat(path + hooks.ChainSuffix); err == nil {
		return fmt.Errorf("install: there is a hook %s and also %s from an earlier installation; keep one of them as %s and remove the other",
			path, filepath.Base(path)+hooks.ChainSuffix, filepath.Base(path))
	}
	return nil
}

func kind(m fs.FileMode) string {
	if m.IsDir() {
		return "directory"
	}
	return "special file"
}

// link puts our hook in place; what stood there is kept beside it.
func (r Repo) link(name, program string) (changed bool, err error) {
	path := r.hook(name)
	if target, err := os.Readlink(path); err == nil && target == program {
		return false, nil
	}
	fail := func(err error) (bool, error) { return false, fmt.Errorf("install: %w", err) }
	if _, err := os.Lstat(path); err == nil && !Ours(path) {
		// A second name first, so that the hook is there all the time. Where
		// that is not allowed it is away for a moment.
		if err := os.Link(path, path+hooks.ChainSuffix); err != nil {
			if err := os.Rename(path, path+hooks.ChainSuffix); err != nil {
				return fail(err)
			}
		}
	}
	tmp := filepath.Join(r.HooksDir, fmt.Sprintf(".%s.quire-%d", name, os.Getpid()))
	os.Remove(tmp) // of a process that died with our number
	if err := os.Symlink(program, tmp); err != nil {
		return fail(err)
	}
	err = r.own(tmp)
	if err == nil {
		err = os.Rename(tmp, path)
	}
	if err != nil {
		os.Remove(tmp)
		return fail(err)
	}
	return true, nil
}

// unlink takes our hook out; the earlier one takes its place at once.
func (r Repo) unlink(name string) (removed, restored bool, err error) {
	path := r.hook(name)
	before := path + hooks.ChainSuffix
	_, err = os.Lstat(path)
	here := err == nil
	_, err = os.Lstat(before)
	kept := err == nil
	switch ours := here && Ours(path); {
	case here && !ours && kept:
		return false, false, fmt.Errorf("uninstall: %s is not quire's hook any more; compare it with %s, keep one as %s, and remove the other",
			path, before, filepath.Base(path))
	case kept:
		if err := os.Rename(before, path); err != nil {
			return false, false, fmt.Errorf("uninstall: %w", err)
		}
		return ours, true, nil
	case ours:
		if err := os.Remove(path); err != nil {
			return false, false, fmt.Errorf("uninstall: %w", err)
		}
		return true, false, nil
	}
	return false, false, nil
}

// own gives a file that root made to the repository's owner, to whom git's own
// files belong; else the owner could not change them.
func (r Repo) own(path string) error {
	if os.Geteuid() != 0 {
		return nil
	}
	st, err := os.Stat(r.GitDir)
	if err != nil {
		return err
	}
	sys := st.Sys().(*syscall.Stat_t)
	return os.Lchown(path, int(sys.Uid), int(sys.Gid))
}
