package gitrepo

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
)

// gitPlumbing reads with git itself: one long-lived `git cat-file --batch` for
// objects, started at the first reading, and short commands for the rest.
type gitPlumbing struct {
	gitDir string
	batch  *batch // nil until needed, and after it died
}

func openPlumbing(gitDir string) (source, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, fmt.Errorf("open repository %s: %w; install git 2.31 or newer", gitDir, err)
	}
	return &gitPlumbing{gitDir: gitDir}, nil
}

// command is a git that sees the repository and nothing else: neither a user's
// nor the system's configuration, no replacement objects (go-git knows none,
// and a run must see what was pushed), and none of the GIT_* variables with
// which a hook is started. Nor does it reach for the network: what a partial
// clone lacks is missing (GIT_NO_LAZY_FETCH is git 2.45; the protocol list does
// the same for those before).
func (s *gitPlumbing) command(args ...string) *exec.Cmd {
	c := exec.Command("git", args...)
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent",
		"GIT_DIR=" + s.gitDir, "GIT_CONFIG_NOSYSTEM=1", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none",
	}
	c.Dir = "/"
	return c
}

// batch is a running `git cat-file --batch`.
type batch struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr lockedBuffer
}

// lockedBuffer is standard error, written by os/exec's goroutine while the
// child runs.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.buf.Len() < 8<<10 {
		b.buf.Write(p)
	}
	return len(p), nil
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

func (s *gitPlumbing) start() (*batch, error) {
	if s.batch != nil {
		return s.batch, nil
	}
	b := &batch{cmd: s.command("cat-file", "--batch")}
	b.cmd.Stderr = &b.stderr
	in, err := b.cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := b.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := b.cmd.Start(); err != nil {
		return nil, fmt.Errorf("git cat-file: %w", err)
	}
	b.in, b.out = in, bufio.NewReaderSize(out, 64<<10)
	s.batch = b
	return b, nil
}

// died ends a child that broke off and says why; the next reading starts
// another.
func (s *gitPlumbing) died(cause error) error {
	b := s.batch
	s.batch = nil
	b.in.Close()
	b.cmd.Process.Kill()
	b.cmd.Wait() // the reason is on standard error; the kill's status is ours
	if said := firstFatal(b.stderr.String()); said != "" {
		return errors.New(said)
	}
	return fmt.Errorf("git cat-file: %w", cause)
}

// firstFatal is git's own reason: its last fatal line, else its first.
func firstFatal(stderr string) string {
	lines := strings.Split(strings.TrimSpace(stderr), "\n")
	for i := len(lines) - 1; i >= 0; i-- {
		if said, ok := strings.CutPrefix(lines[i], "fatal: "); ok {
			return said
		}
	}
	return strings.TrimPrefix(lines[0], "error: ")
}

func (s *gitPlumbing) object(oid string) (kind string, data []byte, size int64, err error) {
	b, err := s.start()
	if err != nil {
		return "", nil, 0, err
	}
	if _, err := io.WriteString(b.in, oid+"\n"); err != nil {
		return "", nil, 0, s.died(err)
	}
	head, err := b.out.ReadString('\n')
	if err != nil {
		if err = s.died(err); notHere(err.Error()) {
			err = fmt.Errorf("%.12s: %w", oid, ErrNotFound)
		}
		return "", nil, 0, err
	}
	// "OID type size", or "OID missing".
	f := strings.Fields(head)
	if len(f) == 2 && f[1] == "missing" {
		// A corrupt loose object is called missing too, with the truth on
		// standard error; end the child to be sure to have all of it.
		return "", nil, 0, s.missing(oid)
	}
	if len(f) != 3 {
		return "", nil, 0, s.died(fmt.Errorf("unexpected answer %q", head))
	}
	if size, err = strconv.ParseInt(f[2], 10, 64); err != nil {
		return "", nil, 0, s.died(fmt.Errorf("unexpected answer %q", head))
	}
	if size > MaxFile {
		if _, err := io.CopyN(io.Discard, b.out, size+1); err != nil {
			return "", nil, 0, s.died(err)
		}
		return f[1], nil, size, nil
	}
	data = make([]byte, size+1)
	if _, err := io.ReadFull(b.out, data); err != nil {
		return "", nil, 0, s.died(err)
	}
	return f[1], data[:size], size, nil
}

func (s *gitPlumbing) missing(oid string) error {
	b := s.batch
	s.batch = nil
	b.in.Close()
	io.Copy(io.Discard, b.out)
	b.cmd.Wait()
	said := firstFatal(b.stderr.String())
	if said != "" && !notHere(said) {
		return fmt.Errorf("object %.12s is corrupt: %s", oid, said)
	}
	return fmt.Errorf("%.12s: %w", oid, ErrNotFound)
}

// notHere reports git's words for an object that only the remote of a partial
// clone has.
func notHere(said string) bool {
	return strings.Contains(said, "promisor remote") || strings.Contains(said, "lazy fetching disabled") ||
		strings.HasPrefix(said, "transport ")
}

// output is a short command's standard output; its exit status beside it, as
// some answer with that.
func (s *gitPlumbing) output(stdin string, args ...string) (string, int, error) {
	c := s.command(args...)
	c.Stdin = strings.NewReader(stdin)
	var stderr bytes.Buffer
	c.Stderr = &stderr
	out, err := c.Output()
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if said := firstFatal(stderr.String()); said != "" {
			return string(out), exit.ExitCode(), fmt.Errorf("git %s: %s", args[0], said)
		}
		return string(out), exit.ExitCode(), fmt.Errorf("git %s: exit status %d", args[0], exit.ExitCode())
	}
	return string(out), 0, err
}

func (s *gitPlumbing) resolve(ref string) (string, bool, error) {
	// for-each-ref takes patterns, and show-ref --verify is blind to a ref that
	// is broken; rev-parse with a full name guesses nothing.
	out, code, err := s.output("", "rev-parse", "--verify", "--quiet", ref)
	if code == 1 && out == "" {
		return "", false, nil
	}
	oid := strings.TrimSpace(out)
	if err == nil {
		err = checkOID(oid)
	}
	return oid, err == nil, err
}

func (s *gitPlumbing) refs(prefix string) ([]Ref, error) {
	out, _, err := s.output("", "for-each-ref", "--format=%(objectname) %(refname)")
	if err != nil {
		return nil, err
	}
	var refs []Ref
	for line := range strings.Lines(out) {
		oid, name, ok := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if ok && strings.HasPrefix(name, prefix) {
			refs = append(refs, Ref{name, oid})
		}
	}
	return refs, nil
}

func (s *gitPlumbing) head() (string, error) {
	out, code, err := s.output("", "symbolic-ref", "--quiet", "HEAD")
	if code == 1 {
		return "", nil
	}
	return strings.TrimSpace(out), err
}

func (s *gitPlumbing) isAncestor(ancestor, descendant string) (bool, error) {
	_, code, err := s.output("", "merge-base", "--is-ancestor", ancestor, descendant)
	if code == 1 {
		return false, nil
	}
	return err == nil, err
}

func (s *gitPlumbing) createTag(name, target string, note *Annotation) (string, error) {
	oid := target
	if note != nil {
		out, _, err := s.output(string(tagText(name, target, note)), "mktag")
		if err != nil {
			return "", err
		}
		oid = strings.TrimSpace(out)
	}
	ref := "refs/tags/" + name
	_, _, err := s.output(fmt.Sprintf("create %s %s\n", ref, oid), "update-ref", "--stdin")
	if err != nil {
		if _, found, resolveErr := s.resolve(ref); resolveErr == nil && found {
			return "", errors.Join(err, errTagExists)
		}
		return "", err
	}
	return oid, nil
}

func (s *gitPlumbing) close() error {
	if s.batch == nil {
		return nil
	}
	b := s.batch
	s.batch = nil
	b.in.Close()
	io.Copy(io.Discard, b.out)
	if err := b.cmd.Wait(); err != nil {
		return fmt.Errorf("git cat-file: %w", err)
	}
	return nil
}
