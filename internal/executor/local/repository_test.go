package local_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"quire/internal/executor"
	"quire/internal/executor/local"

	"golang.org/x/sys/unix"
)

func git(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.Command("git", args...)
	cmd.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// assemble puts the view of a repository together as the mounts do.
func assemble(t *testing.T, gitDir string) string {
	t.Helper()
	view := filepath.Join(t.TempDir(), "view")
	r, err := local.ShowRepository(t.Context(), executor.Spec{GitDir: gitDir}, view)
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range r.Binds()[1:] {
		dir := filepath.Join(view, strings.TrimPrefix(b.Target, gitDir))
		if err := os.Remove(dir); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(b.Source, dir); err != nil {
			t.Fatal(err)
		}
	}
	return view
}

func TestGitReadsWhatIsShownOfARepository(t *testing.T) {
	for _, format := range []string{"sha1", "sha256"} {
		gitDir := filepath.Join(t.TempDir(), "r.git")
		git(t, "init", "-q", "--bare", "--object-format="+format, "-b", "main", gitDir)
		g := "--git-dir=" + gitDir
		tree := git(t, g, "hash-object", "-t", "tree", "-w", "/dev/null")
		commit := git(t, g, "commit-tree", "-m", "first", tree)
		git(t, g, "update-ref", "refs/heads/main", commit)
		git(t, g, "update-ref", "refs/tags/packed", commit)
		git(t, g, "pack-refs", "--all")
		git(t, g, "update-ref", "refs/heads/loose", commit)
		git(t, g, "config", "remote.up.url", "https://u:SECRET@forge/x")
		git(t, g, "config", "core.sshCommand", "/SECRET")
		git(t, g, "config", "extensions.worktreeConfig", "true")
		git(t, g, "config", "--worktree", "core.fsmonitor", "/SECRET")

		view := assemble(t, gitDir)
		v := "--git-dir=" + view
		if got, want := git(t, v, "for-each-ref"), git(t, g, "for-each-ref"); got != want {
			t.Errorf("%s: refs: %q, want %q", format, got, want)
		}
		if got := git(t, v, "log", "--format=%H %s", "HEAD"); got != commit+" first" {
			t.Errorf("%s: log: %q", format, got)
		}
		git(t, v, "fsck", "--strict")
		if got := git(t, v, "rev-parse", "--is-bare-repository", "--show-object-format"); got != "true\n"+format {
			t.Errorf("%s: it is %q", format, got)
		}
		clone := filepath.Join(t.TempDir(), "clone")
		git(t, "clone", "-q", "--no-local", view, clone)
		if got := git(t, "-C", clone, "rev-parse", "HEAD", "origin/loose", "packed"); got != strings.Join([]string{commit, commit, commit}, "\n") {
			t.Errorf("%s: the clone: %q", format, got)
		}
		config, err := os.ReadFile(filepath.Join(view, "config"))
		if err != nil || strings.Contains(string(config), "SECRET") || strings.Contains(strings.ToLower(string(config)), "worktree") {
			t.Errorf("%s: %v\n%s", format, err, config)
		}
	}
}

// Of extensions that this git does not know the view says the same: a git of a later
// version reads it, and this one refuses it as it does the repository.
func TestOnlyTheFormatOfARepositoryIsShown(t *testing.T) {
	gitDir := t.TempDir()
	write := func(config string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(gitDir, "config"), []byte(config), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	secret := filepath.Join(t.TempDir(), "more")
	if err := os.WriteFile(secret, []byte("[extensions]\n\tincluded = SECRET\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	head := "[core]\n\trepositoryFormatVersion = "
	for config, want := range map[string]string{
		"":                         head + "0\n\tbare = true\n",
		"[core]\n\tbare = false\n": head + "0\n\tbare = true\n",
		"[core]\n\trepositoryformatversion = 1\n[Extensions]\n\trefStorage = reftable\n\tnew-Thing = a\n[extensions]\n\tworktreeConfig = true\n": head +
			"1\n\tbare = true\n[extensions]\n\trefstorage = reftable\n\tnew-thing = a\n",
		"[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = \"a\\nb\"\n\tpartialClone = https://u:SECRET@forge\n\tnoop\n[extensions \"SECRET\"]\n\ta = SECRET\n" +
			"[include]\n\tpath = " + secret + "\n": head + "1\n\tbare = true\n[extensions]\n",
	} {
		write(config)
		view := filepath.Join(t.TempDir(), "view")
		if _, err := local.ShowRepository(t.Context(), executor.Spec{GitDir: gitDir}, view); err != nil {
			t.Errorf("%q: %v", config, err)
			continue
		}
		if got, err := os.ReadFile(filepath.Join(view, "config")); err != nil || string(got) != want {
			t.Errorf("%q is shown as\n%s%v, want\n%s", config, got, err, want)
		}
	}
	for config, says := range map[string]string{
		"[extensions\n": "config", strings.Repeat("#", 1<<20+1): "larger",
	} {
		write(config)
		if _, err := local.ShowRepository(t.Context(), executor.Spec{GitDir: gitDir}, filepath.Join(t.TempDir(), "view")); err == nil || !strings.Contains(err.Error(), says) || !strings.Contains(err.Error(), gitDir) {
			t.Errorf("%.20q: %v", config, err)
		}
	}
}

// The owner of a repository need not be quire's user, who reads more.
func TestOddFilesOfARepository(t *testing.T) {
	gitDir, outside := t.TempDir(), t.TempDir()
	if err := os.Symlink(outside, filepath.Join(gitDir, "objects")); err != nil {
		t.Fatal(err)
	}
	if err := os.Mkdir(filepath.Join(gitDir, "refs"), 0o755); err != nil {
		t.Fatal(err)
	}
	r, err := local.ShowRepository(t.Context(), executor.Spec{GitDir: gitDir}, filepath.Join(t.TempDir(), "view"))
	if err != nil {
		t.Fatal(err)
	}
	for _, b := range r.Binds() {
		if strings.HasPrefix(b.Source, outside) || strings.HasSuffix(b.Source, "objects") {
			t.Errorf("shown: %v", b)
		}
	}
	for _, name := range []string{"HEAD", "packed-refs", "shallow", "config"} {
		path := filepath.Join(gitDir, name)
		if err := unix.Mkfifo(path, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := local.ShowRepository(t.Context(), executor.Spec{GitDir: gitDir}, filepath.Join(t.TempDir(), "view")); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("a pipe as %s: %v", name, err)
		}
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
	if r, err := local.ShowRepository(t.Context(), executor.Spec{GitDir: filepath.Join(gitDir, "none")}, filepath.Join(t.TempDir(), "view")); r != nil || err != nil {
		t.Errorf("no repository: %v, %v", r, err)
	}
}

func TestAlternatesAreObjectDirectories(t *testing.T) {
	top := t.TempDir()
	dir := func(path string) string {
		t.Helper()
		path = filepath.Join(top, path)
		if err := os.MkdirAll(path, 0o755); err != nil {
			t.Fatal(err)
		}
		return path
	}
	own := dir("r.git/objects/info")
	other, third := filepath.Dir(dir("other.git/objects/pack")), filepath.Dir(dir("third.git/objects/pack"))
	dir("other.git/objects/info")
	home, empty := dir("home/.ssh"), dir("empty/objects")
	linked := filepath.Join(top, "linked")
	for to, at := range map[string]string{third: linked, home: filepath.Join(dir("x"), "objects")} {
		if err := os.Symlink(to, at); err != nil {
			t.Fatal(err)
		}
	}
	// Two lead to the third, and one back.
	lines := strings.Join([]string{other, home, empty, filepath.Join(top, "x", "objects"), linked, "/", top + "/none/objects"}, "\n") + "\n"
	for file, text := range map[string]string{filepath.Join(own, "alternates"): lines, filepath.Join(other, "info", "alternates"): third + "\n" + other + "\n"} {
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := local.Alternates(t.Context(), filepath.Join(top, "r.git"))
	if err != nil {
		t.Fatal(err)
	}
	want := []local.Bind{{other, other}, {third, third}, {third, linked}}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

// Whoever owns a repository decides what its lists of alternates are.
func TestListsOfAlternatesHaveBounds(t *testing.T) {
	top := t.TempDir()
	list := filepath.Join(top, "r.git", "objects", "info", "alternates")
	if err := os.MkdirAll(filepath.Dir(list), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := unix.Mkfifo(list, 0o644); err != nil { // nobody writes to it
		t.Fatal(err)
	}
	if got, err := local.Alternates(t.Context(), filepath.Join(top, "r.git")); got != nil || err != nil {
		t.Errorf("a named pipe: %v, %v", got, err)
	}
	// Ten lines that lead back make a hundred thousand directories.
	for text, want := range map[string]string{
		strings.Repeat("../objects\n", 10): "borrows from more than",
		strings.Repeat("\n", 1<<20):        "is larger than",
	} {
		if err := errors.Join(os.Remove(list), os.WriteFile(list, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
		if got, err := local.Alternates(t.Context(), filepath.Join(top, "r.git")); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, %v; want %q", got, err, want)
		}
	}
}
