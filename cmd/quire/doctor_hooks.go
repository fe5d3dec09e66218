package main

import (
	"os"
	"path/filepath"
	"slices"

	"quire/hooks/install"
)

// hooks looks at the hooks of each repository.
func (e *exam) hooks(repos []string) {
	if libexec, err := install.Libexec(); err != nil {
		e.bad("hooks", "", "%v", err)
	} else if _, err := os.Stat(filepath.Join(libexec, install.PostReceive)); err != nil {
		e.bad("hooks", "run install.sh again", "the hook program is missing: %v", err)
	}
	if len(repos) == 0 {
		e.warn("hooks", "quire install REPO.git", "no repository is known yet")
	}
	for _, path := range repos {
		e.hook(path)
	}
}

func (e *exam) hook(path string) {
	const about = "hook"
	repo, err := install.Find(path)
	if err != nil {
		e.warn(about, "", "%v", err)
		return
	}
	file := filepath.Join(repo.HooksDir, install.PostReceive)
	st, err := os.Stat(file)
	switch {
	case os.IsNotExist(err) && !isLink(file):
		e.bad(about, "quire install "+repo.GitDir, "%s has no post-receive: pushes to it run nothing", repo.GitDir)
	case os.IsNotExist(err):
		e.bad(about, "quire install "+repo.GitDir, "%s leads nowhere: the installation it was made by is gone", file)
	case err != nil:
		e.bad(about, "", "%v", err)
	case !install.Ours(file) && inDriver(file):
		e.ok(about, "%s, by %s.d", repo.GitDir, file)
	case !install.Ours(file):
		e.bad(about, "quire install "+repo.GitDir+" (the hook that is there is kept and runs first)", "%s is not quire's", file)
	case st.Mode().Perm()&0o111 == 0:
		e.bad(about, "chmod +x "+file, "%s is not executable: git ignores it", file)
	case !repo.Hooked():
		e.warn(about, "quire install "+repo.GitDir, "%s was uninstalled; the hook that it calls serves others", repo.GitDir)
	case !repo.PushOptions():
		e.warn(about, "git -C "+repo.GitDir+" config receive.advertisePushOptions true", "%s takes no push options (git push -o ci.skip)", repo.GitDir)
	case repo.Elsewhere != "":
		e.ok(about, "%s, by the %s core.hooksPath %s", repo.GitDir, repo.Elsewhere, repo.HooksDir)
	default:
		e.ok(about, "%s", repo.GitDir)
	}
}

// inDriver reports whether our hook lies where a driver that is the hook, such as
// Gitea's, runs what it finds.
func inDriver(file string) bool {
	found, _ := filepath.Glob(file + ".d/*") // malformed where a bracket is in the path: no driver is known then
	return slices.ContainsFunc(found, install.Ours)
}

func isLink(path string) bool {
	st, err := os.Lstat(path)
	return err == nil && st.Mode()&os.ModeSymlink != 0
}
