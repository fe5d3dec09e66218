// Package install puts quire's hooks into repositories, and takes them out so
// that everything is again what it was: the hook that was there before, its
// mode, a symbolic link's target, and the bytes of the repository's config. It
// also writes down who runs a repository's pipelines.
//
// A hook is installed as a symbolic link to the program in
// PREFIX/libexec/quire, so that a new version of quire is a new version of every
// hook. An earlier hook is kept under its own name in a directory beside the
// hooks directory, and ours runs it. At no moment is there no hook.
//
// What is changed in a repository is changed by its owner's process: root, who
// installs for others, starts one. A repository is full of names that its owner
// can point elsewhere while root follows them.
package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"quire/hooks"
	"quire/internal/runner"
)

// Names of the hooks quire has.
const (
	PostReceive = "post-receive"
	PreReceive  = "pre-receive"
)

var hookNames = []string{PostReceive, PreReceive}

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

	// SharedWith are other repositories that call the hooks in HooksDir, and for
	// which they stay there when this one is uninstalled.
	SharedWith []string `json:"shared_with,omitempty"`
	// Left says that hooks stay in HooksDir for others, and that quire is
	// switched off for this repository alone.
	Left bool `json:"left,omitempty"`
}

// Install puts the hooks into the repository at path: a bare repository, a
// checkout, or a .git directory. Doing it again changes nothing.
func Install(path string, o Options) (Result, error) {
	repo, err := findOwn(path, "install")
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
	for _, name := range hookNames {
		moved, err := repo.upgrade(name)
		if err != nil {
			return res, err
		}
		res.Changed = res.Changed || moved
	}
	for _, name := range names {
		changed, err := repo.link(name, filepath.Join(o.Libexec, name))
		if err != nil {
			return res, err
		}
		res.Changed = res.Changed || changed
		res.Hooks = append(res.Hooks, name)
		if exists(repo.earlier(name)) {
			res.Chained = append(res.Chained, name)
		}
	}
	if exists(hooks.EarlierDir(repo.HooksDir)) {
		if err := hooks.LinkSiblings(repo.HooksDir); err != nil {
			return res, fmt.Errorf("install: %w", err)
		}
	}
	if err := repo.share(); err != nil {
		return res, err
	}
	res.PushOptions, err = repo.configure(rec)
	res.Changed = res.Changed || res.PushOptions
	return res, err
}

// Uninstall takes the hooks out and puts back what was there before. Hooks that
// other repositories call too stay, and do nothing for this one any more.
func Uninstall(path string) (Result, error) {
	repo, err := findOwn(path, "uninstall")
	if err != nil {
		return Result{}, err
	}
	res := Result{GitDir: repo.GitDir, HooksDir: repo.HooksDir}
	rec, err := repo.readRecord()
	if err != nil {
		return res, err
	}
	others, alone, err := repo.sharers()
	if err != nil {
		return res, err
	}
	who, err := runner.Of(repo.GitDir)
	if err != nil {
		who = runner.Runner{} // nobody's record is what is taken away
	}
	switch {
	case alone:
		if err := repo.takeOut(&res); err != nil {
			return res, err
		}
	case Ours(repo.hook(PostReceive)) && !who.Off:
		res.Left, res.SharedWith = true, others
		if err := WriteRunner(repo.GitDir, runner.Runner{UID: os.Geteuid(), Off: true}); err != nil {
			return res, err
		}
		if err := repo.unshare(); err != nil {
			return res, err
		}
	}
	if err := repo.removeRunRefs(); err != nil {
		return res, err
	}
	if res.PushOptions, err = repo.restoreConfig(rec); err != nil {
		return res, err
	}
	if rec.MadeHooksDir && alone {
		os.Remove(repo.HooksDir) // stays if somebody has put something into it
	}
	if err := os.Remove(repo.recordPath()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return res, fmt.Errorf("uninstall: %w", err)
	}
	if alone {
		if err := forgetRunner(repo.GitDir); err != nil {
			return res, err
		}
	}
	res.Changed = len(res.Hooks) > 0 || res.PushOptions || res.Left
	return res, nil
}

// takeOut takes the hooks out of the hooks directory.
func (r Repo) takeOut(res *Result) error {
	for _, name := range hookNames {
		removed, restored, err := r.unlink(name)
		if err != nil {
			return err
		}
		if removed {
			res.Hooks = append(res.Hooks, name)
		}
		if restored {
			res.Chained = append(res.Chained, name)
		}
	}
	if err := os.Remove(filepath.Join(r.HooksDir, hooks.SharersFile)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("uninstall: %w", err)
	}
	return r.removeEarlierDir()
}

func (r Repo) hook(name string) string { return filepath.Join(r.HooksDir, name) }

// earlier is where the hook is kept that was there before ours.
func (r Repo) earlier(name string) string {
	return filepath.Join(hooks.EarlierDir(r.HooksDir), name)
}

// beside is where an earlier version kept it.
func (r Repo) beside(name string) string { return r.hook(name) + hooks.ChainSuffix }

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}

func (r Repo) makeHooksDir(rec *record) error {
	err := os.Mkdir(r.HooksDir, 0o755)
	switch {
	case errors.Is(err, fs.ErrExist):
		return nil
	case err != nil:
		return fmt.Errorf("install: %w", err)
	}
	if err := os.Chmod(r.HooksDir, 0o755); err != nil { // whatever the umask
		return fmt.Errorf("install: %w", err)
	}
	rec.MadeHooksDir = true
	return r.writeRecord(rec)
}

// makeEarlierDir makes the directory of the earlier hooks, as open to others as
// the hooks directory is.
func (r Repo) makeEarlierDir() error {
	dir := hooks.EarlierDir(r.HooksDir)
	if err := os.Mkdir(dir, 0o755); err != nil {
		if errors.Is(err, fs.ErrExist) {
			return nil
		}
		return fmt.Errorf("install: keep the earlier hook beside %s: %w", r.HooksDir, err)
	}
	st, err := os.Stat(r.HooksDir)
	if err == nil {
		err = os.Chmod(dir, st.Mode()&(fs.ModePerm|fs.ModeSetgid|fs.ModeSticky))
	}
	if err != nil {
		return fmt.Errorf("install: %w", err)
	}
	return nil
}

// removeEarlierDir removes it with the links in it. What somebody else has put
// there stays.
func (r Repo) removeEarlierDir() error {
	dir := hooks.EarlierDir(r.HooksDir)
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("uninstall: %w", err)
	}
	for _, e := range entries {
		if err := hooks.RemoveSibling(r.HooksDir, e.Name()); err != nil {
			return fmt.Errorf("uninstall: %w", err)
		}
	}
	if err := os.Remove(dir); err != nil && !errors.Is(err, syscall.ENOTEMPTY) {
		return fmt.Errorf("uninstall: %w", err)
	}
	return nil
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
	for _, kept := range []string{r.earlier(name), r.beside(name)} {
		if exists(kept) && !same(kept, path) {
			return fmt.Errorf("install: there is a hook %s and also %s from an earlier installation; keep one of them as %s and remove the other",
				path, kept, path)
		}
	}
	return nil
}

func kind(m fs.FileMode) string {
	if m.IsDir() {
		return "directory"
	}
	return "special file"
}

// upgrade moves an earlier hook to where this version keeps it.
func (r Repo) upgrade(name string) (moved bool, err error) {
	old, now := r.beside(name), r.earlier(name)
	if !exists(old) {
		return false, nil
	}
	if exists(now) {
		if !same(old, now) {
			return false, fmt.Errorf("install: there are two earlier hooks, %s and %s; remove one of them", old, now)
		}
	} else if err := r.keep(old, now); err != nil {
		return false, err
	}
	if err := os.Remove(old); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return false, fmt.Errorf("install: %w", err)
	}
	return true, nil
}

// keep gives a hook the name under which ours finds it: a second name first, so
// that the hook is there all the time. Where that is not allowed it is away for
// a moment.
func (r Repo) keep(hook, as string) error {
	if err := r.makeEarlierDir(); err != nil {
		return err
	}
	if os.Link(hook, as) == nil {
		return nil
	}
	if err := os.Rename(hook, as); err != nil {
		return fmt.Errorf("install: keep the earlier hook: %w", err)
	}
	return nil
}

// link puts our hook in place; what stood there is kept beside it.
func (r Repo) link(name, program string) (changed bool, err error) {
	path := r.hook(name)
	if target, err := os.Readlink(path); err == nil && target == program {
		return false, nil
	}
	if exists(path) && !Ours(path) && !exists(r.earlier(name)) {
		if err := r.keep(path, r.earlier(name)); err != nil {
			return false, err
		}
		// Its parts are there before it is called by its new path.
		if err := hooks.LinkSiblings(r.HooksDir); err != nil {
			return false, fmt.Errorf("install: %w", err)
		}
	}
	tmp := filepath.Join(r.HooksDir, fmt.Sprintf(".%s.quire-%d", name, os.Getpid()))
	os.Remove(tmp) // of a process that died with our number
	if err := os.Symlink(program, tmp); err != nil {
		return false, fmt.Errorf("install: %w", err)
	}
	if err := os.Rename(tmp, path); err != nil {
		os.Remove(tmp)
		return false, fmt.Errorf("install: %w", err)
	}
	return true, nil
}

// unlink takes our hook out; the earlier one takes its place at once.
func (r Repo) unlink(name string) (removed, restored bool, err error) {
	path := r.hook(name)
	before := r.earlier(name)
	if !exists(before) {
		before = r.beside(name)
	}
	here, kept := exists(path), exists(before)
	switch ours := here && Ours(path); {
	case here && !ours && kept && !same(path, before):
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

// same reports whether two hooks are the same file, or links to the same place,
// or hold the same bytes: a tool that writes its hook again after quire came
// writes the one that is kept.
func same(a, b string) bool {
	ta, errA := os.Readlink(a)
	tb, errB := os.Readlink(b)
	if errA == nil || errB == nil {
		return errA == nil && errB == nil && ta == tb
	}
	da, errA := os.ReadFile(a)
	db, errB := os.ReadFile(b)
	return errA == nil && errB == nil && string(da) == string(db)
}
