package supervise

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"quire/internal/executor"
	"quire/internal/gitrepo"
)

// checkoutMemory is how much data the git that fills a workspace may have, in
// bytes, if the run has no limit of memory. It needs some 200 for each file, and a
// large file twice over.
const checkoutMemory = 2 << 30

// makeWorkspace makes a clone of one commit at dir: a working .git whose
// objects are borrowed from the bare repository (objects/info/alternates, see
// gitrepository-layout(5)), the tags, the branches as origin's, HEAD detached
// at the commit, and its files.
//
// What the commit's tree would become is counted first. The git that fills the
// work tree then runs where the commands of the run do, within their limits.
//
// `git clone --shared` does the same and takes three processes and a walk over
// all refs; here the few files are written, and one git fills the work tree. So
// the time does not depend on how much the repository holds.
func makeWorkspace(ctx context.Context, ground executor.Ground, repo *gitrepo.Repo, commit string, bounds gitrepo.ExtentBounds, dir string) error {
	if _, err := repo.Extent(commit, bounds); err != nil {
		return fmt.Errorf("make the workspace: %w", err)
	}
	git := filepath.Join(dir, ".git")
	for _, d := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags", "info"} {
		if err := os.MkdirAll(filepath.Join(git, d), 0o755); err != nil {
			return fmt.Errorf("make the workspace: %w", err)
		}
	}
	files := map[string][]byte{
		"HEAD":                    []byte(commit + "\n"),
		"config":                  gitConfig(repo.GitDir(), len(commit)),
		"objects/info/alternates": []byte(alternate(filepath.Join(repo.GitDir(), "objects")) + "\n"),
	}
	for name, data := range files {
		if err := os.WriteFile(filepath.Join(git, name), data, 0o644); err != nil {
			return fmt.Errorf("make the workspace: %w", err)
		}
	}
	// A shallow repository's missing parents are missing here too.
	if err := copyIfThere(filepath.Join(repo.GitDir(), "shallow"), filepath.Join(git, "shallow")); err != nil {
		return fmt.Errorf("make the workspace: %w", err)
	}
	var refsErr error
	var writing sync.WaitGroup
	writing.Go(func() { refsErr = writeRefs(repo, git) }) // while git writes the files, for which it needs none
	var said lastWords
	exit, err := ground.Own(ctx, executor.Command{
		Argv: []string{"git", "read-tree", "--reset", "-u", "HEAD"}, Env: plainGitEnv(), Dir: dir,
	}, checkoutMemory, &said)
	writing.Wait()
	switch {
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case err != nil:
		return fmt.Errorf("make the workspace: %w", err)
	case exit.Limit != "":
		return fmt.Errorf("make the workspace: git met the limit of %s ([limits] %s)", exit.Limit, exit.Limit)
	case exit.Code != 0:
		return fmt.Errorf("make the workspace: git read-tree: exit status %d: %s", exit.Code, said.text())
	case refsErr != nil:
		return fmt.Errorf("make the workspace: %w", refsErr)
	}
	return nil
}

// lastWords keeps the end of what is written to it: git's reason stands there.
type lastWords struct{ kept []byte }

func (l *lastWords) Write(p []byte) (int, error) {
	const most = 2 << 10
	l.kept = append(l.kept, p[max(0, len(p)-most):]...)
	l.kept = l.kept[max(0, len(l.kept)-most):]
	return len(p), nil
}

func (l *lastWords) text() string { return string(bytes.TrimSpace(l.kept)) }

func copyIfThere(from, to string) error {
	in, err := os.Open(from)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer in.Close()
	out, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	_, err = io.Copy(out, in)
	return errors.Join(err, out.Close())
}

// writeRefs makes packed-refs appear whole: git looks into it for refs that
// replace objects. It lists the tags under their own names and the branches under
// refs/remotes/origin, in sorted order, however many there are.
func writeRefs(repo *gitrepo.Repo, git string) error {
	aside := filepath.Join(git, "packed-refs.new")
	f, err := os.OpenFile(aside, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o644)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(f)
	out.WriteString("# pack-refs with: sorted \n") // what goes wrong, Flush says
	for _, kind := range []struct{ from, to string }{{"refs/heads/", "refs/remotes/origin/"}, {"refs/tags/", "refs/tags/"}} {
		each := repo.EachRef(kind.from, func(r gitrepo.Ref) error {
			_, err := fmt.Fprintf(out, "%s %s%s\n", r.OID, kind.to, strings.TrimPrefix(r.Name, kind.from))
			return err
		})
		if _, readable := gitrepo.Broken(each); !readable { // one that cannot be read is not this run's business
			err = errors.Join(err, each)
		}
	}
	if err = errors.Join(err, out.Flush(), f.Close()); err != nil {
		return err
	}
	return os.Rename(aside, filepath.Join(git, "packed-refs"))
}

// plainGitEnv is the environment of a git of our own: no configuration but the
// repository's, nor the system's attributes, so that nobody's filters or hooks run with our rights.
func plainGitEnv() []string {
	return []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1", "GIT_ATTR_NOSYSTEM=1",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null",
		"HOME=/dev/null", "XDG_CONFIG_HOME=/dev/null", // git before 2.32 knows no GIT_CONFIG_GLOBAL
	}
}

func gitConfig(gitDir string, oidLen int) []byte {
	version, extension := 0, ""
	if oidLen == 64 {
		version, extension = 1, "[extensions]\n\tobjectFormat = sha256\n"
	}
	// Garbage collection would copy every borrowed object that is referenced.
	return fmt.Appendf(nil, "[core]\n\trepositoryFormatVersion = %d\n\tfileMode = true\n\tbare = false\n%s"+
		"[gc]\n\tauto = 0\n[advice]\n\tdetachedHead = false\n"+
		"[remote \"origin\"]\n\turl = %s\n\tpushUrl = \"(a job does not push to the repository it runs for)\"\n"+
		"\tfetch = +refs/heads/*:refs/remotes/origin/*\n", version, extension, quoteConfig(gitDir))
}

// quoteConfig writes a value as git-config(1) reads it back.
func quoteConfig(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\t", `\t`).Replace(s) + `"`
}

// alternate writes a path as objects/info/alternates has it: a line, or, if it
// would not be one, a C string.
func alternate(path string) string {
	if strings.ContainsAny(path, "\n\r") {
		return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(path) + `"`
	}
	return path
}
