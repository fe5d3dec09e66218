package mirror

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/agent"
	"golang.org/x/sys/unix"
)

// prepareSSH sets how git reaches an SSH remote.
//
// With a key of ours, ssh reads nobody's configuration: the key comes from an
// agent that lives in this process, and the server's key must be one of the
// pinned. Without one, the user's own ssh setup is used as it is (keys, agent,
// known_hosts), as in a hook that says `git push`; only it may ask nothing.
func (s *session) prepareSSH(knownHosts []string) error {
	pins := filepath.Join(s.dir, "known_hosts")
	if err := os.WriteFile(pins, []byte(strings.Join(knownHosts, "\n")+"\n"), 0o600); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	options := []string{
		"BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "ForwardAgent=no", "ControlMaster=no",
		"ControlPath=none", "PermitLocalCommand=no", "ConnectTimeout=30", "ServerAliveInterval=15", "ServerAliveCountMax=8",
	}
	command := "ssh"
	if s.cred.key == "" && s.way.walled {
		return &NotAllowedError{"ssh needs a key, and quire's own is not a pipeline's to use", doKey}
	}
	if s.cred.key == "" {
		for _, name := range []string{"HOME", "USER", "LOGNAME", "SSH_AUTH_SOCK"} {
			if v, ok := os.LookupEnv(name); ok {
				s.env = append(s.env, name+"="+v)
			}
		}
		if len(knownHosts) > 0 {
			options = append(options, "GlobalKnownHostsFile="+pins)
		}
	} else {
		var err error
		if s.agent, err = s.serveKey(); err != nil {
			return err
		}
		s.env = append(s.env, "HOME=/nonexistent")
		command = "ssh -F /dev/null"
		options = append(options, "IdentityAgent="+s.agent.path, "IdentityFile=none", "UserKnownHostsFile="+pins,
			"GlobalKnownHostsFile=/dev/null", "PreferredAuthentications=publickey", "VerifyHostKeyDNS=no")
	}
	if len(s.way.pinned) > 0 {
		// To the address that was judged, under the key that is pinned for the name.
		name := strings.ToLower(s.to.host)
		if s.to.port != "" && s.to.port != "22" {
			name = "[" + name + "]:" + s.to.port
		}
		options = append(options, "HostName="+s.way.pinned[0], "HostKeyAlias="+name)
	}
	for _, o := range options {
		command += " -o " + quoted(o)
	}
	// The directory is of os.MkdirTemp; a TMPDIR with a space or a quote would
	// need more than the shell's quotes, as ssh splits option values itself.
	if strings.ContainsAny(s.dir, " \t'\"\\%$`;&|<>(){}*?~#") {
		return fmt.Errorf("mirror: the temporary directory %s cannot be named to ssh; set TMPDIR to a plain path", s.dir)
	}
	s.ssh = command
	s.env = append(s.env, "GIT_SSH_COMMAND="+command, "GIT_SSH_VARIANT=ssh")
	return nil
}

// agentServer is an ssh-agent with one key, in this process.
type agentServer struct {
	path     string
	listener *net.UnixListener
	keys     agent.Agent
	done     sync.WaitGroup
	mu       sync.Mutex
	open     map[net.Conn]bool
	closed   bool
}

// serveKey starts the agent on a socket in the session's own directory (mode
// 0700). Root, and a process of the same user that looks in there, get as far
// as connecting; only descendants of the running git are answered.
func (s *session) serveKey() (*agentServer, error) {
	raw, err := ssh.ParseRawPrivateKey([]byte(s.cred.key))
	if err != nil {
		if _, ok := err.(*ssh.PassphraseMissingError); ok {
			return nil, fmt.Errorf("the private key has a passphrase, and nobody is there to type it: store it without one (ssh-keygen -p), its protection is the secret's")
		}
		return nil, fmt.Errorf("the private key cannot be read: it is damaged, or of a kind that ssh does not know")
	}
	keys := agent.NewKeyring()
	if err := keys.Add(agent.AddedKey{PrivateKey: raw}); err != nil {
		return nil, fmt.Errorf("the private key cannot be used: %w", err)
	}
	path := filepath.Join(s.dir, "agent")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		return nil, fmt.Errorf("mirror: serve the key: %w", err)
	}
	a := &agentServer{path: path, listener: l, keys: keys, open: map[net.Conn]bool{}}
	a.done.Go(func() {
		for {
			conn, err := l.AcceptUnix()
			if err != nil {
				return // closed
			}
			if !s.isClient(conn) || !a.track(conn) {
				conn.Close()
				continue
			}
			a.done.Go(func() {
				defer a.untrack(conn)
				agent.ServeAgent(a.keys, conn) // ends with the connection
			})
		}
	})
	return a, nil
}

// isClient reports whether the other end descends from the running git.
func (s *session) isClient(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return false
	}
	var peer *unix.Ucred
	if cerr := raw.Control(func(fd uintptr) {
		peer, err = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED)
	}); cerr != nil || err != nil {
		return false
	}
	s.mu.Lock()
	git := s.child
	s.mu.Unlock()
	for pid, hops := int(peer.Pid), 0; pid > 1 && hops < 16; hops++ {
		if pid == git {
			return true
		}
		pid = parentOf(pid)
	}
	return false
}

// parentOf reads field 4 of /proc/PID/stat (proc(5)); field 2 is a name in
// parentheses that may itself hold any character.
func parentOf(pid int) int {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return 0
	}
	rest := string(stat[strings.LastIndexByte(string(stat), ')')+1:])
	var state string
	var parent int
	fmt.Sscan(rest, &state, &parent)
	return parent
}

func (a *agentServer) track(c net.Conn) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return false
	}
	a.open[c] = true
	return true
}

func (a *agentServer) untrack(c net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.open, c)
	c.Close()
}

// close ends the agent and forgets the key.
func (a *agentServer) close() {
	a.listener.Close()
	a.mu.Lock()
	a.closed = true
	for c := range a.open {
		c.Close()
	}
	a.mu.Unlock()
	a.done.Wait()
	a.keys.RemoveAll()
}
