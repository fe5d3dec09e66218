package users

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/cgi"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"quire/internal/installtest"
)

var programs *installtest.Programs

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if programs, err = installtest.Build("../.."); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer programs.Close()
		return m.Run()
	}())
}

// patience is how long a fact is waited for before the test fails.
const patience = 2 * time.Minute

// machine is one with these users:
//
//	alice   owns repositories that the group team may push to
//	bob     is in the team
//	www     is in the team too, has no home, and is what the web server runs as
//	gitter  serves repositories to people who have no account
//	web     has no home and owns what it serves
//	mallory has no right to anything
type machine struct {
	t *testing.T
	*installtest.Box
	umask int
	mark  string // NAME=VALUE in the environment of all that is started here
	http  string // base URL of a web server that runs git http-backend; "/USER/" follows
}

func newMachine(t *testing.T, umask int) *machine {
	t.Helper()
	dir, err := os.MkdirTemp("", "quire-users-") // the parents of t.TempDir are root's alone
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, umask: umask, mark: "QUIRE_TEST=" + dir}
	t.Cleanup(func() {
		// No worker may be left when its files go. One that root's command started
		// as another user has nothing of root's environment.
		installtest.EndAll(m.mark)
		m.endUsers()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	team := []string{"team"}
	m.Box, err = installtest.Open(dir,
		installtest.User{Name: "alice", UID: 61941, Home: dir + "/home/alice", Groups: team},
		installtest.User{Name: "bob", UID: 61942, Home: dir + "/home/bob", Groups: team},
		installtest.User{Name: "gitter", UID: 61943, Home: dir + "/home/gitter"},
		installtest.User{Name: "web", UID: 61944, Home: "/nonexistent"},
		installtest.User{Name: "www", UID: 61945, Home: "/nonexistent", Groups: team},
		installtest.User{Name: "mallory", UID: 61946, Home: dir + "/home/mallory"})
	if err != nil {
		t.Fatal(err)
	}
	m.Users["root"] = installtest.User{Name: "root", Home: "/root"}
	for name, mode := range map[string]uint32{"": 0o755, "srv": 0o755, "copies": 0o755, "ran": 0o1777, ".box/run/quire": 0o1777} {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(path, 0o755), syscall.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
	}
	m.write(m.Etc("gitconfig"), "[init]\n\tdefaultBranch = main\n[user]\n\tname = t\n\temail = t@t\n[color]\n\tui = false\n"+
		"[safe]\n\tdirectory = .\n") // what http-backend calls the repository (git 2.39)
	m.web()
	return m
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	if err := errors.Join(os.WriteFile(path, []byte(text), 0o644), os.Chmod(path, 0o644)); err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) add(path, text string) {
	m.t.Helper()
	before, err := os.ReadFile(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	m.write(path, string(before)+text)
}

// in is the machine for a subtest.
func (m *machine) in(t *testing.T) *machine {
	sub := *m
	sub.t = t
	return &sub
}

// command is a program that a user starts in a directory. What the user's
// environment may say of pushers and runners moves nothing.
func (m *machine) command(user, dir, program string, args ...string) *exec.Cmd {
	if program == "quire" {
		program = filepath.Join(programs.Prefix, "bin", "quire")
	}
	cmd := m.Command(user, m.umask, []string{m.mark}, program, args...)
	cmd.Dir = dir
	return cmd
}

// run runs a program and returns what it printed and its exit status.
func (m *machine) run(cmd *exec.Cmd) (string, int) {
	m.t.Helper()
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	// Descendants that keep the output open are no reason to wait.
	cmd.WaitDelay = 5 * time.Second
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	stuck := time.AfterFunc(patience, func() { cmd.Process.Kill() })
	defer stuck.Stop()
	if err := cmd.Wait(); err != nil && cmd.ProcessState == nil {
		m.t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

func (m *machine) as(user, dir, program string, args ...string) (string, int) {
	m.t.Helper()
	return m.run(m.command(user, dir, program, args...))
}

func (m *machine) must(user, dir, program string, args ...string) string {
	m.t.Helper()
	out, status := m.as(user, dir, program, args...)
	if status != 0 {
		m.t.Fatalf("%s: %s %s: exit %d\n%s", user, program, strings.Join(args, " "), status, out)
	}
	return out
}

// await waits for a fact.
func (m *machine) await(what string, fact func() bool) {
	m.t.Helper()
	for end := time.Now().Add(patience); !fact(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			m.t.Fatalf("waited %s for %s", patience, what)
		}
	}
}

// repository makes a bare one and a copy for its mirror, both the owner's; shared
// is a group that may push.
func (m *machine) repository(owner, name, shared string) string {
	m.t.Helper()
	uid := m.Users[owner].UID
	for _, dir := range []string{"srv", "copies"} {
		path := filepath.Join(m.Dir, dir, name)
		if err := errors.Join(os.Mkdir(path, 0o755), os.Chown(path, uid, uid)); err != nil {
			m.t.Fatal(err)
		}
		args := []string{"init", "-q", "--bare", path}
		if shared != "" {
			args = append(args, "--shared=group")
		}
		m.must(owner, m.Dir, "git", args...)
	}
	path := filepath.Join(m.Dir, "srv", name)
	if shared != "" {
		m.must("root", m.Dir, "chgrp", "-R", shared, path)
		m.must("root", m.Dir, "sh", "-c", `find "$1" -type d -exec chmod g+s {} +`, "sh", path)
	}
	m.add(m.Etc("gitconfig"), "[safe]\n\tdirectory = "+path+"\n")
	return path
}

// pipeline says as whom it runs, and leaves a file of that user. Pushed to hold,
// it lasts until somebody ends it.
func (m *machine) pipeline(repo string) string {
	return fmt.Sprintf(`(local ci (require :quire.ci))
(local {: runtime} ci)
(ci.job :who [:quire/push] (fn [] (runtime.sh "echo ran as $(id -u) of $(id -G); mktemp %[1]s/ran/%[2]s.XXXXXX")))
(ci.job :hold [:quire/push] (fn [] (when (: (. (runtime.jobs :quire/push) :ref) :find "heads/hold") (runtime.sh "cat %[1]s/hold"))))
`, m.Dir, filepath.Base(repo))
}

// checkout makes one that a user can push from.
func (m *machine) checkout(user, repo, branch string) string {
	m.t.Helper()
	co := filepath.Join(m.Dir, "co-"+user)
	if err := os.RemoveAll(co); err != nil {
		m.t.Fatal(err)
	}
	m.must("root", m.Dir, "git", "init", "-q", co)
	if err := os.MkdirAll(filepath.Join(co, ".quire"), 0o755); err != nil {
		m.t.Fatal(err)
	}
	m.write(filepath.Join(co, ".quire/ci.fnl"), m.pipeline(repo))
	m.must("root", co, "git", "add", "-A")
	m.must("root", co, "git", "commit", "-q", "-m", branch)
	m.must("root", m.Dir, "chown", "-R", user, co)
	return co
}

// way is how a push comes to a repository: by a path, or by a program in front of
// git.
type way struct {
	client string // who types git push
	url    string // REPO is the repository's path, NAME its name
	ssh    string // what stands for ssh
}

func (m *machine) push(w way, repo, branch string, options ...string) (string, int) {
	m.t.Helper()
	co := m.checkout(w.client, repo, branch)
	url := strings.NewReplacer("REPO", repo, "NAME", filepath.Base(repo)).Replace(w.url)
	args := append([]string{"push"}, options...)
	cmd := m.command(w.client, co, "git", append(args, url, "HEAD:refs/heads/"+branch)...)
	if w.ssh != "" {
		cmd.Env = append(cmd.Env, "GIT_SSH="+w.ssh, "GIT_SSH_VARIANT=simple")
	}
	return m.run(cmd)
}

// forced is what sshd does with a forced command: the program runs as the user,
// and SSH_ORIGINAL_COMMAND says what the client asked for.
func (m *machine) forced(user, name, command string) (ssh string) {
	m.t.Helper()
	u := m.Users[user]
	dispatcher, ssh := filepath.Join(m.Dir, name), filepath.Join(m.Dir, name+"-ssh")
	m.write(dispatcher, "#!/bin/sh\n"+command)
	m.write(ssh, fmt.Sprintf(`#!/bin/sh
shift
exec env -i PATH="$PATH" HOME=%[1]s USER=%[2]s LOGNAME=%[2]s %[3]s SSH_ORIGINAL_COMMAND="$*" \
  setpriv --reuid=%[4]d --regid=%[4]d --init-groups --inh-caps=-all -- %[5]s
`, u.Home, user, m.mark, u.UID, dispatcher))
	for _, path := range []string{dispatcher, ssh} {
		if err := os.Chmod(path, 0o755); err != nil {
			m.t.Fatal(err)
		}
	}
	return ssh
}

// web starts a web server that runs git http-backend as the user whom the URL
// names, for a client whom it has authenticated as dora.
func (m *machine) web() {
	out, err := exec.Command("git", "--exec-path").Output()
	if err != nil {
		m.t.Fatal(err)
	}
	backend := filepath.Join(strings.TrimSpace(string(out)), "git-http-backend")
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		user, _, _ := strings.Cut(strings.TrimPrefix(r.URL.Path, "/"), "/")
		cmd := m.command(user, "/", backend)
		h := cgi.Handler{Path: cmd.Path, Args: cmd.Args[1:], Dir: "/", Root: "/" + user,
			Env: append(cmd.Env, "GIT_PROJECT_ROOT="+filepath.Join(m.Dir, "srv"), "GIT_HTTP_EXPORT_ALL=1", "REMOTE_USER=dora"), Stderr: os.Stderr}
		h.ServeHTTP(w, r)
	}))
	m.http = s.URL
	m.t.Cleanup(s.Close)
}

// listen starts the runner's listener; what it returns ends it.
func (m *machine) listen(runner string) (end func()) {
	m.t.Helper()
	socket := "/run/quire/" + runner + ".sock"
	cmd := m.command(runner, "/", "quire", "worker", "--listen", "--socket", socket)
	var log bytes.Buffer
	cmd.Stderr = &log
	if err := cmd.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.await(runner+" to listen", func() bool {
		st, err := os.Stat(filepath.Join(m.Dir, ".box", socket))
		return err == nil && st.Mode().Perm() == 0o666
	})
	return func() {
		m.t.Helper()
		if err := errors.Join(cmd.Process.Signal(syscall.SIGTERM), cmd.Wait()); err != nil {
			m.t.Errorf("the listener of %s: %v\n%s", runner, err, log.String())
		}
	}
}

// owned demands that everything below a directory is one user's.
func (m *machine) owned(dir, user string) {
	m.t.Helper()
	n := 0
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != dir {
			return nil // what a worker on its way out takes away
		}
		if err != nil {
			return err
		}
		var st syscall.Stat_t
		if err := syscall.Lstat(path, &st); err != nil {
			return nil
		}
		if n++; int(st.Uid) != m.Users[user].UID {
			m.t.Errorf("%s belongs to user %d, not to %s", path, st.Uid, user)
		}
		return nil
	})
	if err != nil || n < 2 {
		m.t.Errorf("%s: %d files, %v", dir, n, err)
	}
}

// endUsers kills what the machine's users still run, and returns when it is gone.
func (m *machine) endUsers() {
	for {
		found := false
		processes, _ := filepath.Glob("/proc/[0-9]*")
		for _, p := range processes {
			st, err := os.Stat(p)
			if err != nil {
				continue // it has ended
			}
			uid := int(st.Sys().(*syscall.Stat_t).Uid)
			for _, u := range m.Users {
				if u.UID != 0 && u.UID == uid {
					found = true
					pid, _ := strconv.Atoi(filepath.Base(p))
					syscall.Kill(pid, syscall.SIGKILL) // it may be gone by now
				}
			}
		}
		if !found {
			return
		}
		time.Sleep(5 * time.Millisecond)
	}
}
