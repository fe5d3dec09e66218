package docker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"
)

// sshDialer connects by "ssh HOST docker system dial-stdio", which passes the
// bytes of one connection on to the engine's socket there.
func sshDialer(host string) (func(context.Context, string, string) (net.Conn, error), error) {
	u, err := url.Parse(host)
	if err != nil || u.Hostname() == "" || strings.HasPrefix(u.Hostname(), "-") || (u.Path != "" && u.Path != "/") {
		return nil, fmt.Errorf("docker engine at %s: not of the form ssh://USER@HOST:PORT", host)
	}
	program, err := exec.LookPath("ssh")
	if err != nil {
		return nil, errors.New("a docker engine over ssh needs ssh, which is not installed: apt-get install openssh-client")
	}
	args := []string{"-o", "BatchMode=yes", "-o", "ConnectTimeout=15", "-T"}
	if name := u.User.Username(); name != "" {
		args = append(args, "-l", name)
	}
	if port := u.Port(); port != "" {
		args = append(args, "-p", port)
	}
	args = append(args, "--", u.Hostname(), "docker", "system", "dial-stdio")
	return func(ctx context.Context, _, _ string) (net.Conn, error) {
		c := exec.Command(program, args...) // outlives the dialing's context
		in, err := c.StdinPipe()
		if err != nil {
			return nil, err
		}
		out, err := c.StdoutPipe()
		if err != nil {
			return nil, err
		}
		conn := &sshConn{cmd: c, in: in, out: out, host: host}
		c.Stderr = &conn.said
		if err := c.Start(); err != nil {
			return nil, err
		}
		conn.wait = sync.OnceFunc(func() { c.Wait() }) // its status says nothing that it has not said
		return conn, nil
	}, nil
}

// sshConn is a connection through a process's standard streams.
type sshConn struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  io.ReadCloser
	host string
	said safeBuffer
	once sync.Once
	wait func() // for the process's end; it may be called again
}

func (c *sshConn) Read(b []byte) (int, error) {
	n, err := c.out.Read(b)
	if n == 0 && err != nil {
		err = c.why(err)
	}
	return n, err
}

func (c *sshConn) Write(b []byte) (int, error) {
	n, err := c.in.Write(b)
	if errors.Is(err, syscall.EPIPE) {
		err = c.why(err)
	}
	return n, err
}

// why is the reason for an end of the stream, which ssh has given if it ended
// itself; else err.
func (c *sshConn) why(err error) error {
	c.wait() // what it said is complete then
	if said := c.said.line(); said != "" {
		return fmt.Errorf("ssh: %s", said)
	}
	return err
}

// CloseWrite ends this direction, for a hijacked connection.
func (c *sshConn) CloseWrite() error { return c.in.Close() }

func (c *sshConn) Close() error {
	c.once.Do(func() {
		c.in.Close()
		c.cmd.Process.Kill()
		c.wait()
	})
	return nil
}

func (c *sshConn) LocalAddr() net.Addr              { return sshAddr(c.host) }
func (c *sshConn) RemoteAddr() net.Addr             { return sshAddr(c.host) }
func (c *sshConn) SetDeadline(time.Time) error      { return nil }
func (c *sshConn) SetReadDeadline(time.Time) error  { return nil }
func (c *sshConn) SetWriteDeadline(time.Time) error { return nil }

type sshAddr string

func (a sshAddr) Network() string { return "ssh" }
func (a sshAddr) String() string  { return string(a) }

// safeBuffer keeps the start of what ssh says.
type safeBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *safeBuffer) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.b.Len() < 4096 {
		s.b.Write(b)
	}
	return len(b), nil
}

func (s *safeBuffer) line() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	line, _, _ := strings.Cut(strings.TrimSpace(s.b.String()), "\n")
	return line
}
