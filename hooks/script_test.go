package hooks_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"quire/internal/event"
	"quire/internal/installtest"
	"quire/internal/runlog"
	"quire/internal/spool"
)

// prefix holds the real programs, laid out as installed; source is the tree.
var prefix, source string

// goEnv is where Go keeps things, for scripts that build with another HOME.
var goEnv map[string]string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		programs, err := installtest.Build("..")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer programs.Close()
		prefix, source, goEnv = programs.Prefix, programs.Source, programs.GoEnv
		return m.Run()
	}())
}

func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:       "testdata/script",
		Setup:     setup,
		Condition: condition,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await-idle":     awaitIdle,
			"answer-none":    answerNone,
			"answer-torn":    answerTorn,
			"await":          awaitFile,
			"await-runs":     awaitRuns,
			"event":          printEvent,
			"hold-worker":    holdWorker,
			"release-worker": releaseWorker,
			"run-ends":       runEnds,
			"run-says":       runSays,
			"spooled":        spooled,
			"sshd":           startSSHD,
			"take":           take,
			"mount-tmpfs":    mountTmpfs,
			"remount-ro":     remountReadOnly,
			"fill":           fill,
		},
	})
}

// condition tells what the machine has. Where everything must be there (CI) a
// script is not skipped but fails at what is missing.
func condition(cond string) (bool, error) {
	ci := os.Getenv("CI") == "true"
	switch cond {
	case "sshd":
		_, err := os.Stat(sshdPath())
		return ci || err == nil, nil
	case "mount":
		return ci || os.Geteuid() == 0 && mayMount(), nil
	case "installed": // a quire of this machine's own, which hooks would find
		_, err := os.Stat("/usr/local/bin/quire")
		return err == nil, nil
	case "local-go": // where Go's archive puts it
		_, err := os.Stat("/usr/local/go/bin/go")
		return err == nil, nil
	case "two-users":
		_, err := exec.LookPath("setpriv")
		return ci || os.Geteuid() == 0 && err == nil, nil
	}
	return false, fmt.Errorf("unknown condition %q", cond)
}

func mayMount() bool {
	dir, err := os.MkdirTemp("", "quire-mount-")
	if err != nil {
		return false
	}
	defer os.Remove(dir)
	if syscall.Mount("quire-test", dir, "tmpfs", 0, "size=64k") != nil {
		return false
	}
	return syscall.Unmount(dir, 0) == nil
}

func setup(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	for _, v := range [][2]string{
		{"HOME", home}, {"USER", "tester"}, {"LOGNAME", "tester"}, {"LC_ALL", "C"},
		{"PATH", filepath.Join(prefix, "bin") + ":" + os.Getenv("PATH")},
		{"PREFIX", prefix}, {"HOOK", filepath.Join(prefix, "libexec/quire/post-receive")},
		{"STATE", filepath.Join(env.WorkDir, "state")},
		{"QUIRE_CONFIG", filepath.Join(env.WorkDir, "config.toml")},
		{"GIT_CONFIG_NOSYSTEM", "1"}, {"GIT_CONFIG_GLOBAL", filepath.Join(home, ".gitconfig")},
		{"SOURCE", source}, {"GOCACHE", goEnv["GOCACHE"]}, {"GOMODCACHE", goEnv["GOMODCACHE"]}, {"GOPATH", goEnv["GOPATH"]}, {"GOPROXY", goEnv["GOPROXY"]}, {"GOFLAGS", goEnv["GOFLAGS"]},
		{"A", strings.Repeat("1", 40)}, {"B", strings.Repeat("2", 40)}, {"ZERO", strings.Repeat("0", 40)},
	} {
		env.Setenv(v[0], v[1])
	}
	gitconfig := "[user]\n\tname = t\n\temail = t@t\n[init]\n\tdefaultBranch = main\n[protocol \"file\"]\n\tallow = always\n[color]\n\tui = false\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitconfig), 0o644); err != nil {
		return err
	}
	config := filepath.Join(env.WorkDir, "config.toml")
	if _, err := os.Stat(config); err == nil {
		return nil
	}
	return os.WriteFile(config, []byte("state_dir = \""+filepath.Join(env.WorkDir, "state")+"\"\n[hook]\nwait = \"none\"\n"), 0o600)
}

const patience = 60 * time.Second

func await(what string, done func() bool) error {
	for end := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("waited in vain for " + what)
		}
	}
	return nil
}

func check(ts *testscript.TestScript, err error) {
	if err != nil {
		ts.Fatalf("%v", err)
	}
}

// await PATTERN waits until a file of that name is there.
func awaitFile(ts *testscript.TestScript, _ bool, args []string) {
	check(ts, await(args[0], func() bool {
		found, _ := filepath.Glob(ts.MkAbs(args[0]))
		return len(found) > 0
	}))
}

// await-runs waits until every run is over in the history too, which is a moment
// after its report has ended.
func awaitRuns(ts *testscript.TestScript, _ bool, _ []string) {
	check(ts, await("the runs to be over", func() bool {
		cmd := exec.Command(filepath.Join(prefix, "bin/quire"), "runs", "--json")
		cmd.Env = append(os.Environ(), "QUIRE_CONFIG="+ts.Getenv("QUIRE_CONFIG"))
		out, err := cmd.Output()
		return err == nil && !strings.Contains(string(out), `"state":"running"`) && !strings.Contains(string(out), `"state":"queued"`)
	}))
}

func waiting(ts *testscript.TestScript) []event.Push {
	s := spool.Dir(ts.Getenv("STATE"))
	ids, err := s.List()
	check(ts, err)
	var pushes []event.Push
	for _, id := range ids {
		p, err := s.Read(id)
		check(ts, err)
		pushes = append(pushes, p)
	}
	return pushes
}

// spooled N fails unless N pushes wait, and nothing half done is about.
func spooled(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	check(ts, err)
	if got := len(waiting(ts)); got != n {
		ts.Fatalf("%d pushes wait in the spool, want %d", got, n)
	}
	for _, part := range []string{"tmp", "bad"} {
		if left, _ := os.ReadDir(filepath.Join(ts.Getenv("STATE"), "spool", part)); len(left) > 0 {
			ts.Fatalf("spool/%s holds %v", part, left)
		}
	}
}

// event prints the newest push as the worker will read it.
func printEvent(ts *testscript.TestScript, _ bool, _ []string) {
	pushes := waiting(ts)
	if len(pushes) == 0 {
		ts.Fatalf("no push waits in the spool")
	}
	p := pushes[len(pushes)-1]
	fmt.Fprintf(ts.Stdout(), "repository %s\npusher %s\noptions %q\n", p.GitDir, p.Pusher, p.Options)
	for _, u := range p.Updates {
		fmt.Fprintf(ts.Stdout(), "update %s %s %s\n", u.Old, u.New, event.EscapeRef(u.Ref))
	}
}

// await-idle waits until no worker runs.
func awaitIdle(ts *testscript.TestScript, _ bool, _ []string) {
	check(ts, await("the worker to leave", func() bool {
		f, err := os.Open(filepath.Join(ts.Getenv("STATE"), "locks", "worker.lock"))
		if err != nil {
			return os.IsNotExist(err)
		}
		defer f.Close()
		return syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB) == nil
	}))
}

// hold-worker makes the hook believe that a worker runs.
func holdWorker(ts *testscript.TestScript, _ bool, _ []string) {
	unlock, err := lockWorker(ts.Getenv("STATE"))
	check(ts, err)
	ts.Defer(unlock)
	held.Store(ts.Name(), unlock)
}

// held are the locks of hold-worker, by script; unlocking twice does no harm.
var held sync.Map

// release-worker undoes hold-worker, where its open file is in the way.
func releaseWorker(ts *testscript.TestScript, _ bool, _ []string) {
	unlock, ok := held.Load(ts.Name())
	if !ok {
		ts.Fatalf("no worker is held")
	}
	unlock.(func())()
}

func lockWorker(stateDir string) (unlock func(), err error) {
	path := filepath.Join(stateDir, "locks", "worker.lock")
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, err
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		return nil, err
	}
	return func() { f.Close() }, nil
}

// take [NOTE…] answers the oldest waiting push as the worker does: one run for
// each ref, with the numbers 1, 2 … and ids run1, run2 … It waits for the push.
func take(ts *testscript.TestScript, _ bool, notes []string) {
	check(ts, takePush(ts.Getenv("STATE"), notes...))
}

func takePush(stateDir string, notes ...string) error {
	return answer(stateDir, func(p event.Push) runlog.Taken {
		t := runlog.Taken{Push: p.ID, Notes: notes}
		for i, u := range p.Updates {
			id := fmt.Sprint("run", i+1)
			os.RemoveAll(string(runlog.RunDir(stateDir, id))) // of the push before
			t.Runs = append(t.Runs, runlog.TakenRun{ID: id, Number: int64(i + 1), Ref: u.Ref, New: u.New})
		}
		return t
	})
}

// answer-none NOTE… answers a push that makes no run.
func answerNone(ts *testscript.TestScript, _ bool, notes []string) {
	check(ts, answer(ts.Getenv("STATE"), func(p event.Push) runlog.Taken {
		return runlog.Taken{Push: p.ID, Notes: notes}
	}))
}

// answer-torn answers the waiting push with what is no answer.
func answerTorn(ts *testscript.TestScript, _ bool, _ []string) {
	dir := ts.Getenv("STATE")
	s := spool.Dir(dir)
	var ids []string
	check(ts, await("a push", func() bool { ids, _ = s.List(); return len(ids) > 0 }))
	check(ts, s.Remove(ids[0]))
	tmp := filepath.Join(dir, "torn")
	check(ts, os.WriteFile(tmp, []byte("{"), 0o600))
	check(ts, os.MkdirAll(runlog.PushesDir(dir), 0o700))
	check(ts, os.Rename(tmp, runlog.TakenFile(dir, ids[0])))
}

func answer(stateDir string, taken func(event.Push) runlog.Taken) error {
	s := spool.Dir(stateDir)
	var ids []string
	if err := await("a push", func() bool { ids, _ = s.List(); return len(ids) > 0 }); err != nil {
		return err
	}
	p, err := s.Read(ids[0])
	if err != nil {
		return err
	}
	t := taken(p)
	if err := runlog.WriteTaken(stateDir, t); err != nil {
		return err
	}
	return s.Remove(p.ID)
}

// run-says RUN FILE appends the file to the run's report.
func runSays(ts *testscript.TestScript, _ bool, args []string) {
	check(ts, appendReport(ts.Getenv("STATE"), args[0], ts.ReadFile(args[1])))
}

func appendReport(stateDir, run, text string) error {
	path := runlog.RunDir(stateDir, run).PushLog()
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	return errors.Join(err, f.Close())
}

// run-ends RUN… writes the outcomes.
func runEnds(ts *testscript.TestScript, _ bool, args []string) {
	for _, run := range args {
		d := runlog.RunDir(ts.Getenv("STATE"), run)
		check(ts, d.WriteOutcome(runlog.Outcome{Run: run, State: event.RunSucceeded}))
	}
}

// mount-tmpfs DIR SIZE makes a small disk.
func mountTmpfs(ts *testscript.TestScript, _ bool, args []string) {
	dir := ts.MkAbs(args[0])
	check(ts, os.MkdirAll(dir, 0o777))
	check(ts, syscall.Mount("quire-test", dir, "tmpfs", 0, "size="+args[1]))
	ts.Defer(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
}

func remountReadOnly(ts *testscript.TestScript, _ bool, args []string) {
	check(ts, syscall.Mount("quire-test", ts.MkAbs(args[0]), "tmpfs", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""))
}

// fill DIR leaves no room on DIR's disk.
func fill(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Create(filepath.Join(ts.MkAbs(args[0]), "ballast"))
	check(ts, err)
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		ts.Fatalf("fill the disk: %v", err)
	}
}

// sshd starts a server on loopback for this user and makes git use it: the URL
// ssh://quire-test/… reaches it.
func startSSHD(ts *testscript.TestScript, _ bool, _ []string) {
	sshd := sshdPath()
	dir := ts.MkAbs("sshd")
	check(ts, os.MkdirAll(dir, 0o700))
	for _, key := range []string{"host", "user"} {
		if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", filepath.Join(dir, key)).CombinedOutput(); err != nil {
			ts.Fatalf("ssh-keygen: %v\n%s", err, out)
		}
	}
	public, err := os.ReadFile(filepath.Join(dir, "user.pub"))
	check(ts, err)
	check(ts, os.WriteFile(filepath.Join(dir, "authorized_keys"), public, 0o600))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	check(ts, err)
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	config := fmt.Sprintf(`Port %d
ListenAddress 127.0.0.1
HostKey %s/host
AuthorizedKeysFile %s/authorized_keys
PidFile none
StrictModes no
UsePAM no
PasswordAuthentication no
ExposeAuthInfo yes
SetEnv QUIRE_CONFIG=%s HOME=%s GIT_CONFIG_NOSYSTEM=1
`, port, dir, dir, ts.Getenv("QUIRE_CONFIG"), ts.Getenv("HOME"))
	check(ts, os.WriteFile(filepath.Join(dir, "config"), []byte(config), 0o600))
	if os.Geteuid() == 0 {
		check(ts, os.MkdirAll("/run/sshd", 0o755)) // privilege separation; Debian's unit makes it
	}
	cmd := exec.Command(sshd, "-D", "-e", "-f", filepath.Join(dir, "config"))
	log, err := os.Create(filepath.Join(dir, "log"))
	check(ts, err)
	cmd.Stderr = log
	check(ts, cmd.Start())
	ts.Defer(func() { cmd.Process.Kill(); cmd.Wait(); log.Close() })
	check(ts, await("sshd to listen", func() bool {
		c, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", port))
		if err != nil {
			return false
		}
		c.Close()
		return true
	}))
	ts.Setenv("GIT_SSH_COMMAND", fmt.Sprintf("ssh -F none -p %d -i %s/user -o IdentitiesOnly=yes -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR", port, dir))
}

func sshdPath() string {
	if p, err := exec.LookPath("sshd"); err == nil {
		return p
	}
	return "/usr/sbin/sshd" // where it is, and where PATH of a user does not lead
}
