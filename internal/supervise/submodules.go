package supervise

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/executor"
	"quire/internal/gitrepo"
	"quire/internal/wall"
)

// Submodules whose url is relative ("../lib.git") and leads to another repository
// of this machine. git in a job cannot fetch it: it refuses the file transport in
// submodules, and a sandbox does not show the repository. So the commit, and
// nothing else of the repository, is copied into the workspace with the checkout,
// and `git submodule update --init` finds it there.
//
// .gitmodules is a pusher's: what it names is copied only from a repository that
// the operator's configuration allows and that the same user owns.

const (
	mostSubmodules     = 100 // of a run
	mostSubmoduleDepth = 5   // of submodules in submodules
)

// submodule is an entry of .gitmodules.
type submodule struct{ name, path, url string }

// submodules fills those of one run.
type submodules struct {
	ground executor.Ground
	allow  func(from, to string) bool // whether one repository may be read for another
	warn   func(text string)
	left   gitrepo.ExtentBounds // of the run's
	seen   int
}

// fill copies the submodules of a commit that is checked out at dir.
func (s *submodules) fill(ctx context.Context, repo *gitrepo.Repo, commit, dir string, depth int) error {
	text, found, err := repo.File(commit, ".gitmodules")
	if err != nil || !found {
		if err != nil {
			s.warn(fmt.Sprintf("submodules are not fetched: %v", err))
		}
		return nil
	}
	list, err := parseModules(ctx, text)
	if err != nil {
		s.warn(fmt.Sprintf("submodules are not fetched: .gitmodules: %v", err))
		return nil
	}
	for _, m := range list {
		if !strings.HasPrefix(m.url, "./") && !strings.HasPrefix(m.url, "../") {
			continue // over the network, and the job's affair
		}
		if s.seen++; s.seen > mostSubmodules || depth > mostSubmoduleDepth {
			s.warn(fmt.Sprintf("submodules after %q are not fetched: a run may have %d, in each other to a depth of %d", m.name, mostSubmodules, mostSubmoduleDepth))
			return nil
		}
		why, err := s.one(ctx, repo, commit, dir, m, depth)
		if err != nil {
			return fmt.Errorf("submodule %q: %w", m.name, err)
		}
		if why != "" {
			s.warn(fmt.Sprintf("submodule %q (%q) is not fetched: %s", m.name, m.url, why))
		}
	}
	return nil
}

var gitlink = regexp.MustCompile(`^160000 ([0-9a-f]{40}|[0-9a-f]{64})$`)

// one copies a submodule, or says why not. An error ends the run.
func (s *submodules) one(ctx context.Context, repo *gitrepo.Repo, commit, dir string, m submodule, depth int) (why string, err error) {
	what, err := repo.Identity(commit, m.path)
	if err != nil {
		return err.Error(), nil
	}
	link := gitlink.FindStringSubmatch(what)
	if link == nil {
		return "the commit has none at " + fmt.Sprintf("%q", m.path), nil
	}
	from, why := s.source(repo.GitDir(), m.url)
	if why != "" {
		return why, nil
	}
	other, err := gitrepo.Open(ctx, from)
	if err != nil {
		return err.Error(), nil
	}
	defer other.Close()
	size, err := other.Extent(link[1], s.left)
	var large *gitrepo.TooLargeError
	switch {
	case errors.As(err, &large):
		return "", err
	case errors.Is(err, gitrepo.ErrNotFound):
		return fmt.Sprintf("%s has no commit %.12s: push it there, then `quire retry` this run", from, link[1]), nil
	case err != nil:
		return err.Error(), nil
	}
	s.left.Entries, s.left.Bytes = rest(s.left.Entries, size.Entries), rest(s.left.Bytes, size.Bytes)
	at, err := emptyDirectory(dir, m.path)
	if err != nil {
		return err.Error(), nil
	}
	if why, err := s.copy(ctx, from, link[1], at); why != "" || err != nil {
		return why, err
	}
	return "", s.fill(ctx, other, link[1], at, depth+1)
}

// rest is what is left of a bound, of which 0 is none.
func rest(bound, used int64) int64 {
	if bound == 0 {
		return 0
	}
	return max(1, bound-used)
}

// source is the repository that a relative url means, as git resolves it against the
// repository's own path; looked up once, with what links lead to.
func (s *submodules) source(gitDir, url string) (from, why string) {
	own, err := filepath.EvalSymlinks(gitDir)
	if err != nil {
		return "", err.Error()
	}
	path := filepath.Join(own, url)
	if path == own || strings.HasPrefix(path, own+"/") {
		return "", "the url does not lead out of the repository that it is in"
	}
	not := "the operator's configuration does not allow it: [submodules] allow = [\"" + event.RepoName(path) + "\"]"
	for _, path := range []string{path, path + ".git"} {
		if from, err = filepath.EvalSymlinks(path); err == nil {
			break
		}
	}
	switch {
	case err != nil && s.allow(own, path): // of others it is not told whether they exist
		return "", "there is no such repository on this machine"
	case err != nil || !s.allow(own, from):
		return "", not
	case !sameOwner(own, from):
		return "", "it belongs to another user"
	}
	return from, ""
}

// emptyDirectory is the directory that git's checkout has made for a submodule. No
// job has run yet; but the tree is a pusher's, and links in it lead anywhere.
func emptyDirectory(root, path string) (string, error) {
	at := root
	for name := range strings.SplitSeq(path, "/") {
		at = filepath.Join(at, name)
		info, err := os.Lstat(at)
		if err != nil {
			return "", err
		}
		if name == "" || name == "." || name == ".." || strings.EqualFold(name, ".git") || !info.IsDir() {
			return "", fmt.Errorf("%q is no directory of the checkout", path)
		}
	}
	list, err := os.ReadDir(at)
	if err == nil && len(list) > 0 {
		err = fmt.Errorf("%q is not empty", path)
	}
	return at, err
}

// copy has git bring one commit, without its history, and check it out.
func (s *submodules) copy(ctx context.Context, from, oid, dir string) (why string, err error) {
	git := filepath.Join(dir, ".git")
	for _, d := range []string{"objects/info", "objects/pack", "refs/heads", "refs/tags", "info"} {
		if err := os.MkdirAll(filepath.Join(git, d), 0o755); err != nil {
			return "", err
		}
	}
	for name, data := range map[string][]byte{"HEAD": []byte(oid + "\n"), "config": gitConfig(from, len(oid))} {
		if err := os.WriteFile(filepath.Join(git, name), data, 0o644); err != nil {
			return "", err
		}
	}
	// Whose repository it may be is decided, and git would ask again who runs it. Its
	// configuration is its owner's: no program that it names is run, and what a partial
	// clone lacks is fetched from nowhere. A shell reads this (git-fetch(1), --upload-pack).
	serve := "GIT_ALLOW_PROTOCOL=none GIT_NO_LAZY_FETCH=1 git -c core.hooksPath=/dev/null -c core.fsmonitor=false" +
		" -c core.alternateRefsCommand=true -c safe.directory='" + strings.ReplaceAll(from, "'", `'\''`) + "' upload-pack"
	steps := [][]string{
		{"git", "-c", "protocol.file.allow=always", "-c", "protocol.version=2", "-c", "core.hooksPath=/dev/null", "fetch", "--quiet",
			"--depth=1", "--no-tags", "--no-recurse-submodules", "--no-write-fetch-head", "--upload-pack", serve, from, oid},
		{"git", "read-tree", "--reset", "-u", "HEAD"},
	}
	for _, argv := range steps {
		var said lastWords
		exit, err := s.ground.Own(ctx, executor.Command{Argv: argv, Env: plainGitEnv(), Dir: dir}, checkoutMemory, &said)
		switch {
		case ctx.Err() != nil:
			return "", context.Cause(ctx)
		case err != nil:
			return "", err
		case exit.Limit != "":
			return "", fmt.Errorf("git met the limit of %s ([limits] %s)", exit.Limit, exit.Limit)
		case exit.Code != 0:
			if err := os.RemoveAll(git); err != nil { // else git takes it for one that is there
				return "", err
			}
			return fmt.Sprintf("git: exit status %d: %s", exit.Code, said.text()), nil
		}
	}
	return "", nil
}

// parseModules has git read .gitmodules, which is of its configuration's format.
func parseModules(ctx context.Context, text []byte) ([]submodule, error) {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, "git", "config", "--file", "-", "--no-includes", "--null", "--list")
	cmd.Dir, cmd.Env, cmd.Stdin = "/", append(plainGitEnv(), "GIT_DIR=/dev/null"), bytes.NewReader(text)
	out, err := cmd.Output()
	if err != nil {
		var ee *exec.ExitError
		if errors.As(err, &ee) {
			err = errors.New(strings.TrimSpace(string(ee.Stderr)))
		}
		return nil, err
	}
	var all []submodule
	for entry := range strings.SplitSeq(string(out), "\x00") {
		key, value, _ := strings.Cut(entry, "\n")
		rest, is := strings.CutPrefix(key, "submodule.")
		dot := strings.LastIndexByte(rest, '.')
		if !is || dot < 0 {
			continue
		}
		i := slices.IndexFunc(all, func(m submodule) bool { return m.name == rest[:dot] })
		if i < 0 {
			i = len(all)
			if i > mostSubmodules {
				return nil, fmt.Errorf("it names more than %d", mostSubmodules)
			}
			all = append(all, submodule{name: rest[:dot]})
		}
		switch rest[dot+1:] {
		case "path":
			all[i].path = value
		case "url":
			all[i].url = value
		}
	}
	return all, nil
}

// mayRead says whether the repository at to may be read for a run of the one at from,
// both without links. [submodules] allow of the configuration lists those that may.
// Without it a run on the host, whose commands can read the repositories beside its
// own in any case, gets those; and one in a sandbox none, since whoever may push to
// one repository need not be allowed to read another.
func mayRead(cfg *config.Config, use, from, to string) bool {
	if cfg.Submodules.Allow == nil {
		return use == "host" && filepath.Dir(from) == filepath.Dir(to)
	}
	return slices.ContainsFunc(cfg.Submodules.Allow, func(pattern string) bool {
		ok, err := event.MatchRepo(pattern, to) // the patterns are checked when they are read
		return err == nil && ok
	})
}

// submodules copies the submodules of the run's commit into its workspace. It gives
// back what they leave of the bounds.
func (s *supervision) submodules(ctx context.Context, ground executor.Ground, repo *gitrepo.Repo, commit string, bounds gitrepo.ExtentBounds) (gitrepo.ExtentBounds, error) {
	if has, err := repo.Has(commit, ".gitmodules"); err != nil || !has {
		return bounds, err
	}
	rule, err := wall.Executor(s.cfg, s.run.GitDir)
	if err != nil {
		return bounds, err
	}
	size, err := repo.Extent(commit, bounds)
	if err != nil {
		return bounds, err
	}
	fill := &submodules{
		ground: ground,
		allow:  func(from, to string) bool { return mayRead(s.cfg, rule.Use, from, to) },
		warn:   func(text string) { s.journal.say(s.journal.report.Warning(s.journal.mask(text))) },
		left:   gitrepo.ExtentBounds{Entries: rest(bounds.Entries, size.Entries), Bytes: rest(bounds.Bytes, size.Bytes)},
	}
	before := fill.left
	err = fill.fill(ctx, repo, commit, s.workspace, 1)
	return gitrepo.ExtentBounds{
		Entries: rest(bounds.Entries, before.Entries-fill.left.Entries),
		Bytes:   rest(bounds.Bytes, before.Bytes-fill.left.Bytes),
	}, err
}

func sameOwner(a, b string) bool {
	x, errA := os.Lstat(a)
	y, errB := os.Lstat(b)
	if errA != nil || errB != nil {
		return false
	}
	return x.Sys().(*syscall.Stat_t).Uid == y.Sys().(*syscall.Stat_t).Uid
}
