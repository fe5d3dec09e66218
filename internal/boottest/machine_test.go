package boottest

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// patience is how long a fact is waited for before the test fails.
const patience = 2 * time.Minute

// machine is a container that systemd boots. Its programs are this machine's: /usr is
// shown under an overlay. All else is its own, lies below dir, and outlives a boot.
// A power cut is SIGKILL for all of it at one instant; what the kernel has not yet
// written to the disk is not lost by that, as it would be on a real machine.
//
//	git    owns /srv/git/project.git and is its runner
//	alice  is in git's group, and pushes as herself
type machine struct {
	t   *testing.T
	dir string // its / but for /usr

	cgroups []string // those that it lives in
	nspawn  *exec.Cmd
	ended   chan error // what nspawn's end was
	init    int        // the pid of its systemd, as it is seen here
	log     string     // what its console shows
}

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin"

func newMachine(t *testing.T) *machine {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root, to boot a machine")
	}
	for _, need := range []string{"/usr/bin/systemd-nspawn", "/usr/lib/systemd/systemd", "/usr/bin/dbus-daemon"} {
		if _, err := os.Stat(need); err != nil {
			t.Skipf("needs %s: install systemd, systemd-container and dbus", need)
		}
	}
	if to, err := os.Readlink("/bin"); err != nil || to != "usr/bin" {
		t.Skip("needs a system that has all its programs below /usr")
	}
	base, err := os.MkdirTemp("", "quire-boot-") // the parents of t.TempDir are root's alone
	if err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, dir: filepath.Join(base, "root"), log: filepath.Join(base, "console")}
	t.Cleanup(func() {
		if t.Failed() && m.nspawn != nil && m.init != 0 {
			out, _ := m.in("root", "journalctl", "--no-pager", "--no-hostname", "-o", "short-monotonic", "-u", "quire-*").CombinedOutput()
			t.Logf("journal:\n%s\nworker.log:\n%s", out, m.read("/home/git/.local/state/quire/worker.log"))
		}
		m.cutPower()
		m.removeCgroups()
		if t.Failed() {
			console, _ := os.ReadFile(m.log)
			t.Logf("console:\n%s", console[max(0, len(console)-8000):])
		}
		if err := os.RemoveAll(base); err != nil {
			t.Error(err)
		}
	})
	for _, dir := range []string{"", "etc/systemd/system", "usr", "usr.upper", "usr.work", "var/lib", "var/log/journal", "run", "tmp", "root", "home", "srv/git", "src", "proc", "sys", "dev"} {
		if err := os.MkdirAll(filepath.Join(m.dir, dir), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []string{"bin", "sbin", "lib", "lib64"} {
		if err := os.Symlink("usr/"+link, filepath.Join(m.dir, link)); err != nil {
			t.Fatal(err)
		}
	}
	for name, text := range map[string]string{
		"machine-id":    "0123456789abcdef0123456789abcdef\n", // without one, every unit of the host's packages would be switched on
		"hostname":      "boottest\n",
		"hosts":         "127.0.0.1 localhost boottest\n",
		"nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
		"shells":        "/bin/sh\n",
		"gitconfig":     "[init]\n\tdefaultBranch = main\n[user]\n\tname = t\n\temail = t@t\n[safe]\n\tdirectory = *\n",
		"passwd":        "root:x:0:0::/root:/bin/sh\nnobody:x:65534:65534::/nonexistent:/usr/sbin/nologin\ngit:x:1201:1201::/home/git:/bin/sh\nalice:x:1202:1202::/home/alice:/bin/sh\n",
		"group":         "root:x:0:\nnogroup:x:65534:\ngit:x:1201:alice\nalice:x:1202:\n",
		"fstab":         "",
		"shadow":        "root:*:19000:0:99999:7:::\ngit:*:19000:0:99999:7:::\nalice:*:19000:0:99999:7:::\n",
		"login.defs":    "",
		"pam.d/other":   "auth sufficient pam_rootok.so\nauth required pam_deny.so\naccount required pam_permit.so\npassword required pam_deny.so\nsession required pam_permit.so\n",
	} {
		m.write("/etc/"+name, text, 0)
	}
	for _, copied := range []string{"ld.so.cache", "ld.so.conf"} {
		data, err := os.ReadFile("/etc/" + copied)
		if err != nil {
			t.Fatal(err)
		}
		m.write("/etc/"+copied, string(data), 0)
	}
	if err := errors.Join(
		os.Symlink("/usr/lib/systemd/system/multi-user.target", m.at("/etc/systemd/system/default.target")),
		os.Symlink("../usr/lib/os-release", m.at("/etc/os-release")),
		os.Mkdir(m.at("/home/git"), 0o755), os.Chown(m.at("/home/git"), gitUser, gitUser),
		os.Mkdir(m.at("/home/alice"), 0o755), os.Chown(m.at("/home/alice"), aliceUser, aliceUser),
		os.Chown(m.at("/srv/git"), gitUser, gitUser),
	); err != nil {
		t.Fatal(err)
	}
	m.makeCgroups(filepath.Base(base))
	return m
}

const gitUser, aliceUser = 1201, 1202

// makeCgroups gives the machine its own below this process's, so that none of it is
// left and two machines do not meet.
func (m *machine) makeCgroups(name string) {
	m.t.Helper()
	mine, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		m.t.Fatal(err)
	}
	for line := range strings.Lines(string(mine)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		var mounts []string
		switch fields[1] {
		case "":
			mounts = []string{"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}
		case "name=systemd":
			mounts = []string{"/sys/fs/cgroup/systemd"}
		}
		for _, mount := range mounts {
			parent := filepath.Join(mount, fields[2])
			if _, err := os.Stat(filepath.Join(parent, "cgroup.procs")); err != nil {
				continue // the other of the two places of version 2
			}
			if err := os.Mkdir(filepath.Join(parent, name), 0o755); err != nil {
				m.t.Fatal(err)
			}
			m.cgroups = append(m.cgroups, filepath.Join(parent, name))
		}
	}
}

func (m *machine) removeCgroups() {
	m.t.Helper()
	for _, top := range m.cgroups {
		var dirs []string
		err := filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
			if err == nil && e.IsDir() {
				dirs = append(dirs, path)
			}
			return err
		})
		slices.Reverse(dirs)
		for _, dir := range dirs {
			err = errors.Join(err, os.Remove(dir))
		}
		if err != nil {
			m.t.Error(err)
		}
	}
}

// at is where a file of the machine's is seen from outside.
func (m *machine) at(path string) string { return filepath.Join(m.dir, path) }

func (m *machine) write(path, text string, owner int) {
	m.t.Helper()
	name := m.at(path)
	err := os.MkdirAll(filepath.Dir(name), 0o755)
	if err == nil {
		err = errors.Join(os.WriteFile(name, []byte(text), 0o644), os.Chown(name, owner, owner))
	}
	if err != nil {
		m.t.Fatal(err)
	}
}

// read is a file of the machine's; "" if there is none.
func (m *machine) read(path string) string {
	data, _ := os.ReadFile(m.at(path))
	return string(data)
}

// boot starts the machine and returns when its systemd has nothing more to start.
func (m *machine) boot() {
	m.t.Helper()
	source, err := filepath.Abs("../..")
	if err != nil {
		m.t.Fatal(err)
	}
	out, err := exec.Command("go", "env", "GOROOT", "GOCACHE", "GOMODCACHE").Output()
	if err != nil {
		m.t.Fatal(err)
	}
	env := strings.Fields(string(out))
	console, err := os.OpenFile(m.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		m.t.Fatal(err)
	}
	defer console.Close()
	// The mount namespace is the machine's, and goes with it.
	m.nspawn = exec.Command("unshare", "--mount", "--propagation", "private", "sh", "-c",
		`for cgroup in $2; do echo $$ >"$cgroup/cgroup.procs" || exit; done
mount -t overlay none -o lowerdir=/usr,upperdir="$1/usr.upper",workdir="$1/usr.work" "$1/usr" && shift 2 && exec systemd-nspawn "$@"`,
		"boot", m.dir, strings.Join(m.cgroups, " "),
		"--quiet", "--boot", "--register=no", "--keep-unit", "--private-network", "--console=pipe", "--link-journal=no", "--resolv-conf=off", "--timezone=off",
		"--machine="+filepath.Base(filepath.Dir(m.dir)), "--directory="+m.dir,
		"--bind-ro="+source+":/src", "--bind-ro="+env[0]+":/usr/local/go", "--bind="+env[1]+":/gocache", "--bind-ro="+env[2]+":/gomodules",
		"--", "systemd.log_target=console", "systemd.show_status=false")
	m.nspawn.Stdout, m.nspawn.Stderr = console, console
	m.nspawn.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := m.nspawn.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.ended = make(chan error, 1)
	go func(cmd *exec.Cmd, ended chan<- error) { ended <- cmd.Wait() }(m.nspawn, m.ended)
	m.init = 0
	m.until("systemd has started", func() bool { m.init = m.findInit(); return m.init != 0 })
	// Until its systemd answers, there is nobody to ask; afterwards --wait waits.
	state := ""
	m.until("the boot is finished", func() bool {
		out, _ := m.in("root", "systemctl", "is-system-running", "--wait").Output()
		state = strings.TrimSpace(string(out))
		return state == "running" || state == "degraded"
	})
	if failed := m.must("root", "systemctl", "list-units", "--failed", "--plain", "--no-legend"); strings.Contains(failed, "quire") {
		m.t.Fatalf("the machine is %s:\n%s", state, failed)
	}
}

// findInit is the pid of the machine's first process: a child of nspawn's that is
// the first of a pid namespace and has become systemd.
func (m *machine) findInit() int {
	pid := strconv.Itoa(m.nspawn.Process.Pid)
	children, _ := os.ReadFile("/proc/" + pid + "/task/" + pid + "/children")
	for _, child := range strings.Fields(string(children)) {
		status, _ := os.ReadFile("/proc/" + child + "/status")
		name, _ := os.ReadFile("/proc/" + child + "/comm")
		for line := range strings.Lines(string(status)) {
			if ids, is := strings.CutPrefix(line, "NSpid:"); is && strings.HasSuffix(strings.TrimSpace(ids), "\t1") && string(name) == "systemd\n" {
				n, _ := strconv.Atoi(child)
				return n
			}
		}
	}
	return 0
}

// cutPower ends every process of the machine's at one instant.
func (m *machine) cutPower() {
	if m.nspawn == nil {
		return
	}
	if m.init != 0 {
		_ = syscall.Kill(m.init, syscall.SIGKILL) // it may have ended
	} else {
		_ = m.nspawn.Process.Kill()
	}
	<-m.ended
	m.nspawn = nil
}

// powerOff has it shut down, and waits for that.
func (m *machine) powerOff() {
	m.t.Helper()
	m.must("root", "systemctl", "--no-block", "poweroff")
	select {
	case err := <-m.ended:
		m.nspawn = nil
		if err != nil {
			m.t.Fatalf("shut down: %v", err)
		}
	case <-time.After(patience):
		m.t.Fatal("the machine does not shut down")
	}
}

// in is a program that a user starts on the machine, as in a session: what it leaves
// behind goes on after it, and ends with the machine.
func (m *machine) in(user, program string, args ...string) *exec.Cmd {
	home := "/home/" + user
	if user == "root" {
		home = "/root"
	}
	argv := []string{"--target", strconv.Itoa(m.init), "--all", "--root", "--wd", "--",
		"/usr/bin/env", "-i", "PATH=" + path + ":/usr/local/go/bin", "HOME=" + home, "USER=" + user, "LC_ALL=C"}
	if user != "root" {
		argv = append(argv, "systemd-run", "--scope", "--quiet", "--collect", "setpriv", "--reuid="+user, "--regid="+user, "--init-groups", "--")
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	m.t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, "nsenter", append(append(argv, program), args...)...)
	cmd.WaitDelay = 5 * time.Second // what nsenter or a push leaves behind may keep the output open
	return cmd
}

// must runs a program, fails the test if that fails, and returns what it printed.
func (m *machine) must(user, program string, args ...string) string {
	m.t.Helper()
	var out bytes.Buffer
	cmd := m.in(user, program, args...)
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil && !errors.Is(err, exec.ErrWaitDelay) {
		m.t.Fatalf("%s: %s %s: %v\n%s", user, program, strings.Join(args, " "), err, out.String())
	}
	return out.String()
}

// sh is must of a shell's script.
func (m *machine) sh(user, script string) string {
	m.t.Helper()
	return m.must(user, "sh", "-euc", script)
}

// until waits for a fact.
func (m *machine) until(what string, is func() bool) {
	m.t.Helper()
	for end := time.Now().Add(patience); !is(); {
		if time.Now().After(end) {
			m.t.Fatalf("waited in vain: %s", what)
		}
		select {
		case err := <-m.ended:
			m.nspawn = nil
			m.t.Fatalf("the machine ended while this was waited for: %s: %v", what, err)
		case <-time.After(20 * time.Millisecond):
		}
	}
}
