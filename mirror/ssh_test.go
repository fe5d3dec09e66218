package mirror

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/crypto/ssh/agent"

	"quire/internal/secret"
	"quire/mirror/forgetest"
)

func needSSHD(t *testing.T) {
	t.Helper()
	if forgetest.FindSSHD() != "" {
		return
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("needs sshd: install openssh-server")
	}
	t.Skip("needs sshd: install openssh-server")
}

// sshWorld is a world whose target is behind sshd.
func sshWorld(t *testing.T) (*world, *forgetest.SSHD, Request) {
	needSSHD(t)
	t.Setenv("TMPDIR", t.TempDir())
	w := newWorld(t)
	d := forgetest.NewSSHD(t)
	w.dst = d.Repo(t, "me/repo.git")
	w.target.URL = d.RepoURL("me/repo.git")
	one := w.commit("refs/heads/main", "one")
	req := w.request(Want{"refs/heads/main", one})
	req.Credential = secret.NewValue(d.PrivateKey)
	req.KnownHosts = []string{d.KnownHost}
	return w, d, req
}

func TestSSHKeyFromMemory(t *testing.T) {
	w, _, req := sshWorld(t)
	req.Tag = w.tag("v1", req.Refs[0].OID)
	if rep := w.deliver(req); !rep.OK() {
		t.Fatalf("%s", rep)
	}
	w.wantThere("refs/heads/main", req.Refs[0].OID)
	w.wantThere("refs/tags/v1", req.Refs[0].OID)
	if left, _ := filepath.Glob(filepath.Join(os.TempDir(), "quire-mirror-*")); len(left) != 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSSHHostKeys(t *testing.T) {
	w, d, req := sshWorld(t)
	req.KnownHosts = nil
	r := only(t, w.deliver(req))
	if r.Class != ClassHostUnknown || r.Status != Refused || !strings.Contains(r.Advice, "quire mirror trust 127.0.0.1:") {
		t.Errorf("no pin: %+v", r)
	}
	other, _ := forgetest.NewKey(t)
	host, _, _ := strings.Cut(d.KnownHost, " ")
	req.KnownHosts = []string{host + " " + other.Type() + " " + marshal(other)}
	req.Seq = w.next()
	if r := only(t, w.deliver(req)); r.Class != ClassHostKey || r.Status != Refused {
		t.Errorf("another pin: %+v", r)
	}
	w.wantThere("refs/heads/main", "")
}

// A person looks at the fingerprints and pins them; then the push works.
func TestSSHTrust(t *testing.T) {
	w, d, req := sshWorld(t)
	req.KnownHosts = nil
	if r := only(t, w.deliver(req)); r.Class != ClassHostUnknown {
		t.Fatalf("%+v", r)
	}
	keys, err := ScanHost(context.Background(), d.Addr)
	if err != nil || len(keys) != 1 || keys[0].Line != d.KnownHost || !strings.HasPrefix(keys[0].Fingerprint, "SHA256:") {
		t.Fatalf("%+v, %v; want %s", keys, err, d.KnownHost)
	}
	if err := w.engine.Trust([]HostKey{{Host: keys[0].Host, Line: keys[0].Host + " ssh-ed25519 AAAAold"}, {Host: "other", Line: "other ssh-ed25519 AAAAkept"}}); err != nil {
		t.Fatal(err)
	}
	if err := w.engine.Trust(keys); err != nil {
		t.Fatal(err)
	}
	if got, want := strings.Join(w.engine.pins(), "\n"), "other ssh-ed25519 AAAAkept\n"+d.KnownHost; got != want {
		t.Errorf("pins:\n%s\nwant:\n%s", got, want)
	}
	req.Seq = w.next()
	if rep := w.deliver(req); !rep.OK() {
		t.Errorf("%s", rep)
	}
	if _, err := ScanHost(context.Background(), "127.0.0.1:1"); err == nil {
		t.Error("a server that is not there has keys")
	}
}

func TestSSHWrongKey(t *testing.T) {
	w, _, req := sshWorld(t)
	_, pem := forgetest.NewKey(t)
	req.Credential = secret.NewValue(pem)
	if r := only(t, w.deliver(req)); r.Class != ClassAuth || r.Status != Refused {
		t.Errorf("%+v", r)
	}
	for name, value := range map[string]string{
		"no key":  token,
		"damaged": "-----BEGIN OPENSSH PRIVATE KEY-----\nbm9wZQ==\n-----END OPENSSH PRIVATE KEY-----\n",
	} {
		req.Credential = secret.NewValue(value)
		req.Seq = w.next()
		if r := only(t, w.deliver(req)); r.Class != ClassBadTarget || r.Status != Refused {
			t.Errorf("%s: %+v", name, r)
		}
	}
}

func TestSSHNoSuchRepository(t *testing.T) {
	w, d, req := sshWorld(t)
	req.Target.URL = d.RepoURL("me/nothing.git")
	if r := only(t, w.deliver(req)); r.Class != ClassNotFound || r.Status != Refused {
		t.Errorf("%+v", r)
	}
	_ = d
}

// The agent answers git's children and nobody else, though they are the same
// user's.
func TestAgentServesOnlyTheChild(t *testing.T) {
	_, pem := forgetest.NewKey(t)
	s := &session{dir: t.TempDir(), cred: credential{key: pem}}
	a, err := s.serveKey()
	if err != nil {
		t.Fatal(err)
	}
	defer a.close()
	conn, err := net.Dial("unix", a.path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if keys, err := agent.NewClient(conn).List(); err == nil {
		t.Errorf("a stranger was given %v", keys)
	}
	// As a child of the running "git".
	if _, err := exec.LookPath("ssh-add"); err != nil {
		t.Skip("needs ssh-add: install openssh-client")
	}
	c := exec.Command("sh", "-c", "read go; ssh-add -l")
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "SSH_AUTH_SOCK=" + a.path}
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	c.Stdout = &out
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	s.mu.Lock()
	s.child = c.Process.Pid
	s.mu.Unlock()
	in.Write([]byte("\n"))
	if err := c.Wait(); err != nil || !strings.Contains(out.String(), "ED25519") {
		t.Errorf("ssh-add as the child: %v, %q", err, out.String())
	}
}
