package install

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"quire/internal/account"
	"quire/internal/runner"
)

// Registry is a directory with one file for each repository that an installation
// of the programs was asked to serve. It is a note, not a proof: who is in it is
// looked at before anything is concluded. Where root installed the programs,
// everybody may add repositories (the directory is sticky), and what stands in a
// file is somebody's word.
type Registry string

// maxEntry is more than a path may have (PATH_MAX).
const maxEntry = 8 << 10

// RegistryOf is that of the programs whose hooks are in libexec.
func RegistryOf(libexec string) Registry {
	dir, ok := strings.CutSuffix(libexec, "/libexec/quire")
	if !ok {
		return Registry(filepath.Join(libexec, "repositories.d"))
	}
	return Registry(filepath.Join(dir, "share", "quire", "repositories.d"))
}

func (g Registry) file(gitDir string) string {
	sum := sha256.Sum256([]byte(gitDir))
	return filepath.Join(string(g), hex.EncodeToString(sum[:16]))
}

// Make makes the directory, open to all if it is root's.
func (g Registry) Make() error {
	if err := os.MkdirAll(string(g), 0o755); err != nil {
		return fmt.Errorf("make the list of repositories: %w", err)
	}
	mode := fs.FileMode(0o755)
	if os.Geteuid() == 0 {
		mode = 0o777 | fs.ModeSticky
	}
	if err := os.Chmod(string(g), mode); err != nil {
		return fmt.Errorf("make the list of repositories: %w", err)
	}
	return nil
}

// Add notes a repository. The note belongs to the repository's owner, who may
// take it back.
func (g Registry) Add(gitDir string, owner int) error {
	if was, err := readEntry(g.file(gitDir)); err == nil && was == gitDir {
		return nil
	}
	f, err := os.CreateTemp(string(g), ".new-*")
	if errors.Is(err, fs.ErrNotExist) {
		if err = g.Make(); err == nil {
			f, err = os.CreateTemp(string(g), ".new-*")
		}
	}
	if err != nil {
		return fmt.Errorf("note the repository: %w", err)
	}
	_, err = f.WriteString(gitDir + "\n")
	if err == nil {
		err = f.Chmod(0o644)
	}
	if err == nil && os.Geteuid() == 0 && owner != 0 {
		err = f.Chown(owner, -1)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), g.file(gitDir))
	}
	if err != nil {
		os.Remove(f.Name())
		return fmt.Errorf("note the repository: %w", err)
	}
	return nil
}

// Forget takes a repository's note away.
func (g Registry) Forget(gitDir string) error {
	if err := os.Remove(g.file(gitDir)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("forget the repository: %w", err)
	}
	return nil
}

// Note is one repository on the list.
type Note struct {
	Path string
	By   int // whose file the note is
}

// Notes lists the repositories in order. What is no note of a path is passed
// over.
func (g Registry) Notes() ([]Note, error) {
	entries, err := os.ReadDir(string(g))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list repositories: %w", err)
	}
	var notes []Note
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), ".") {
			continue
		}
		file := filepath.Join(string(g), e.Name())
		path, err := readEntry(file)
		if err != nil || g.file(path) != file {
			continue
		}
		if st, err := os.Lstat(file); err == nil {
			notes = append(notes, Note{path, int(st.Sys().(*syscall.Stat_t).Uid)})
		}
	}
	slices.SortFunc(notes, func(a, b Note) int { return strings.Compare(a.Path, b.Path) })
	return notes, nil
}

func readEntry(file string) (string, error) {
	f, err := os.OpenFile(file, os.O_RDONLY|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0)
	if err != nil {
		return "", err
	}
	defer f.Close()
	if st, err := f.Stat(); err != nil || !st.Mode().IsRegular() || st.Size() > maxEntry {
		return "", errors.New("no note of a repository")
	}
	text, err := io.ReadAll(io.LimitReader(f, maxEntry))
	path := strings.TrimSuffix(string(text), "\n")
	if err == nil && !filepath.IsAbs(path) {
		err = errors.New("no note of a repository")
	}
	return path, err
}

// What a look at a noted repository shows.
const (
	StateInstalled = "installed"
	StateOff       = "off"           // uninstalled, and its hook is shared with others
	StateNotOurs   = "not installed" // its pushes call no hook of quire's
	StateGone      = "gone"          // no repository is there
	StateUnknown   = "unknown"       // it cannot be looked at
)

// Looker looks at repositories that anybody can have noted. Whoever notes some
// at which nobody can look in time loses the looks at the rest.
type Looker struct{ late map[int]int }

// maxLate is how many late answers of one user's notes are waited for.
const maxLate = 3

// Look says whether pushes to the noted repository call quire, and who runs it.
func (l *Looker) Look(n Note) (state string, who runner.Runner, err error) {
	if l.late[n.By] >= maxLate {
		return StateUnknown, who, errors.New("not looked at: too many repositories that its user noted gave no answer")
	}
	type answer struct {
		state string
		who   runner.Runner
		err   error
	}
	answers := make(chan answer, 1)
	// A file system that does not answer keeps the look at it, and no other.
	go func() {
		var a answer
		a.state, a.err = look(n.Path)
		if a.state != StateGone && a.err == nil {
			a.who, a.err = runner.Of(n.Path)
		}
		answers <- a
	}()
	timer := time.NewTimer(Patience + 5*time.Second) // git's own, and to end it
	defer timer.Stop()
	a := answer{state: StateUnknown, err: fmt.Errorf("look at %s: %w", n.Path, account.ErrNoAnswer)}
	select {
	case a = <-answers:
	case <-timer.C:
	}
	if errors.Is(a.err, account.ErrNoAnswer) {
		if l.late == nil {
			l.late = map[int]int{}
		}
		l.late[n.By]++
	}
	return a.state, a.who, a.err
}

func look(path string) (state string, err error) {
	if _, err := os.Stat(path); errors.Is(err, fs.ErrNotExist) {
		return StateGone, nil
	}
	repo, err := Find(path)
	switch {
	case err != nil && strings.HasSuffix(err.Error(), "not a git repository"):
		return StateGone, err
	case err != nil: // not for this user to look at, say
		return StateUnknown, err
	case repo.Hooked():
		return StateInstalled, nil
	case Ours(repo.hook(PostReceive)):
		return StateOff, nil
	}
	return StateNotOurs, nil
}
