package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// runGit runs the real git on dir and returns its output without the last newline.
func runGit(t testing.TB, dir string, args ...string) string {
	t.Helper()
	return gitIn(t, dir, "", args...)
}

func gitIn(t testing.TB, dir, stdin string, args ...string) string {
	t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1",
		"GIT_AUTHOR_NAME=Ada Löve", "GIT_AUTHOR_EMAIL=ada@example.org", "GIT_AUTHOR_DATE=1700000000 -0730",
		"GIT_COMMITTER_NAME=Grace", "GIT_COMMITTER_EMAIL=grace@example.org", "GIT_COMMITTER_DATE=1700000100 +0100")
	c.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	if err != nil {
		t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSuffix(string(out), "\n")
}

// fixture is a bare repository with a history that has everything this package
// reads: three commits on main, a side branch, a merge, a lightweight, an
// annotated and a nested tag, a symbolic link, an executable, odd names.
type fixture struct {
	dir                               string
	first, second, merge, side        string
	annotated, nested, treeTag, light string
	oddName, unicode                  string
}

func newFixture(t testing.TB, initArgs ...string) fixture {
	t.Helper()
	base := t.TempDir()
	work := filepath.Join(base, "work")
	runGit(t, base, append([]string{"init", "-q", "-b", "main", work}, initArgs...)...)
	write := func(path, content string) {
		t.Helper()
		full := filepath.Join(work, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(content), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	commit := func(msg string) string {
		runGit(t, work, "add", "-A")
		gitIn(t, work, msg, "commit", "-q", "--cleanup=verbatim", "-F", "-")
		return runGit(t, work, "rev-parse", "HEAD")
	}
	f := fixture{oddName: "dir/new\nline and \"quote\"", unicode: "dir/grün/ß.txt"}
	write(".quire/ci.fnl", "(first)\n")
	write(".quire/lib/b.fnl", "b")
	write(".quire/lib/deep/a.fnl", "a")
	write("dir/file", "x")
	write("becomes", "a file first")
	f.first = commit("first commit\n\nwith a body\n")
	write(".quire/ci.fnl", "(second)\n")
	write(f.oddName, "odd")
	write(f.unicode, "u")
	os.Remove(filepath.Join(work, "becomes"))
	write("becomes/a/directory", "now")
	os.Chmod(filepath.Join(work, "dir/file"), 0o755)
	if err := os.Symlink("/etc/passwd", filepath.Join(work, "link")); err != nil {
		t.Fatal(err)
	}
	f.second = commit("second\n")
	runGit(t, work, "checkout", "-q", "-b", "side", f.first)
	write("side", "s")
	f.side = commit("side")
	runGit(t, work, "checkout", "-q", "main")
	runGit(t, work, "merge", "-q", "--no-ff", "-m", "merge side", "side")
	f.merge = runGit(t, work, "rev-parse", "HEAD")
	runGit(t, work, "tag", "light", f.first)
	runGit(t, work, "tag", "-a", "-m", "one", "annotated", f.second)
	runGit(t, work, "tag", "-a", "-m", "two", "nested", "annotated")
	runGit(t, work, "tag", "-a", "-m", "three", "atree", f.second+"^{tree}")
	f.light = f.first
	f.annotated = runGit(t, work, "rev-parse", "refs/tags/annotated")
	f.nested = runGit(t, work, "rev-parse", "refs/tags/nested")
	f.treeTag = runGit(t, work, "rev-parse", "refs/tags/atree")
	f.dir = filepath.Join(base, "repo.git")
	runGit(t, base, "clone", "-q", "--bare", "--no-local", work, f.dir)
	return f
}

// unpack makes every object of a bare repository a loose one.
func unpack(t testing.TB, dir string) {
	packs, _ := filepath.Glob(filepath.Join(dir, "objects/pack/*.pack"))
	for _, p := range packs {
		data, err := os.ReadFile(p)
		if err != nil {
			t.Fatal(err)
		}
		os.Remove(p)
		os.Remove(strings.TrimSuffix(p, ".pack") + ".idx")
		os.Remove(strings.TrimSuffix(p, ".pack") + ".rev")
		gitIn(t, dir, string(data), "unpack-objects", "-q")
	}
}

// variants are the storages that one history can be in.
var variants = []struct {
	name  string
	init  []string
	shape func(t testing.TB, dir string) string // returns the directory to open
	plain bool                                  // it is read from its files
}{
	{name: "packed", plain: true, shape: func(t testing.TB, dir string) string {
		runGit(t, dir, "gc", "-q", "--aggressive")
		runGit(t, dir, "pack-refs", "--all")
		return dir
	}},
	{name: "loose", plain: true, shape: func(t testing.TB, dir string) string {
		unpack(t, dir)
		refs := runGit(t, dir, "for-each-ref", "--format=update %(refname) %(objectname)")
		os.Remove(filepath.Join(dir, "packed-refs"))
		gitIn(t, dir, refs+"\n", "update-ref", "--stdin")
		return dir
	}},
	{name: "checkout", plain: true, shape: func(t testing.TB, dir string) string {
		return filepath.Join(filepath.Dir(dir), "work", ".git")
	}},
	{name: "sha256", init: []string{"--object-format=sha256"}, shape: func(t testing.TB, dir string) string { return dir }},
	{name: "alternates", shape: func(t testing.TB, dir string) string {
		borrower := filepath.Join(filepath.Dir(dir), "borrower.git")
		runGit(t, dir, "clone", "-q", "--bare", "--shared", dir, borrower)
		return borrower
	}},
	{name: "worktree", shape: func(t testing.TB, dir string) string {
		work := filepath.Join(filepath.Dir(dir), "work")
		runGit(t, work, "checkout", "-q", "--detach")
		runGit(t, work, "worktree", "add", "-q", filepath.Join(filepath.Dir(dir), "linked"), "main")
		return filepath.Join(work, ".git", "worktrees", "linked")
	}},
	{name: "worktreeConfig", shape: func(t testing.TB, dir string) string {
		runGit(t, dir, "config", "core.repositoryFormatVersion", "1")
		runGit(t, dir, "config", "extensions.worktreeConfig", "true")
		return dir
	}},
	{name: "partial clone", shape: func(t testing.TB, dir string) string {
		runGit(t, dir, "config", "uploadpack.allowFilter", "true")
		part := filepath.Join(filepath.Dir(dir), "partial.git")
		runGit(t, dir, "clone", "-q", "--bare", "--filter=blob:limit=1g", "file://"+dir, part)
		return part
	}},
}

// each runs the test over every variant and every way that can read it.
func each(t *testing.T, test func(t *testing.T, r *Repo, f fixture)) {
	for _, v := range variants {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t, v.init...)
			f.dir = v.shape(t, f.dir)
			if _, err := openDirect(context.Background(), f.dir); (err == nil) != v.plain {
				t.Errorf("openDirect: %v, want it to succeed: %v", err, v.plain)
			}
			open := map[string]func(context.Context, string) (source, error){"plumbing": openPlumbing}
			if v.plain {
				open["direct"] = openDirect
			}
			for name, openSource := range open {
				t.Run(name, func(t *testing.T) {
					src, err := openSource(context.Background(), f.dir)
					if err != nil {
						t.Fatal(err)
					}
					r := &Repo{ctx: context.Background(), gitDir: f.dir, src: src, spare: func() (source, error) { return openPlumbing(context.Background(), f.dir) }}
					defer func() {
						if err := r.Close(); err != nil {
							t.Error(err)
						}
					}()
					test(t, r, f)
				})
			}
		})
	}
}

func TestCommit(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		c, err := r.Commit(f.first)
		if err != nil {
			t.Fatal(err)
		}
		if c.OID != f.first || c.Tree != runGit(t, f.dir, "rev-parse", f.first+"^{tree}") || len(c.Parents) != 0 {
			t.Errorf("commit %+v", c)
		}
		if c.Message != "first commit\n\nwith a body\n" || c.Subject() != "first commit" {
			t.Errorf("message %q, subject %q", c.Message, c.Subject())
		}
		if c.Author.Name != "Ada Löve" || c.Author.Email != "ada@example.org" || c.Author.When.Format(time.RFC3339) != "2023-11-14T14:43:20-07:30" {
			t.Errorf("author %+v", c.Author)
		}
		if c.Committer.Name != "Grace" || c.Committer.When.Unix() != 1700000100 {
			t.Errorf("committer %+v", c.Committer)
		}
		if m, err := r.Commit(f.merge); err != nil || !slices.Equal(m.Parents, []string{f.second, f.side}) {
			t.Errorf("merge's parents %v, %v", m.Parents, err)
		}
		for _, tag := range []string{f.annotated, f.nested} {
			if c, err := r.Commit(tag); err != nil || c.OID != f.second {
				t.Errorf("tag peeled to %v, %v; want %v", c.OID, err, f.second)
			}
		}
		if _, err := r.Commit(f.treeTag); err == nil || !strings.Contains(err.Error(), "it is a tree") {
			t.Errorf("a tag of a tree: %v", err)
		}
		absent := strings.Repeat("ab", len(f.first)/2)
		if _, err := r.Commit(absent); !errors.Is(err, ErrNotFound) {
			t.Errorf("an absent commit: %v", err)
		}
		for _, bad := range []string{"", "main", f.first[:10], f.first + "\n" + f.second, "--help", strings.ToUpper(f.first)} {
			if _, err := r.Commit(bad); err == nil || !strings.Contains(err.Error(), "malformed object id") {
				t.Errorf("Commit(%q): %v", bad, err)
			}
		}
		if _, err := r.Commit(f.second); err != nil {
			t.Errorf("reading after errors: %v", err)
		}
	})
}

func TestFile(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		for _, c := range []struct {
			oid, path, want string
			found           bool
		}{
			{f.first, ".quire/ci.fnl", "(first)\n", true},
			{f.annotated, ".quire/ci.fnl", "(second)\n", true},
			{f.second, "/.quire/lib/deep/a.fnl", "a", true},
			{f.second, f.oddName, "odd", true},
			{f.second, f.unicode, "u", true},
			{f.second, "dir/file", "x", true},
			{f.first, "nothing", "", false},
			{f.first, ".quire", "", false},
			{f.first, ".quire/ci.fnl/below", "", false},
			{f.first, "", "", false},
			{f.first, "dir/../becomes", "", false},
		} {
			got, found, err := r.File(c.oid, c.path)
			if err != nil || found != c.found || string(got) != c.want {
				t.Errorf("File(%.8s, %q) = %q, %v, %v; want %q, %v", c.oid, c.path, got, found, err, c.want, c.found)
			}
		}
		if _, found, err := r.File(f.second, "link"); err == nil || found || !strings.Contains(err.Error(), "symbolic link") {
			t.Errorf("a symbolic link: %v, %v", found, err)
		}
	})
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		for _, c := range []struct {
			dir  string
			want []string
		}{
			{".quire/lib", []string{".quire/lib/b.fnl", ".quire/lib/deep/a.fnl"}},
			{".quire/lib/deep/", []string{".quire/lib/deep/a.fnl"}},
			{"nothing", nil},
			{"dir/file", nil},
		} {
			if got, err := r.List(f.second, c.dir); err != nil || !slices.Equal(got, c.want) {
				t.Errorf("List(%q) = %q, %v; want %q", c.dir, got, err, c.want)
			}
		}
		want := strings.Split(strings.TrimSuffix(runGit(t, f.dir, "ls-tree", "-r", "-z", "--name-only", f.second), "\x00"), "\x00")
		want = slices.DeleteFunc(want, func(p string) bool { return p == "link" })
		slices.Sort(want)
		if got, err := r.List(f.second, ""); err != nil || !slices.Equal(got, want) {
			t.Errorf("List of all = %q, %v; want %q", got, err, want)
		}
	})
}

func TestChangedPaths(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		for _, c := range [][2]string{{f.first, f.second}, {f.second, f.first}, {f.second, f.merge}, {f.side, f.merge}, {f.first, f.nested}, {f.merge, f.merge}} {
			var want []string
			if out := runGit(t, f.dir, "diff-tree", "-r", "-z", "--name-only", "--no-renames", c[0]+"^{commit}", c[1]+"^{commit}"); out != "" {
				want = strings.Split(strings.TrimSuffix(out, "\x00"), "\x00")
				slices.Sort(want)
			}
			if got, err := r.ChangedPaths(c[0], c[1]); err != nil || !slices.Equal(got, want) {
				t.Errorf("ChangedPaths(%.8s, %.8s) = %q, %v; want %q", c[0], c[1], got, err, want)
			}
		}
		all := strings.Split(strings.TrimSuffix(runGit(t, f.dir, "ls-tree", "-r", "-z", "--name-only", f.first), "\x00"), "\x00")
		slices.Sort(all)
		for _, none := range []string{"", strings.Repeat("0", len(f.first))} {
			if got, err := r.ChangedPaths(none, f.first); err != nil || !slices.Equal(got, all) {
				t.Errorf("ChangedPaths of a new ref = %q, %v; want %q", got, err, all)
			}
		}
		if _, err := r.ChangedPaths(strings.Repeat("12", len(f.first)/2), f.first); !errors.Is(err, ErrNotFound) {
			t.Errorf("an old commit that is gone: %v", err)
		}
	})
}

func TestRefs(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		var want []Ref
		for line := range strings.Lines(runGit(t, f.dir, "for-each-ref", "--format=%(objectname) %(refname)") + "\n") {
			oid, name, _ := strings.Cut(strings.TrimSpace(line), " ")
			want = append(want, Ref{name, oid})
		}
		got, err := r.Refs("refs/")
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("Refs = %v, %v; want %v", got, err, want)
		}
		tags, err := r.Refs("refs/tags/")
		if err != nil || len(tags) != 4 || tags[0].Name != "refs/tags/annotated" || tags[0].OID != f.annotated {
			t.Errorf("tags = %v, %v", tags, err)
		}
		if oid, found, err := r.ResolveRef("refs/tags/nested"); oid != f.nested || !found || err != nil {
			t.Errorf("nested = %v, %v, %v", oid, found, err)
		}
		if oid, found, err := r.ResolveRef("HEAD"); oid != f.merge || !found || err != nil {
			t.Errorf("HEAD = %v, %v, %v; want %v", oid, found, err, f.merge)
		}
		for _, absent := range []string{"refs/heads/nothing", "refs/heads/main/below", "refs/heads"} {
			if _, found, err := r.ResolveRef(absent); found || err != nil {
				t.Errorf("ResolveRef(%s) = %v, %v", absent, found, err)
			}
		}
		for _, bad := range []string{"main", "", "-n", "refs"} {
			if _, _, err := r.ResolveRef(bad); err == nil {
				t.Errorf("ResolveRef(%q): no error", bad)
			}
		}
		if b, err := r.DefaultBranch(); err != nil || b != "refs/heads/main" {
			t.Errorf("default branch %q, %v", b, err)
		}
	})
}

func TestUnbornAndDetachedHead(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "empty.git")
	runGit(t, t.TempDir(), "init", "-q", "--bare", "-b", "trunk", dir)
	f := newFixture(t)
	runGit(t, f.dir, "update-ref", "--no-deref", "HEAD", f.first)
	for name, open := range map[string]func(context.Context, string) (source, error){"direct": openDirect, "plumbing": openPlumbing} {
		src, err := open(context.Background(), dir)
		if err != nil {
			t.Fatal(err)
		}
		r := &Repo{ctx: context.Background(), gitDir: dir, src: src}
		if b, err := r.DefaultBranch(); b != "refs/heads/trunk" || err != nil {
			t.Errorf("%s: unborn HEAD is %q, %v", name, b, err)
		}
		if _, found, err := r.ResolveRef("HEAD"); found || err != nil {
			t.Errorf("%s: unborn HEAD resolved: %v, %v", name, found, err)
		}
		if refs, err := r.Refs("refs/"); len(refs) != 0 || err != nil {
			t.Errorf("%s: refs of an empty repository: %v, %v", name, refs, err)
		}
		src, err = open(context.Background(), f.dir)
		if err != nil {
			t.Fatal(err)
		}
		r = &Repo{ctx: context.Background(), gitDir: f.dir, src: src}
		if b, err := r.DefaultBranch(); b != "" || err != nil {
			t.Errorf("%s: detached HEAD is %q, %v", name, b, err)
		}
	}
}

func TestIsAncestor(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		for _, c := range []struct {
			a, d string
			want bool
		}{
			{f.first, f.merge, true}, {f.merge, f.first, false}, {f.second, f.side, false},
			{f.side, f.merge, true}, {f.first, f.first, true}, {f.annotated, f.merge, true}, {f.light, f.nested, true},
		} {
			if got, err := r.IsAncestor(c.a, c.d); err != nil || got != c.want {
				t.Errorf("IsAncestor(%.8s, %.8s) = %v, %v; want %v", c.a, c.d, got, err, c.want)
			}
		}
		if _, err := r.IsAncestor(strings.Repeat("cd", len(f.first)/2), f.first); !errors.Is(err, ErrNotFound) {
			t.Errorf("an absent ancestor: %v", err)
		}
	})
}

func TestCreateTag(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		name := fmt.Sprintf("rel/v1-%T", r.src) // the two ways share one repository
		name = strings.NewReplacer("*", "", ".", "-").Replace(name)
		oid, created, err := r.CreateTag(t.Context(), name, f.annotated, hookEnv(t))
		if err != nil || !created || oid != f.second {
			t.Fatalf("a tag on an annotated tag's commit: %v, %v, %v", oid, created, err)
		}
		if got := runGit(t, f.dir, "rev-parse", "refs/tags/"+name); got != f.second {
			t.Errorf("git sees %s", got)
		}
		if oid, created, err = r.CreateTag(t.Context(), name, f.second, hookEnv(t)); err != nil || created || oid != f.second {
			t.Errorf("again: %v, %v, %v", oid, created, err)
		}
		var elsewhere *TagElsewhereError
		if _, _, err = r.CreateTag(t.Context(), name, f.first, hookEnv(t)); !errors.As(err, &elsewhere) || elsewhere.Have != f.second {
			t.Errorf("elsewhere: %v", err)
		}
		if _, _, err = r.CreateTag(t.Context(), name+"/below", f.first, hookEnv(t)); err == nil {
			t.Error("a tag below a tag was made")
		}
		if _, _, err := r.CreateTag(t.Context(), name+"-tree", f.treeTag, hookEnv(t)); err == nil {
			t.Error("a tree was tagged as a commit")
		}
		for _, bad := range []string{"-x", "../../heads/main", "refs/heads/main", "a b", "a\nb", "a\x00b", "x.lock", "", "HEAD", "a..b"} {
			if _, _, err := r.CreateTag(t.Context(), bad, f.first, hookEnv(t)); err == nil {
				t.Errorf("%q was made", bad)
			}
		}
		runGit(t, f.dir, "fsck", "--strict", "--no-dangling")
	})
}

func hookEnv(t *testing.T, more ...string) []string {
	return append(more, "PATH="+os.Getenv("PATH"), "HOME="+t.TempDir(), "GIT_CONFIG_NOSYSTEM=1")
}

// The repository's own hooks say what may be there, and their words come back.
func TestCreateTagUnderTheRepositorysRules(t *testing.T) {
	f := newFixture(t)
	for _, open := range []func(context.Context, string) (source, error){openDirect, openPlumbing} {
		src, err := open(context.Background(), f.dir)
		if err != nil {
			t.Fatal(err)
		}
		r := &Repo{ctx: context.Background(), gitDir: f.dir, src: src}
		defer r.Close()
		for _, hook := range []string{"pre-receive", "update", "reference-transaction"} {
			path := filepath.Join(f.dir, "hooks", hook)
			script := "#!/bin/sh\necho \"$WHO may not tag \033[31mthat\" >&2\nexit 1\n"
			if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
				t.Fatal(err)
			}
			var refused *TagRefusedError
			_, created, err := r.CreateTag(t.Context(), "v7", f.second, hookEnv(t, "WHO=mallory"))
			if created || !errors.As(err, &refused) || !strings.Contains(refused.Said, "mallory may not tag") || strings.Contains(refused.Said, "\033") {
				t.Errorf("%s: %v, %v", hook, created, err)
			}
			if _, found, err := r.ResolveRef("refs/tags/v7"); err != nil || found {
				t.Errorf("%s: the tag is there, %v", hook, err)
			}
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
	}
	runGit(t, f.dir, "config", "transfer.hideRefs", "refs/tags")
	r, err := Open(context.Background(), f.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	var refused *TagRefusedError
	if _, _, err := r.CreateTag(t.Context(), "v8", f.second, hookEnv(t)); !errors.As(err, &refused) || !strings.Contains(refused.Said, "hidden") {
		t.Errorf("%v", err)
	}
}

// A hook that does not end is ended with the run.
func TestCreateTagEndsWithItsContext(t *testing.T) {
	f := newFixture(t)
	r, err := Open(context.Background(), f.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	at := filepath.Join(t.TempDir(), "at")
	if err := syscall.Mkfifo(at, 0o600); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(f.dir, "hooks", "update")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte("#!/bin/sh\necho here >"+at+"\nsleep 1000\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { _, _, err := r.CreateTag(ctx, "v7", f.second, hookEnv(t)); ended <- err }()
	if _, err := os.ReadFile(at); err != nil { // until the hook is at work
		t.Fatal(err)
	}
	if _, err := r.Commit(f.second); err != nil { // nobody waits for the hook
		t.Error(err)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
	if _, found, err := r.ResolveRef("refs/tags/v7"); err != nil || found {
		t.Errorf("the tag is there, %v", err)
	}
}

// Writers that meet at one tag all see it made, on the same commit, and git
// finds no broken ref.
func TestCreateTagAtOnce(t *testing.T) {
	f := newFixture(t)
	var wg sync.WaitGroup
	made := make([]bool, 12)
	errs := make([]error, len(made))
	env := hookEnv(t)
	for i := range made {
		wg.Go(func() {
			r, err := Open(context.Background(), f.dir)
			if err != nil {
				errs[i] = err
				return
			}
			defer r.Close()
			for {
				_, made[i], errs[i] = r.CreateTag(t.Context(), "v9", f.second, env)
				if errs[i] == nil || !strings.Contains(errs[i].Error(), "lock") {
					return
				}
			}
		})
	}
	wg.Wait()
	n := 0
	for i := range made {
		if errs[i] != nil {
			t.Error(errs[i])
		}
		if made[i] {
			n++
		}
	}
	if n != 1 {
		t.Errorf("%d made the tag, want 1", n)
	}
	if got := runGit(t, f.dir, "rev-parse", "refs/tags/v9"); got != f.second {
		t.Errorf("tag on %s", got)
	}
	if locks, _ := filepath.Glob(filepath.Join(f.dir, "refs/tags/*.lock")); len(locks) != 0 {
		t.Errorf("left behind: %v", locks)
	}
}

func TestOpenRefusesWhatIsNoRepository(t *testing.T) {
	empty := t.TempDir()
	if _, err := Open(context.Background(), empty); err == nil || !strings.Contains(err.Error(), "no HEAD") {
		t.Errorf("an empty directory: %v", err)
	}
	if _, err := Open(context.Background(), filepath.Join(empty, "nothing")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing directory: %v", err)
	}
}

// A repack while the repository is open moves every object to another pack:
// what Open returns goes on reading.
func TestRepackUnderneath(t *testing.T) {
	f := newFixture(t)
	r, err := Open(context.Background(), f.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, ok := r.src.(*direct); !ok {
		t.Fatalf("opened as %T", r.src)
	}
	if _, err := r.Commit(f.first); err != nil {
		t.Fatal(err)
	}
	unpack(t, f.dir)
	if got, found, err := r.File(f.second, ".quire/ci.fnl"); err != nil || !found || string(got) != "(second)\n" {
		t.Errorf("after unpacking: %q, %v, %v", got, found, err)
	}
	runGit(t, f.dir, "repack", "-adq")
	if _, err := r.Commit(f.merge); err != nil {
		t.Errorf("after repacking: %v", err)
	}
}

// An object that arrives after Open is found, whichever way is in use.
func TestObjectsArriveLater(t *testing.T) {
	f := newFixture(t)
	r, err := Open(context.Background(), f.dir)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := r.Commit(f.first); err != nil {
		t.Fatal(err)
	}
	late := gitIn(t, f.dir, "late\n", "commit-tree", "-p", f.merge, f.merge+"^{tree}")
	if c, err := r.Commit(late); err != nil || c.Subject() != "late" {
		t.Errorf("%+v, %v", c, err)
	}
}

func TestCorruptObjects(t *testing.T) {
	for _, storage := range []string{"loose", "packed"} {
		for _, damage := range []string{"cut", "flip", "empty"} {
			t.Run(storage+" "+damage, func(t *testing.T) {
				f := newFixture(t)
				victim, _ := filepath.Glob(filepath.Join(f.dir, "objects/pack/*.pack"))
				if storage == "loose" {
					unpack(t, f.dir)
					blob := runGit(t, f.dir, "rev-parse", f.first+":.quire/ci.fnl")
					victim = []string{filepath.Join(f.dir, "objects", blob[:2], blob[2:])}
				}
				spoil(t, victim[0], damage)
				for name, open := range map[string]func() (*Repo, error){
					"as chosen": func() (*Repo, error) { return Open(context.Background(), f.dir) },
					"plumbing": func() (*Repo, error) {
						src, err := openPlumbing(context.Background(), f.dir)
						return &Repo{ctx: context.Background(), gitDir: f.dir, src: src}, err
					},
					"direct": func() (*Repo, error) {
						src, err := openDirect(context.Background(), f.dir)
						return &Repo{ctx: context.Background(), gitDir: f.dir, src: src}, err
					},
				} {
					r, err := open()
					if err != nil {
						continue // refused to open it: fine
					}
					got, found, err := r.File(f.first, ".quire/ci.fnl")
					if err == nil && string(got) != "(first)\n" {
						t.Errorf("%s: read %q, %v from a corrupt repository without an error", name, got, found)
					}
					if storage == "loose" && err == nil {
						t.Errorf("%s: no error", name)
					}
					if err != nil && (strings.Contains(err.Error(), "\n") || len(err.Error()) > 400) {
						t.Errorf("%s: not one short line: %v", name, err)
					}
					r.Close()
				}
			})
		}
	}
}

func spoil(t *testing.T, path, damage string) {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	switch damage {
	case "cut":
		data = data[:len(data)/2]
	case "flip":
		for i := 12; i < len(data); i += 7 {
			data[i] ^= 0x55
		}
	case "empty":
		data = nil
	}
	os.Chmod(path, 0o644)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestLargeFileIsAnError(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		blob := gitIn(t, f.dir, strings.Repeat("0123456789abcdef", MaxFile/16)+"!", "hash-object", "-w", "--stdin")
		tree := gitIn(t, f.dir, "100644 blob "+blob+"\tbig\n", "mktree")
		c := gitIn(t, f.dir, "big\n", "commit-tree", tree)
		if _, _, err := r.File(c, "big"); err == nil || !strings.Contains(err.Error(), "bytes") {
			t.Errorf("a file above the limit: %v", err)
		}
		if _, err := r.Commit(f.first); err != nil {
			t.Errorf("reading on: %v", err)
		}
	})
}

func TestManyReaders(t *testing.T) {
	each(t, func(t *testing.T, r *Repo, f fixture) {
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for range 10 {
					want, oid := "(first)\n", f.first
					if i%2 == 1 {
						want, oid = "(second)\n", f.second
					}
					if got, _, err := r.File(oid, ".quire/ci.fnl"); err != nil || string(got) != want {
						t.Errorf("%q, %v", got, err)
					}
				}
			})
		}
		wg.Wait()
	})
}

// CheckTagName agrees with git's own judgement, and is at most stricter where
// its comment says so.
func TestCheckTagName(t *testing.T) {
	for _, name := range []string{
		"v1", "v1.0", "release/2024", "grün", "a@b", "x{y", "%", "'", "\"", "a b", "a..b", "a.lock", "a/.b", ".a", "a.", "/a", "a/", "a//b",
		"a~1", "a^", "a:b", "a?", "a*", "a[", "a\\b", "@", "@{", "a@{1}", "", "-a", "a\x01", "a\x7f", "HEAD", "a.lock/b", "refs/tags/x", "\xff",
	} {
		gitSays := exec.Command("git", "check-ref-format", "refs/tags/"+name).Run() == nil
		if name == "-a" || name == "HEAD" || name == "@" {
			gitSays = false
		}
		if ours := CheckTagName(name) == nil; ours != gitSays {
			t.Errorf("CheckTagName(%q) = %v, git says %v", name, CheckTagName(name), gitSays)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte("tree 4b825dc642cb6eb9a060e54bf8d69288fbee4904\nauthor A <a@b> 1 +0000\n\nmsg"))
	f.Add([]byte("100644 name\x00aaaaaaaaaaaaaaaaaaaa"))
	f.Add([]byte("object 4b825dc642cb6eb9a060e54bf8d69288fbee4904\ntype tree\n\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		if c, err := parseCommit("x", data); err == nil && checkOID(c.Tree) != nil {
			t.Errorf("accepted the tree %q", c.Tree)
		}
		if oid, err := tagged(data); err == nil && checkOID(oid) != nil {
			t.Errorf("accepted the object %q", oid)
		}
		rows, err := parseTree(data, 20)
		for _, e := range rows {
			if err == nil && (e.name == "" || checkOID(e.oid) != nil) {
				t.Errorf("accepted the entry %+v", e)
			}
		}
		parseSignature(string(data))
	})
}
