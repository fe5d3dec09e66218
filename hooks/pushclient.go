package hooks

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// pushClient is how the end of the client shows while nothing is written to it. git
// receive-pack waits for the hook and looks at nothing else, so a client that was
// killed goes unnoticed for as long as the jobs are silent.
type pushClient struct {
	receivePack int
	chain       []ancestor // from receive-pack up to the client, or to the server's end of its connection
}

// ancestor is a process whose parent is to stay the same.
type ancestor struct{ pid, parent int }

// maxChain is how many processes may stand between receive-pack and the client:
// shells, a forge's own programs.
const maxChain = 8

// findClient looks at the processes above this one. The client itself (git push on
// this machine, by way of a path) or what serves its connection (sshd) is the last
// one whose end counts: a terminal above it may close.
func findClient() pushClient {
	c := pushClient{}
	c.receivePack, _ = receivePack()
	for pid := c.receivePack; pid > 1 && len(c.chain) < maxChain; {
		parent, _ := procStat(pid)
		if parent == 0 {
			break
		}
		c.chain = append(c.chain, ancestor{pid, parent})
		if isClient(parent) {
			return c
		}
		pid = parent
	}
	// Nobody there is known: only receive-pack's own parent can be relied on.
	c.chain = c.chain[:min(len(c.chain), 1)]
	return c
}

// isClient reports whether a process is git push, or sshd's for one connection.
func isClient(pid int) bool {
	cmdline, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "cmdline"))
	if err != nil {
		return false
	}
	args := strings.Split(string(cmdline), "\x00")
	name, _, _ := strings.Cut(filepath.Base(args[0]), ":") // sshd writes "sshd: USER"
	if strings.HasPrefix(name, "sshd") || name == "git-http-backend" {
		return true
	}
	return name == "git" && slices.ContainsFunc(args[1:], func(arg string) bool {
		return arg == "push" || arg == "send-pack" || arg == "http-backend"
	})
}

// gone reports whether the client has ended.
func (c pushClient) gone() bool {
	for _, a := range c.chain {
		if parent, _ := procStat(a.pid); parent != a.parent {
			return true
		}
	}
	return c.unread()
}

// unread reports whether nobody reads what receive-pack writes. To open a pipe for
// writing fails if it has no reader (fifo(7), ENXIO). The end of a socket does not
// show like that.
func (c pushClient) unread() bool {
	stdout := filepath.Join("/proc", strconv.Itoa(c.receivePack), "fd", "1")
	if to, err := os.Readlink(stdout); err != nil || !strings.HasPrefix(to, "pipe:") {
		return false
	}
	fd, err := syscall.Open(stdout, syscall.O_WRONLY|syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if err == nil {
		syscall.Close(fd)
	}
	return errors.Is(err, syscall.ENXIO)
}
