package attack

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"quire/internal/executor/executortest"
	"quire/mirror/forgetest"
)

// atHome has all commands of the machine run where the account that they belong to
// has the machine's home: OpenSSH reads that of the list of accounts and does not
// ask HOME. It is done in a mount namespace of their own, so nothing of the
// machine that runs the tests changes.
func (m *machine) atHome() {
	m.t.Helper()
	accounts, err := os.ReadFile("/etc/passwd")
	if err != nil {
		m.t.Fatal(err)
	}
	id := strconv.Itoa(m.UID)
	lines := slices.DeleteFunc(strings.Split(strings.TrimSpace(string(accounts)), "\n"), func(line string) bool {
		f := strings.Split(line, ":")
		return len(f) > 2 && f[2] == id
	})
	lines = append(lines, fmt.Sprintf("operator:x:%s:%s::%s:/bin/sh", id, id, m.Home))
	passwd := filepath.Join(m.Dir, "etc", "passwd")
	m.write(passwd, strings.Join(lines, "\n")+"\n")
	if err := os.Chmod(passwd, 0o644); err != nil {
		m.t.Fatal(err)
	}
	if os.Geteuid() == 0 {
		m.enter = []string{"unshare", "--mount", "--propagation", "private", "--", "sh", "-c", `mount --bind "$0" /etc/passwd && exec "$@"`, passwd}
		if m.UID != 0 {
			groups := "--clear-groups"
			for _, g := range engineGroups() {
				groups = fmt.Sprintf("--groups=%d", g)
			}
			m.enter = append(m.enter, "setpriv", "--reuid="+id, "--regid="+id, groups, "--")
		}
	} else {
		m.enter = []string{"bwrap", "--dev-bind", "/", "/", "--bind", passwd, "/etc/passwd", "--"}
	}
	if out, err := m.command(m.Dir, "true").CombinedOutput(); err != nil {
		m.t.Fatalf("no namespace for the list of accounts: %v\n%s", err, out)
	}
}

// R1: a mirror over ssh of a pipeline in a sandbox is made with the secret that it
// names or not at all. The operator's keys, configuration, known hosts and agent are
// in reach of ssh, and would open the server's door.
func TestAMirrorTakesNothingOfTheOperatorsSSH(t *testing.T) {
	if forgetest.FindSSHD() == "" {
		executortest.Needs(t, "sshd: install openssh-server")
	}
	for _, program := range []string{"unshare", "setpriv", "ssh-agent"} {
		if _, err := exec.LookPath(program); err != nil {
			executortest.Needs(t, program)
		}
	}
	on(t, []string{"host", "bwrap", "docker"}, func(t *testing.T, m *machine) {
		d := forgetest.NewSSHD(t)
		dst := d.Repo(t, "copy.git")
		url := d.RepoURL("copy.git")
		host, port, _ := strings.Cut(d.Addr, ":")
		// All that lets the operator in, under the server's name and another.
		key := filepath.Join(m.Home, ".ssh", "id_ed25519")
		m.write(key, d.PrivateKey)
		m.write(filepath.Join(m.Home, ".ssh", "known_hosts"), d.KnownHost+"\n")
		m.write(filepath.Join(m.Home, ".ssh", "config"), fmt.Sprintf("Host copies\n\tHostName %s\n\tPort %s\n\tUser %s\nHost *\n\tIdentityFile %s\n", host, port, d.User, key))
		m.own(m.Home)
		agent := filepath.Join(m.Dir, "tmp", "agent")
		m.env = append(m.env, "SSH_AUTH_SOCK="+agent)
		m.atHome()
		m.startAgent(agent, key)

		_, stranger := forgetest.NewKey(t)
		m.secret("other_key", strings.TrimSpace(stranger))
		m.configure(fmt.Sprintf("\n[env]\npass = [\"SSH_AUTH_SOCK\"]\n\n[ssh]\nknown_hosts = [%q]\n", d.KnownHost))
		m.configure(fmt.Sprintf("\n[mirroring]\nallow_urls = [\"ssh://%s\", \"ssh://copies\"]\n", d.Addr))
		r := m.repository("project")
		alias := "ssh://copies" + filepath.Join(d.Root, "copy.git")
		steal := "export SSH_AUTH_SOCK=" + agent + " GIT_SSH_COMMAND='ssh -i " + key + "'; true\n"

		r.push("main", mirrorsTo(steal, "", url, alias, "copies:"+filepath.Join(d.Root, "copy.git")))
		m.idle()
		log := m.jobLog()
		if m.Executor == "host" { // so it is the wall that keeps the others out
			if strings.Count(log, "PUSHED") != 3 || d.Logins() == 0 {
				t.Errorf("the operator's own ssh does not work here, so the test shows nothing; the job's log:\n%s", log)
			}
			return
		}
		if strings.Contains(log, "PUSHED") || strings.Count(log, ":secret") != 3 {
			t.Errorf("without a secret; the job's log:\n%s", log)
		}
		// With a key that the server does not know, nothing else is tried.
		r.push("main", mirrorsTo(steal, ":secret :other_key", url))
		m.idle()
		if log := m.jobLog(); strings.Contains(log, "PUSHED") || !strings.Contains(log, "(auth)") {
			t.Errorf("with another key; the job's log:\n%s", log)
		}
		if n := d.Logins(); n != 0 {
			t.Errorf("somebody was let in %d times", n)
		}
		if refs := strings.TrimSpace(m.gitAt(dst, "for-each-ref")); refs != "" {
			t.Errorf("the copy has %s", refs)
		}
		m.nowhere(strings.Split(d.PrivateKey, "\n")[2])
	})
}

// startAgent starts the operator's agent with a key in it.
func (m *machine) startAgent(socket, key string) {
	m.t.Helper()
	c := m.command(m.Dir, "ssh-agent", "-D", "-a", socket)
	if err := c.Start(); err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(func() {
		c.Process.Kill()
		c.Wait()
	})
	for {
		if _, err := os.Stat(socket); err == nil {
			break
		}
		if m.command(m.Dir, "true").Run() != nil { // takes a moment
			m.t.Fatal("the agent does not start")
		}
	}
	m.must(m.Dir, "ssh-add", "-q", key)
}

// gitAt reads a repository of whoever runs the tests.
func (m *machine) gitAt(dir string, args ...string) string {
	m.t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	out, err := c.Output()
	if err != nil {
		m.t.Fatal(err)
	}
	return string(out)
}
