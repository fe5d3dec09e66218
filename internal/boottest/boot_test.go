package boottest

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"

	"quire/internal/installtest"
)

const (
	repository = "/srv/git/project.git"
	quire      = "/usr/local/bin/quire"
)

// A job writes who it is, and then runs until it may end. If it is told to end, it
// needs a second of its grace to say so.
const jobText = `#!/bin/sh
id -u >>/home/git/out/$1.id
trap 'sleep 1; echo "$1 was told" >>/home/git/out/$1.trap; exit 3' TERM
echo >>/home/git/out/$1.started
until [ -e /home/git/out/$1.go ]; do
  echo >>/home/git/out/$1.ticks
  sleep 0.05
done
echo >>/home/git/out/$1.done
`

const pipelineText = `(local ci (require :quire.ci))
(ci.job :work {:inputs [:quire/push] %s :run (fn [{: sh}] (sh "sh ./job.sh %s"))})
`

// The mirror's target refuses connections, so it is owed for a day.
const configText = `max_runs_per_repository = 2
linger = "1s"
kill_grace = "4s"
[executor]
default = "host"
[[mirror]]
name = "away"
repos = ["*"]
url = "http://127.0.0.1:9/{repo}.git"
`

// install has root install quire, as an administrator does.
func (m *machine) install() {
	m.t.Helper()
	m.write("/home/git/.config/quire/config.toml", configText, gitUser)
	m.sh("root", `chown -R git:git /home/git && install -d -o git -g git -m 755 /home/git/out`)
	m.sh("git", "git init -q --bare --shared=group "+repository)
	m.sh("root", "cd /src && env GOCACHE=/gocache GOMODCACHE=/gomodules GOPROXY=off ./install.sh --pusher alice "+repository)
}

// push has a user push a branch whose pipeline runs the job of that name, and returns
// the push's report.
func (m *machine) push(user, branch, options string, flags ...string) string {
	m.t.Helper()
	dir := "/home/" + user + "/" + branch
	m.sh(user, fmt.Sprintf(`git init -q -b %[2]s %[1]s; mkdir -p %[1]s/.quire
cat >%[1]s/.quire/ci.fnl <<'END'
%[3]sEND
cat >%[1]s/job.sh <<'END'
%[4]sEND
git -C %[1]s add . && git -C %[1]s commit -q --allow-empty -m "a push of %[2]s"`, dir, branch, fmt.Sprintf(pipelineText, options, branch), jobText))
	return m.must(user, "git", append(append([]string{"-C", dir, "push", "-q"}, flags...), repository, branch)...)
}

// release lets a job end.
func (m *machine) release(job string) { m.write("/home/git/out/"+job+".go", "", gitUser) }

// times is how often a job did something.
func (m *machine) times(job, what string) int {
	return strings.Count(m.read("/home/git/out/"+job+"."+what), "\n")
}

// started waits until a job has been started n times.
func (m *machine) started(job string, n int) {
	m.t.Helper()
	m.until(fmt.Sprintf("job %s has been started %d times", job, n), func() bool { return m.times(job, "started") >= n })
}

type run struct {
	Number      int64
	Ref         string
	State       string
	Reason      string
	Rerun       bool
	Interrupted bool
	RetryOf     string `json:"retry_of"`
	ID          string
}

// runs are those of a branch, the oldest first.
func (m *machine) runs(branch string) (of []run) {
	m.t.Helper()
	text := m.must("git", quire, "runs", "--json")
	for line := range strings.Lines(text) {
		var r run
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			m.t.Fatalf("%v\n%s", err, text)
		}
		if r.Ref == "refs/heads/"+branch {
			of = append(of, r)
		}
	}
	slices.SortFunc(of, func(a, b run) int { return int(a.Number - b.Number) })
	return of
}

// states waits until the runs of a branch are in these states.
func (m *machine) states(branch string, want ...string) []run {
	m.t.Helper()
	var last []run
	defer func() {
		if m.t.Failed() {
			m.t.Logf("runs of %s: %+v", branch, last)
		}
	}()
	m.until(fmt.Sprintf("the runs of %s are %s", branch, want), func() bool {
		last = m.runs(branch)
		var states []string
		for _, r := range last {
			states = append(states, r.State)
		}
		return slices.Equal(states, want)
	})
	return last
}

func (m *machine) show(r run) string {
	m.t.Helper()
	return m.must("git", quire, "show", fmt.Sprint(r.Number))
}

func (m *machine) active(unit string) string {
	out, _ := m.in("root", "systemctl", "is-active", unit).Output() // exits with 3 if it is not
	return strings.TrimSpace(string(out))
}

func (m *machine) contains(what, text, want string) {
	m.t.Helper()
	if !strings.Contains(text, want) {
		m.t.Errorf("%s does not say %q:\n%s", what, want, text)
	}
}

// A machine that is stopped, and one whose power is cut, goes on at the next boot.
func TestBootStopAndPowerCut(t *testing.T) {
	m := newMachine(t)
	// The machine has no network: what its build needs is fetched and compiled here.
	built, err := installtest.Build("../..")
	if err != nil {
		t.Fatal(err)
	}
	built.Close()
	m.boot()
	m.install()

	// Another user's push starts the listener.
	m.must("root", "systemctl", "stop", "quire-listen-git.service")
	if socket, service := m.active("quire-listen-git.socket"), m.active("quire-listen-git.service"); socket != "active" || service != "inactive" {
		t.Fatalf("the socket is %s, the listener is %s", socket, service)
	}
	m.release("first")
	report := m.push("alice", "first", "")
	m.contains("the push of alice", report, "success: run 1 succeeded")
	if got := m.active("quire-listen-git.service"); got != "active" {
		t.Errorf("the listener is %s after a push of another user", got)
	}
	if got := m.read("/home/git/out/first.id"); got != fmt.Sprintln(gitUser) {
		t.Errorf("the job of alice's push ran as %q, want %d", got, gitUser)
	}

	if report, _ := m.in("git", quire, "mirror", "status").Output(); !strings.Contains(string(report), "waiting") {
		t.Errorf("no delivery is owed:\n%s", report)
	}

	// The listener leaves when nobody pushes. What it has started goes on.
	m.push("alice", "long", "", unwatched...)
	m.until("job long has outlived linger", func() bool { return m.times("long", "ticks") >= 60 })
	m.release("long")
	m.states("long", "succeeded")

	// A job has its grace when the machine is shut down.
	m.push("alice", "stop", "", unwatched...)
	m.started("stop", 1)
	m.powerOff()
	m.told("stop")

	// The boot is finished while a mirror is owed, and the run is repeated.
	m.boot()
	if got := m.active("quire-worker-git.service"); got != "active" {
		t.Errorf("the worker is %s while a mirror is owed", got)
	}
	m.started("stop", 2)
	m.release("stop")
	m.repeated(m.states("stop", "canceled", "succeeded"))

	// Or when the service is stopped.
	m.push("alice", "served", "", unwatched...)
	m.started("served", 1)
	m.must("root", "systemctl", "stop", "quire-worker-git.service")
	m.told("served")
	m.states("served", "canceled")

	// Or when it was the runner's own push, whose worker is of the runner's session.
	m.push("git", "own", "", unwatched...)
	m.started("own", 1)
	m.started("served", 2)
	m.release("served")
	m.repeated(m.states("served", "canceled", "succeeded"))
	m.powerOff()
	m.told("own")

	m.boot()
	m.started("own", 2)
	m.release("own")
	m.repeated(m.states("own", "canceled", "succeeded"))

	// A power cut tells nobody anything.
	m.push("alice", "cut", "", unwatched...)
	m.push("alice", "once", ":once true", unwatched...)
	m.started("cut", 1)
	m.started("once", 1)
	m.cutPower()
	m.boot()
	m.started("cut", 2)
	m.repeated(m.states("cut", "orphaned", "running"))
	once := m.states("once", "orphaned")
	m.contains("the run with a job that is declared :once", m.show(once[0]), "not run again (a job of it is declared :once)")

	// What was repeated once is not repeated again.
	m.cutPower()
	m.boot()
	cut := m.states("cut", "orphaned", "orphaned")
	m.contains("the repetition", m.show(cut[1]), "not run again (it had been run again already)")

	// The pusher is told at the next push, and nothing is left or lost.
	m.release("last")
	report = m.push("alice", "last", "")
	for _, r := range []run{cut[0], once[0]} {
		m.contains("the next push of alice", report, fmt.Sprintf("warning: run %d (%s ", r.Number, strings.TrimPrefix(r.Ref, "refs/heads/")))
	}
	m.states("last", "succeeded")
	m.states("stop", "canceled", "succeeded")
	m.states("once", "orphaned")
	for job, n := range map[string][2]int{"first": {1, 1}, "long": {1, 1}, "stop": {2, 1}, "served": {2, 1}, "own": {2, 1}, "cut": {2, 0}, "once": {1, 0}, "last": {1, 1}} {
		if began, done := m.times(job, "started"), m.times(job, "done"); began != n[0] || done != n[1] {
			t.Errorf("job %s began %d times and was done %d times, want %v", job, began, done, n)
		}
		if got, want := m.read("/home/git/out/"+job+".id"), strings.Repeat(fmt.Sprintln(gitUser), n[0]); got != want {
			t.Errorf("job %s ran as %q, want %q", job, got, want)
		}
	}
}

var unwatched = []string{"-o", "ci.wait=none"}

// told checks that a job ended by itself when it was told to, and once.
func (m *machine) told(job string) {
	m.t.Helper()
	if got := m.read("/home/git/out/" + job + ".trap"); got != job+" was told\n" {
		m.t.Errorf("job %s did not have its grace: %q", job, got)
	}
}

// repeated checks that the second run repeats the first.
func (m *machine) repeated(runs []run) {
	m.t.Helper()
	first, second := runs[0], runs[1]
	if !first.Interrupted || first.Rerun || !second.Rerun || second.RetryOf != first.ID {
		m.t.Errorf("run %d does not repeat run %d because that was interrupted: %+v", second.Number, first.Number, runs)
	}
	m.contains("the interrupted run", m.show(first), fmt.Sprintf("it was interrupted, and is run again as run %d", second.Number))
	m.contains("its repetition", m.show(second), "which was interrupted")
}
