package attack

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// files are the contents of a commit, by path. An empty content removes the
// file; "-> TARGET" makes a symbolic link.
type files map[string]string

// repository is a bare repository with quire's hooks, and a checkout of a
// pusher's.
type repository struct {
	m      *machine
	Name   string
	GitDir string
	Work   string
}

// repository makes a repository, with the hooks installed.
func (m *machine) repository(name string) *repository {
	m.t.Helper()
	r := m.bare(name)
	m.must(m.Dir, "quire", "install", r.GitDir)
	return r
}

// bare makes a repository without quire's hooks.
func (m *machine) bare(name string) *repository {
	m.t.Helper()
	r := &repository{m: m, Name: name, GitDir: filepath.Join(m.Repos, name+".git"), Work: filepath.Join(m.Dir, "work", name)}
	m.must(m.Dir, "git", "init", "-q", "--bare", r.GitDir)
	m.must(m.Dir, "git", "init", "-q", r.Work)
	m.must(r.Work, "git", "remote", "add", "origin", r.GitDir)
	return r
}

// commit commits files on top of what is checked out and returns the commit's
// object id.
func (r *repository) commit(change files) string {
	r.m.t.Helper()
	for _, path := range slices.Sorted(maps.Keys(change)) {
		text, full := change[path], filepath.Join(r.Work, path)
		if target, link := strings.CutPrefix(text, "-> "); link {
			os.Remove(full)
			if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
				r.m.t.Fatal(err)
			}
			if err := os.Symlink(target, full); err != nil {
				r.m.t.Fatal(err)
			}
			continue
		}
		if text == "" {
			if err := os.Remove(full); err != nil {
				r.m.t.Fatal(err)
			}
			continue
		}
		r.m.write(full, text)
	}
	r.m.own(r.Work)
	r.m.commits++
	r.m.must(r.Work, "git", "add", "-A")
	r.m.must(r.Work, "git", "commit", "-q", "--allow-empty", "-m", fmt.Sprintf("commit %d", r.m.commits))
	return strings.TrimSpace(r.m.must(r.Work, "git", "rev-parse", "HEAD"))
}

// shown is what a pusher sees.
type shown struct {
	Report string // all that git printed
	Err    error  // of git push itself
}

// push commits files and pushes HEAD to a branch, waiting for the runs' end as
// a person would.
func (r *repository) push(branch string, change files, options ...string) shown {
	r.m.t.Helper()
	r.commit(change)
	return r.pushRefs(append(options, "origin", "HEAD:refs/heads/"+branch)...)
}

// pushRefs is git push with these arguments. The push itself may be refused.
func (r *repository) pushRefs(args ...string) shown {
	r.m.t.Helper()
	c := r.m.command(r.Work, "git", append([]string{"push"}, args...)...)
	var out bytes.Buffer
	c.Stdout, c.Stderr = &out, &out
	s := shown{}
	if s.Err = c.Start(); s.Err == nil {
		stop := within(r.m.t)
		ended := make(chan struct{})
		go func() {
			select {
			case <-stop.Done():
				c.Process.Kill()
			case <-ended:
			}
		}()
		s.Err = c.Wait()
		close(ended)
	}
	s.Report = out.String()
	for _, form := range []string{holds(out.Bytes(), canary)} {
		if form != "" {
			r.m.t.Errorf("the pusher saw the canary as %s:\n%s", form, s.Report)
		}
	}
	return s
}

// job is a ci.fnl with one job whose only command is a shell script.
func job(script string) files {
	return files{
		".quire/ci.fnl": "(local ci (require :quire.ci))\n(ci.job :attack [:quire/push] (fn [{: run}] (run [\"sh\" \"./attack.sh\"])))\n",
		"attack.sh":     script,
	}
}
