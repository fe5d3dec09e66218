package install

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"quire/hooks"
	"quire/internal/runner"
)

// Several repositories may call one hooks directory: hooks is a link there, or
// core.hooksPath names it. A list in that directory says which of them quire was
// installed in; the last one out takes the hooks along. Who is on the list
// counts only if a look confirms it, so a deleted repository holds nothing up.

// outside reports whether the hooks directory is not the repository's own.
func (r Repo) outside() bool { return !strings.HasPrefix(r.HooksDir, r.GitDir+"/") }

func (r Repo) sharersPath() string { return filepath.Join(r.HooksDir, hooks.SharersFile) }

// listed are the repositories on the list.
func (r Repo) listed() (list []string, there bool, err error) {
	text, err := os.ReadFile(r.sharersPath())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, fmt.Errorf("read which repositories share %s: %w", r.HooksDir, err)
	}
	return strings.FieldsFunc(string(text), func(c rune) bool { return c == '\n' }), true, nil
}

// sharers are the other repositories that call these hooks. alone says that
// there is none, so that the hooks can go; where the directory was installed
// into by a version that kept no list, nobody knows.
func (r Repo) sharers() (others []string, alone bool, err error) {
	if r.Elsewhere != "" {
		return nil, false, nil // the operator's, for all repositories
	}
	list, there, err := r.listed()
	if err != nil {
		return nil, false, err
	}
	for _, path := range list {
		if path != r.GitDir && r.calledBy(path) {
			others = append(others, path)
		}
	}
	return others, len(others) == 0 && (there || !r.outside() || !Ours(r.hook(PostReceive))), nil
}

// calledBy reports whether pushes to the repository at path call these hooks,
// and quire does not pass them over.
func (r Repo) calledBy(path string) bool {
	other, err := Find(path)
	if err != nil || other.HooksDir != r.HooksDir {
		return false
	}
	who, err := runner.Of(other.GitDir)
	return err != nil || !who.Off
}

// share puts the repository on the list, where there is need of one, and with it
// the repository that the directory belongs to.
func (r Repo) share() error {
	list, there, err := r.listed()
	if err != nil {
		return err
	}
	if !there && !r.outside() {
		return nil
	}
	now := slices.Clone(list)
	for _, path := range []string{r.GitDir, filepath.Dir(r.HooksDir)} {
		if !slices.Contains(now, path) && r.calledBy(path) {
			now = append(now, path)
		}
	}
	if !slices.Contains(now, r.GitDir) {
		now = append(now, r.GitDir) // it was off until now
	}
	return r.writeSharers(list, now)
}

// unshare takes the repository off the list.
func (r Repo) unshare() error {
	list, there, err := r.listed()
	if err != nil || !there {
		return err
	}
	return r.writeSharers(list, slices.DeleteFunc(slices.Clone(list), func(path string) bool { return path == r.GitDir }))
}

func (r Repo) writeSharers(before, now []string) error {
	if slices.Equal(before, now) {
		return nil
	}
	if slices.ContainsFunc(now, func(path string) bool { return strings.Contains(path, "\n") }) {
		return fmt.Errorf("list the repositories that share %s: one has a line break in its path", r.HooksDir)
	}
	if err := WriteFile(r.sharersPath(), []byte(strings.Join(now, "\n")+"\n"), 0o644); err != nil {
		return fmt.Errorf("list the repositories that share %s: %w", r.HooksDir, err)
	}
	return nil
}
