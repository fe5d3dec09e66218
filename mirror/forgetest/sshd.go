package forgetest

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
)

// SSHD is OpenSSH's server on loopback, which lets in one key.
type SSHD struct {
	Root       string // repositories go here
	Addr       string // host:port
	KnownHost  string // the line of known_hosts that pins it
	PrivateKey string // PEM, of the key that is let in
	User       string

	bin string // programs that a session finds first
	log *serverLog
}

// serverLog is what sshd writes while it serves.
type serverLog struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *serverLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *serverLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// Logins is how often somebody was let in.
func (s *SSHD) Logins() int { return strings.Count(s.log.String(), "Accepted ") }

// FindSSHD is the path of sshd, "" where there is none.
func FindSSHD() string {
	for _, p := range []string{"/usr/sbin/sshd", "/usr/local/sbin/sshd", "/sbin/sshd"} {
		if _, err := os.Stat(p); err == nil {
			return p
		}
	}
	p, _ := exec.LookPath("sshd")
	return p
}

// NewSSHD starts sshd as the user who runs the test; it stops with it.
func NewSSHD(t TB) *SSHD {
	t.Helper()
	dir := t.TempDir()
	me, err := user.Current()
	if err != nil {
		t.Fatalf("%v", err)
	}
	if me.Uid == "0" {
		os.MkdirAll("/run/sshd", 0o755) // sshd's own, made by its init script otherwise
	}
	bin := filepath.Join(dir, "bin")
	if err := os.Mkdir(bin, 0o755); err != nil {
		t.Fatalf("%v", err)
	}
	hostKey, hostPEM := NewKey(t)
	clientKey, clientPEM := NewKey(t)
	write := func(name, content string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(content), 0o600); err != nil {
			t.Fatalf("%v", err)
		}
		return p
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatalf("%v", err)
	}
	addr := l.Addr().String()
	_, port, _ := net.SplitHostPort(addr)
	l.Close()
	conf := write("sshd_config", strings.Join([]string{
		"ListenAddress 127.0.0.1", "Port " + port,
		"HostKey " + write("host_key", hostPEM),
		"AuthorizedKeysFile " + write("authorized_keys", string(ssh.MarshalAuthorizedKey(clientKey))),
		"SetEnv PATH=" + bin + ":" + os.Getenv("PATH"),
		"PidFile none", "UsePAM no", "StrictModes no", "PasswordAuthentication no",
		"KbdInteractiveAuthentication no", "PermitRootLogin prohibit-password", "PubkeyAuthentication yes",
	}, "\n")+"\n")
	c := exec.Command(FindSSHD(), "-D", "-e", "-f", conf)
	log := &serverLog{}
	c.Stderr = log
	if err := c.Start(); err != nil {
		t.Fatalf("start sshd: %v", err)
	}
	exited := make(chan struct{})
	go func() { c.Wait(); close(exited) }()
	t.Cleanup(func() { c.Process.Kill(); <-exited })
	for {
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
			break
		}
		select {
		case <-exited:
			t.Fatalf("sshd ended: %s", log.String())
			return nil
		case <-time.After(5 * time.Millisecond):
		}
	}
	return &SSHD{
		Root: t.TempDir(), Addr: addr, bin: bin, log: log, User: me.Username, PrivateKey: clientPEM,
		KnownHost: fmt.Sprintf("[127.0.0.1]:%s %s", port, strings.TrimSpace(string(ssh.MarshalAuthorizedKey(hostKey)))),
	}
}

// Command makes a program, a shell script, that can be called over ssh.
func (s *SSHD) Command(t TB, name, script string) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(s.bin, name), []byte("#!/bin/sh\n"+script+"\n"), 0o755); err != nil {
		t.Fatalf("%v", err)
	}
}

// Repo makes an empty bare repository and returns its directory.
func (s *SSHD) Repo(t TB, name string) string {
	dir := filepath.Join(s.Root, name)
	InitBare(t, dir)
	return dir
}

// RepoURL is what to push to.
func (s *SSHD) RepoURL(name string) string {
	return fmt.Sprintf("ssh://%s@%s%s", s.User, s.Addr, filepath.Join(s.Root, name))
}

// NewKey makes an Ed25519 key: the public half, and the private in PEM.
func NewKey(t TB) (ssh.PublicKey, string) {
	t.Helper()
	pub, priv, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatalf("%v", err)
	}
	block, err := ssh.MarshalPrivateKey(priv, "")
	if err != nil {
		t.Fatalf("%v", err)
	}
	key, err := ssh.NewPublicKey(pub)
	if err != nil {
		t.Fatalf("%v", err)
	}
	return key, string(pem.EncodeToMemory(block))
}
