package attack

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"quire/internal/executor/executortest"

	"golang.org/x/sys/unix"
)

// access is one system call by which a supervisor named a file.
type access struct {
	call string
	path string // what was opened; of another call, or one that failed, what it named
	args string
	ok   bool
}

// traced runs the worker once under strace, and returns what the processes of
// `quire supervise` did with files, in order: they alone, and not what they start.
func (m *machine) traced() []access {
	m.t.Helper()
	file := filepath.Join(m.Dir, "trace")
	worker := m.command(m.Dir, "quire", "worker", "--once")
	c := m.command(m.Dir, "strace", append([]string{"-f", "-q", "-y", "-s", "4096", "--seccomp-bpf", "-e", "trace=%file,clone,clone3,fork,vfork", "-e", "signal=none", "-o", file, worker.Path}, worker.Args[1:]...)...)
	if out, err := c.CombinedOutput(); err != nil {
		m.t.Fatalf("strace: %v\n%s", err, out)
	}
	f, err := os.Open(file)
	if err != nil {
		m.t.Fatal(err)
	}
	defer f.Close()
	return supervisors(m.t, f)
}

// call is a line of strace's, put together if it was broken.
type call struct {
	task               string
	name, args, result string
}

var (
	straceLine = regexp.MustCompile(`^(\d+)\s+(\w+)\((.*)\)\s+= (.*)$`)
	unfinished = regexp.MustCompile(`^(\d+)\s+(\w+)\((.*) <unfinished \.\.\.>$`)
	resumed    = regexp.MustCompile(`^(\d+)\s+<\.\.\. (\w+) resumed>(.*)\)\s+= (.*)$`)
)

func calls(t *testing.T, f *os.File) (all []call) {
	t.Helper()
	begun := map[string]string{}
	lines := bufio.NewScanner(f)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		line := lines.Text()
		if g := straceLine.FindStringSubmatch(line); g != nil {
			all = append(all, call{g[1], g[2], g[3], g[4]})
		} else if g := unfinished.FindStringSubmatch(line); g != nil {
			begun[g[1]] = g[3]
		} else if g := resumed.FindStringSubmatch(line); g != nil {
			all = append(all, call{g[1], g[2], begun[g[1]] + g[3], g[4]})
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatal(err)
	}
	return all
}

// supervisors picks the supervisors' calls. A thread is its process's; a child is
// nobody's until it has executed something.
func supervisors(t *testing.T, f *os.File) (out []access) {
	t.Helper()
	all := calls(t, f)
	process := map[string]string{} // of a thread
	for _, c := range all {
		if strings.HasPrefix(c.name, "clone") && strings.Contains(c.args, "CLONE_THREAD") {
			tid, _, _ := strings.Cut(c.result, " ")
			process[tid] = c.task
		}
	}
	leader := func(task string) string {
		for process[task] != "" {
			task = process[task]
		}
		return task
	}
	supervises := map[string]bool{}
	seen := 0
	for _, c := range all {
		task := leader(c.task)
		if c.name == "execve" && c.result == "0" {
			if supervises[task] = strings.Contains(c.args, `"supervise", "`); supervises[task] {
				seen++
			}
			continue
		}
		if supervises[task] && !strings.HasPrefix(c.name, "clone") {
			out = append(out, c.access()...)
		}
	}
	if seen == 0 || len(out) == 0 {
		t.Fatalf("strace saw %d supervisors, which made %d of %d calls", seen, len(out), len(all))
	}
	return out
}

var (
	named  = regexp.MustCompile(`(?:(AT_FDCWD|\d+)<((?:[^>\\]|\\.)*)>, )?"((?:[^"\\]|\\.)*)"`)
	opened = regexp.MustCompile(`^\d+<(.*)>$`)
)

// access is the files that a call names: two for a rename.
func (c call) access() (out []access) {
	failed := strings.HasPrefix(c.result, "-1")
	if g := opened.FindStringSubmatch(c.result); g != nil {
		return []access{{c.name, strings.TrimSuffix(g[1], "(deleted)"), c.args, true}}
	}
	names := named.FindAllStringSubmatch(c.args, -1)
	if strings.HasPrefix(c.name, "symlink") { // what a link holds is no file
		names = names[1:]
	}
	for _, g := range names {
		path := g[3]
		if !strings.HasPrefix(path, "/") && g[2] != "" {
			path = filepath.Join(g[2], path)
		}
		out = append(out, access{c.name, path, c.args, !failed})
	}
	return out
}

// opens says whether a call gets at what is in a file or directory.
func (a access) opens() bool {
	return strings.HasPrefix(a.call, "open") && !strings.Contains(a.args, "O_PATH")
}

// changes says whether a call changes something, or opens it to do so. Every call
// that is not known to do neither does.
func (a access) changes() bool {
	if strings.HasPrefix(a.call, "open") {
		return strings.Contains(a.args, "O_WRONLY") || strings.Contains(a.args, "O_RDWR") || strings.Contains(a.args, "O_CREAT") || strings.Contains(a.args, "O_TRUNC")
	}
	for _, look := range []string{"stat", "readlink", "access", "getcwd", "getxattr", "inotify_add_watch", "chdir", "execve"} {
		if strings.Contains(a.call, look) {
			return false
		}
	}
	return true
}

func (a access) String() string {
	verdict := ""
	if !a.ok {
		verdict = ", which failed"
	}
	return fmt.Sprintf("%s of %s%s: %s", a.call, a.path, verdict, a.args)
}

// Rules R1, R4: what a supervisor opens during a hostile run is on the list of docs/security.md.
func TestASupervisorOpensOnlyWhatIsListed(t *testing.T) {
	if os.Geteuid() != 0 {
		executortest.Needs(t, "root, to trace processes that nobody else may")
	}
	if _, err := exec.LookPath("strace"); err != nil {
		executortest.Needs(t, "strace: apt-get install strace")
	}
	for _, executor := range []string{"bwrap", "docker"} {
		t.Run(executor, func(t *testing.T) {
			m := newMachine(t, executor, 0)
			m.secret("token", canary, `repos = ["elsewhere"]`)
			m.secret("given", given)
			other, r := m.repository("other"), m.repository("project")
			other.push("main", files{"private": canary + "\n"}, "-o", "ci.skip")
			m.must(m.Dir, "quire", "worker", "--once")
			lock, err := os.OpenFile(filepath.Join(m.State, "locks", "worker.lock"), os.O_RDWR|os.O_CREATE, 0o600)
			if err != nil {
				t.Fatal(err)
			}
			if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil { // whoever is about to leave
				t.Fatal(err)
			}
			if p := r.push("main", fennel(fmt.Sprintf(`
(ci.cache :c ["cached"])
(ci.job :prey [:quire/push]
  (fn []
    (runtime.run "
      mkfifo pipe .git/x; mkdir bin d; mkfifo bin/tool; printf '#!/bin/sh\n' > ok; chmod +x ok; printf '#!%%s/pipe\n' \"$PWD\" > script; chmod +x script
      ln -s %[1]s/private secret; ln -s %[1]s dir; ln -s /proc/self/root magic; ln -s ../../../.. d/up; ln -s /dev/zero zero; ln -s %[2]s state; ln -s %[3]s repo
      p=$(printf 'd/%%.0s' $(seq 250)); mkdir -p deep/$p; chmod 000 deep/d; mkfifo .git/HEAD2; rm -f .git/HEAD; mkfifo .git/HEAD
      rm -rf .quire; ln -s %[1]s .quire; ln -s %[1]s/private cached/l; mkfifo cached/p; dd if=/dev/null of=sparse bs=1 seek=1000000000000
      echo text >plain; ln plain hard; mkdir -p $HOME/x; ln -s %[1]s /tmp/l; exit 0" {:env {:GIVEN (runtime.secret :given)}})
    (each [_ name (ipairs ["pipe" "secret" "dir/private" "magic%[1]s/private" "d/up/quire.db" "zero" "state/quire.db" "repo/HEAD" "%[1]s/private" ".git/HEAD" ".quire/private" "cached/l" "cached/p" "sparse" "deep"])]
      (pcall runtime.read-file name)
      (pcall runtime.artifact name)
      (pcall runtime.write-file name "x"))
    (each [_ program (ipairs ["./pipe" "./script" "./secret" "./zero" "dir/private" "magic/bin/x"])]
      (pcall runtime.sh [program]))
    (pcall runtime.sh ["tool"] {:env {:PATH "bin"}})
    (pcall runtime.sh ["true"] {:cwd "dir"})
    (pcall runtime.sh ["true"] {:cwd "pipe"})
    (pcall runtime.sh ["true"] {:env {:HOME "%[1]s"}})
    (pcall runtime.secret :token)
    (pcall runtime.mirror {:url "%[3]s" :secret :given})
    (pcall runtime.mirror {:url "./repo" :secret :given})
    (runtime.read-file "plain") (runtime.artifact "plain") (runtime.write-file "d/new" "x") (runtime.run ["./ok"])
    {}))`, m.Operator, m.State, other.GitDir)), "-o", "ci.wait=none"); p.Err != nil {
				t.Fatalf("%v\n%s", p.Err, p.Report)
			}
			lock.Close()
			seen := m.traced()
			m.idle()
			if log := m.quire("show", "last"); !strings.Contains(log, "succeeded") {
				t.Fatalf("the run: %s", log)
			}
			m.nowhereBut(canary, other.GitDir, other.Work)
			judge(t, m, r, seen)
		})
	}
}

// judge holds what a supervisor did against the list of docs/security.md, "What a
// supervisor opens".
func judge(t *testing.T, m *machine, r *repository, seen []access) {
	t.Helper()
	runs, err := filepath.Glob(filepath.Join(m.State, "runs", "*"))
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs: %q, %v", runs, err)
	}
	run := runs[0]
	db := filepath.Join(m.State, "quire.db")
	changed := []string{run, db, db + "-wal", db + "-shm", db + "-journal", filepath.Join(m.State, "locks", "run-"+filepath.Base(run)+".lock"),
		filepath.Join(m.State, "caches"), "/sys/fs/cgroup", "/dev/null"}
	if m.Executor == "bwrap" {
		changed = append(changed, filepath.Join(m.State, "sandbox"))
	}
	read := append(slices.Clone(changed), m.Config, filepath.Join(filepath.Dir(m.Config), "secrets.toml"), filepath.Join(m.Operator, "given"), r.GitDir,
		"/proc", "/sys", "/dev/urandom", "/usr/share/zoneinfo", "/etc/localtime")
	switch m.Executor {
	case "bwrap":
		read = append(read, "/usr", "/bin", "/sbin", "/lib", "/lib64", "/etc", "/opt", "/nix", "/gnu", "/run/current-system")
	case "docker":
		read = append(read, "/etc/machine-id", filepath.Join(m.Home, ".docker"), filepath.Join(programs.Prefix, "libexec", "quire"), filepath.Join(programs.Prefix, "bin"))
	}
	lies := func(path string, dirs ...string) bool {
		return slices.ContainsFunc(dirs, func(d string) bool { return path == d || strings.HasPrefix(path, d+"/") })
	}
	var faults []string
	began, met, knew := false, 0, false
	for _, a := range seen {
		began = began || a.opens() && lies(a.path, filepath.Join(run, "jobs"))
		knew = knew || a.opens() && a.path == filepath.Join(m.Operator, "given")
		switch {
		case began && lies(a.path, filepath.Join(run, "workspace"), filepath.Join(run, "scratch"), filepath.Join(m.State, "caches")):
			met++
			// By the descriptor of what was looked at, or made by this very call, or as
			// a directory that is no link: see internal/jobfile.
			if a.opens() && a.ok && !strings.Contains(a.args, `"/proc/self/fd/`) && !strings.Contains(a.args, "O_EXCL") && !strings.Contains(a.args, "O_DIRECTORY") {
				faults = append(faults, "a job's file was opened without a look: "+a.String())
			}
		case strings.HasPrefix(a.path, "/proc/self/fd/"): // what is held already
		case a.changes() && !lies(a.path, changed...) && a.path != filepath.Dir(run) && a.path != m.State:
			faults = append(faults, "not listed to be changed: "+a.String())
		case a.opens() && !lies(a.path, read...):
			faults = append(faults, "not listed to be read: "+a.String())
		}
	}
	if met == 0 || !knew {
		t.Errorf("of %d calls %d were for the jobs' files; that the run's secret was read was seen: %v", len(seen), met, knew)
	}
	slices.Sort(faults)
	for _, f := range slices.Compact(faults) {
		t.Error(f)
	}
}
