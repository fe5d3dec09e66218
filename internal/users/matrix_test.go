package users

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/crypto/ssh"

	"quire/mirror/forgetest"
)

// role is what somebody is to a repository.
type role string

const (
	runs     role = "the runner"
	becomes  role = "root, whose commands become the runner's"
	pushes   role = "another user who may push"
	stranger role = "a user who may not push"
)

// cell is what becomes of a command: its exit status, and a sentence in what it
// prints, in which REPO is the repository, RUNNER who runs it, USER who typed it
// and COMMAND what was typed; a bar separates sentences of which one is there. The
// status -1 is any but 0.
type cell struct {
	status int
	says   string
}

// done and told are the cells of commands that open the runner's state. Whose
// process did it is looked at beside.
var (
	told  = cell{2, "REPO belongs to RUNNER; run this as that user: runuser -u RUNNER -- quire COMMAND (as root; others: sudo -u RUNNER quire …)"}
	owner = cell{3, "REPO belongs to RUNNER; become that user or root"}
)

// table is what becomes of each command by whom.
var table = map[string]map[role]cell{
	"push": {runs: {0, "success: run "}, becomes: {0, "success: run "}, pushes: {0, "success: run "},
		stranger: {-1, "fatal: |error: remote unpack failed"}}, // git's own words
	"push into what others cannot read": {becomes: {0, "RUNNER cannot read REPO/refs/heads/"}},
	"push, nobody listens": {runs: {0, "success: run "}, becomes: {0, "the push waits for RUNNER"}, pushes: {0, "the push waits for RUNNER"},
		stranger: {-1, "fatal: |error: remote unpack failed"}},
	"runs":         {runs: {0, "main"}, becomes: {0, "main"}, pushes: told, stranger: told},
	"log":          {runs: {0, "ran as "}, becomes: {0, "ran as "}, pushes: told, stranger: told},
	"retry":        {runs: {0, "succeeded in"}, becomes: {0, "succeeded in"}, pushes: told, stranger: told},
	"cancel":       {runs: {0, ": canceled"}, becomes: {0, ": canceled"}, pushes: told, stranger: told},
	"mirror trust": {runs: {0, "pinned every key that "}, becomes: {0, "pinned every key that "}, pushes: told, stranger: told},
	"mirror sync":  {runs: {0, "copy"}, becomes: {0, "copy"}, pushes: told, stranger: told},
	"serve":        {runs: {0, "pages on the socket"}, becomes: {0, "pages on the socket"}, pushes: told, stranger: told},
	"doctor": {runs: {0, "REPO"}, becomes: {0, "a push to REPO is recorded"}, pushes: {0, "a push to REPO by USER is recorded, and run by RUNNER"},
		stranger: {1, "a push to REPO by USER is not recorded: "}},
	"uninstall": {runs: {0, "taken out of REPO: post-receive"}, becomes: {0, "taken out of REPO: post-receive"}, pushes: owner, stranger: owner},
}

// row is somebody at a repository.
type row struct {
	name   string
	user   string // who types commands, and as whom git's hooks run
	repo   string
	runner string
	role   role
	way    way
	pusher string // who counts as the pusher; "": as programs in front of git say
	closed bool   // git makes files of this user's in a repository that is not shared
}

// One repository, one runner: whoever pushes, in whatever way, and whoever types
// a command, nobody's code runs as anybody but the runner.
func TestWhoRunsWhatAsWhom(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be several users")
	}
	for _, umask := range []int{0o022, 0o077} {
		t.Run(fmt.Sprintf("umask %03o", umask), func(t *testing.T) { matrix(t, newMachine(t, umask)) })
	}
}

func matrix(t *testing.T, m *machine) {
	shared := m.repository("alice", "shared.git", "team")
	served := m.repository("gitter", "served.git", "")
	site := m.repository("web", "site.git", "")
	roots := m.repository("root", "roots.git", "")
	m.must("root", m.Dir, "quire", "install", shared, served, site, roots)
	states := map[string]string{
		"alice": m.Users["alice"].Home + "/.local/state/quire", "gitter": m.Users["gitter"].Home + "/.local/state/quire",
		"web": m.VarLib("quire-web"), "root": m.VarLib("quire"),
	}
	for runner, conf := range map[string]string{
		"alice": m.Users["alice"].Home + "/.config/quire/config.toml", "gitter": m.Users["gitter"].Home + "/.config/quire/config.toml",
		"web": m.Etc("quire/web.toml"), "root": m.Etc("quire/config.toml"),
	} {
		m.must(runner, "/", "mkdir", "-p", filepath.Dir(conf))
		m.add(conf, fmt.Sprintf("linger = \"1s\"\nkill_grace = \"1s\"\n[executor]\ndefault = \"host\"\n[[mirror]]\nname = \"copy\"\nrepos = [\"*\"]\nurl = %q\n",
			filepath.Join(m.Dir, "copies", "{repo}.git")))
	}
	m.must("root", m.Dir, "quire", "install", shared, served, site, roots) // the records name the files
	hold := filepath.Join(m.Dir, "hold")                                   // nobody writes into it
	if err := errors.Join(syscall.Mkfifo(hold, 0o644), os.Chmod(hold, 0o644)); err != nil {
		t.Fatal(err)
	}

	gitolite := m.forced("gitter", "gitolite", `export GL_USER=carol
case $SSH_ORIGINAL_COMMAND in
"git-receive-pack '"* | "git-upload-pack '"*) exec git-shell -c "$SSH_ORIGINAL_COMMAND" ;;
esac
echo "carol may not do this" >&2
exit 1
`)
	shell := m.forced("gitter", "forced", `exec git-shell -c "$SSH_ORIGINAL_COMMAND"`+"\n")
	rows := []row{
		{"a member of the group", "bob", shared, "alice", pushes, way{client: "bob", url: "REPO"}, "bob", false},
		{"the web server, in the group", "www", shared, "alice", pushes, way{client: "root", url: m.http + "/www/NAME"}, "www", false},
		{"somebody else", "mallory", shared, "alice", stranger, way{client: "mallory", url: "REPO"}, "", false},
		{"the owner", "alice", shared, "alice", runs, way{client: "alice", url: "REPO"}, "alice", false},
		{"root", "root", shared, "alice", becomes, way{client: "root", url: "REPO"}, "root", false},
		{"gitolite", "gitter", served, "gitter", runs, way{client: "root", url: "gitter@here:REPO", ssh: gitolite}, "", false},
		{"a forced command", "gitter", served, "gitter", runs, way{client: "root", url: "gitter@here:REPO", ssh: shell}, "", false},
		{"root, at gitolite's", "root", served, "gitter", becomes, way{client: "root", url: "REPO"}, "root", true},
		{"the web server", "web", site, "web", runs, way{client: "root", url: m.http + "/web/NAME"}, "", false},
		{"root, at the web server's", "root", site, "web", becomes, way{client: "root", url: "REPO"}, "root", true},
		{"root, at root's", "root", roots, "root", runs, way{client: "root", url: "REPO"}, "", false},
	}
	first := map[string]bool{}
	server := forgetest.NewSSHD(t)
	var ends []func()
	for _, runner := range []string{"alice", "gitter", "web"} {
		ends = append(ends, m.listen(runner))
	}
	silent := "nobody takes pushes over the socket (connect to /run/quire/alice.sock: "
	if out := m.must("root", m.Dir, "quire", "install", shared); strings.Contains(out, silent) || !strings.Contains(out, "tried as bob: a push is recorded") {
		t.Errorf("while alice listens, installing says\n%s", out)
	}
	for i, r := range rows {
		t.Run(r.name, func(t *testing.T) {
			c := check{t: t, m: m.in(t), row: r, state: states[r.runner]}
			branch := fmt.Sprintf("row-%d", i)
			if !first[r.repo] {
				first[r.repo], branch = true, "main"
			}
			c.push("push", branch)
			c.command("runs", "runs")
			c.command("log", "log", "last", "who")
			c.retry()
			c.cancel(fmt.Sprintf("hold-%d", i))
			c.trust(server)
			c.command("mirror sync", "mirror", "sync", r.repo)
			c.elsewhere()
			c.serve()
			c.command("doctor", "doctor", r.repo)
		})
	}
	for _, end := range ends {
		end()
	}
	if out := m.must("root", m.Dir, "quire", "install", shared); !strings.Contains(out, silent) {
		t.Errorf("when nobody listens, installing says\n%s", out)
	}
	for i, r := range rows {
		t.Run(r.name+", nobody listens", func(t *testing.T) {
			c := check{t: t, m: m.in(t), row: r, state: states[r.runner]}
			c.push("push, nobody listens", fmt.Sprintf("later-%d", i))
			c.command("uninstall", "uninstall", r.repo)
			if m.done(table["uninstall"][r.role]) {
				m.must("root", m.Dir, "quire", "install", r.repo)
			}
		})
	}
	m.idle()
	for _, r := range rows {
		m.owned(states[r.runner], r.runner)
		m.owned(filepath.Join(m.Dir, "copies", filepath.Base(r.repo)), r.runner)
		ran, err := filepath.Glob(filepath.Join(m.Dir, "ran", filepath.Base(r.repo)+".*"))
		if err != nil || len(ran) < 3 {
			t.Errorf("%d jobs of %s left a file, %v", len(ran), r.repo, err)
		}
		for _, path := range ran {
			var st syscall.Stat_t
			if err := syscall.Stat(path, &st); err != nil || int(st.Uid) != m.Users[r.runner].UID {
				t.Errorf("a job of %s ran as user %d, not as %s, %v", r.repo, st.Uid, r.runner, err)
			}
		}
	}
}

// done reports whether a cell is that of somebody whom quire lets do it.
func (m *machine) done(c cell) bool { return c.status == 0 }

// idle waits until no worker is there, and with it no run.
func (m *machine) idle() {
	m.t.Helper()
	m.await("the workers to leave", func() bool {
		lines, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, path := range lines {
			text, _ := os.ReadFile(path) // of a process that has ended: nothing
			argv := strings.Split(string(text), "\x00")
			if strings.HasPrefix(argv[0], programs.Prefix) && len(argv) > 1 && (argv[1] == "worker" || argv[1] == "supervise") {
				return false
			}
		}
		return true
	})
}

// check is one row under test.
type check struct {
	t     *testing.T
	m     *machine
	state string
	row
}

// expect holds what was printed to a cell.
func (c *check) expect(what, command, out string, status int) cell {
	c.t.Helper()
	want := table[what][c.role]
	says := strings.NewReplacer("REPO", c.repo, "RUNNER", c.runner, "USER", c.user, "COMMAND", command).Replace(want.says)
	said := slices.ContainsFunc(strings.Split(says, "|"), func(s string) bool { return strings.Contains(out, s) })
	if !said || status != want.status && (want.status != -1 || status == 0) {
		c.t.Errorf("%s by %s: exit %d, want %d and %q\n%s", what, c.role, status, want.status, says, out)
	}
	return want
}

// command types a command in the repository's directory.
func (c *check) command(what string, args ...string) string {
	c.t.Helper()
	out, status := c.m.as(c.user, c.dir(), "quire", args...)
	c.expect(what, strings.Join(args, " "), out, status)
	return out
}

// dir is where commands are typed: quire finds the runner by the repository.
func (c *check) dir() string { return c.repo }

// run is a run as `quire runs --json` has it.
type run struct {
	Number int
	Ref    string
	Pusher string
	State  string
}

// asked are the runner's runs, newest first.
func (c *check) asked(args ...string) []run {
	c.t.Helper()
	text := c.m.must(c.runner, c.repo, "quire", append([]string{"runs", "--json", "--repo", c.repo}, args...)...)
	var all []run
	for dec := json.NewDecoder(strings.NewReader(text)); dec.More(); {
		var r run
		if err := dec.Decode(&r); err != nil {
			c.t.Fatalf("%v in %s", err, text)
		}
		all = append(all, r)
	}
	return all
}

// push pushes, and looks as whom the push ran and who counts as its pusher.
func (c *check) push(what, branch string) {
	c.t.Helper()
	if c.closed && c.m.umask == 0o077 {
		out, status := c.m.push(c.way, c.repo, branch)
		if strings.Contains(out, "waits for") {
			// Another worker may be there still, and say it in its log.
			out = c.m.must(c.runner, c.repo, "quire", "worker", "--once")
			c.m.await("the refusal", func() bool {
				log, _ := os.ReadFile(filepath.Join(c.state, "worker.log"))
				out += string(log)
				return strings.Contains(out, "cannot read")
			})
		}
		c.expect("push into what others cannot read", "", out, status)
		if got := c.asked("--ref", branch); len(got) != 0 {
			c.t.Errorf("the runs are %+v", got)
		}
		c.m.must("root", "/", "chown", "-R", c.runner, c.repo) // as the sentence says
		if out, status := c.m.push(way{client: c.runner, url: "REPO"}, c.repo, branch+"-again"); status != 0 || !strings.Contains(out, "success: run ") {
			c.t.Fatalf("exit %d\n%s", status, out)
		}
		return
	}
	out, status := c.m.push(c.way, c.repo, branch)
	if c.expect(what, "", out, status); status != 0 {
		return
	}
	if strings.Contains(out, "waits for") {
		c.m.must(c.runner, c.repo, "quire", "worker", "--once")
		c.m.await("the push to run", func() bool {
			got := c.asked("--ref", branch)
			return len(got) > 0 && got[0].State == "succeeded"
		})
	}
	got := c.asked("--ref", branch)
	if len(got) != 1 || got[0].State != "succeeded" || c.pusher != "" && got[0].Pusher != c.pusher && !strings.HasPrefix(got[0].Pusher, c.pusher+" (") {
		c.t.Fatalf("%s: the runs are %+v, want one, by %s\n%s", what, got, c.pusher, out)
	}
	c.ranAs(got[0].Number)
}

// ranAs looks as whom a run's job ran.
func (c *check) ranAs(number int) {
	c.t.Helper()
	log := c.m.must(c.runner, c.repo, "quire", "log", fmt.Sprint(number), "who")
	if want := fmt.Sprintf("ran as %d of %d", c.m.Users[c.runner].UID, c.m.Users[c.runner].UID); !strings.Contains(log, want) {
		c.t.Errorf("run %d said %s, want %q", number, log, want)
	}
}

// elsewhere names the repository by its path, and is in no repository.
func (c *check) elsewhere() {
	c.t.Helper()
	for what, args := range map[string][]string{"runs": {"runs", "--repo", c.repo}, "mirror sync": {"mirror", "sync", c.repo}} {
		out, status := c.m.as(c.user, "/", "quire", args...)
		c.expect(what, strings.Join(args, " "), out, status)
	}
}

func (c *check) retry() {
	c.t.Helper()
	before := c.asked("--limit", "0")
	c.command("retry", "retry", "-f", "last")
	after := c.asked("--limit", "0")
	if !c.m.done(table["retry"][c.role]) {
		if len(after) != len(before) {
			c.t.Errorf("there are %d runs, and were %d", len(after), len(before))
		}
		return
	}
	if len(after) != len(before)+1 {
		c.t.Fatalf("there are %d runs, and were %d", len(after), len(before))
	}
	c.ranAs(after[0].Number)
}

// cancel ends a run of the runner's, if this user may.
func (c *check) cancel(branch string) {
	c.t.Helper()
	w := way{client: c.runner, url: "REPO"}
	if out, status := c.m.push(w, c.repo, branch, "-o", "ci.wait=start"); status != 0 {
		c.t.Fatal(out)
	}
	var held []run
	c.m.await("the run to hold", func() bool {
		held = c.asked("--ref", branch)
		if len(held) == 1 && held[0].State == "failed" {
			c.t.Fatalf("it does not hold: %s", c.m.must(c.runner, c.repo, "quire", "log", fmt.Sprint(held[0].Number), "hold"))
		}
		return len(held) == 1 && held[0].State == "running"
	})
	number := fmt.Sprint(held[0].Number)
	c.command("cancel", "cancel", number)
	if !c.m.done(table["cancel"][c.role]) {
		if now := c.asked("--ref", branch); now[0].State != "running" {
			c.t.Errorf("the run that was to stay is %s", now[0].State)
		}
		c.m.must(c.runner, c.repo, "quire", "cancel", number)
	}
	if now := c.asked("--ref", branch); now[0].State != "canceled" {
		c.t.Errorf("the run is %s", now[0].State)
	}
}

// trust pins a server's key into the runner's state.
func (c *check) trust(server *forgetest.SSHD) {
	c.t.Helper()
	pins := filepath.Join(c.state, "known_hosts")
	if err := os.RemoveAll(pins); err != nil {
		c.t.Fatal(err)
	}
	_, _, key, _, _, err := ssh.ParseKnownHosts([]byte(server.KnownHost))
	if err != nil {
		c.t.Fatal(err)
	}
	c.command("mirror trust", "mirror", "trust", "--fingerprint", ssh.FingerprintSHA256(key), server.Addr)
	pinned, _ := os.ReadFile(pins) // none: nothing is pinned
	if got := bytes.Contains(pinned, ssh.MarshalAuthorizedKey(key)[:60]); got != c.m.done(table["mirror trust"][c.role]) {
		c.t.Errorf("whether the key is pinned: %t", got)
	}
}

// serve looks whose process the pages are, by their socket.
func (c *check) serve() {
	c.t.Helper()
	socket := filepath.Join(c.m.Dir, "ran", "pages")
	cmd := c.m.command(c.user, c.dir(), "quire", "serve", "--listen", socket)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		c.t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() { cmd.Wait(); close(ended) }()
	var st syscall.Stat_t
	c.m.await("the pages", func() bool {
		select {
		case <-ended:
			return true
		default:
			return syscall.Stat(socket, &st) == nil
		}
	})
	served := st.Mode != 0
	if served {
		if int(st.Uid) != c.m.Users[c.runner].UID {
			c.t.Errorf("the pages are served by user %d, not by %s", st.Uid, c.runner)
		}
		if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
			c.t.Error(err)
		}
	}
	<-ended
	c.expect("serve", "serve --listen "+socket, out.String(), cmd.ProcessState.ExitCode())
}
