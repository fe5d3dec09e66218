package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// gitPlumbing reads with git itself: one long-lived `git cat-file` for objects,
// started at the first reading, and short commands for the rest. Each is held to
// childMemory and childTime, and killed if it says nothing for too long.
type gitPlumbing struct {
	ctx       context.Context // kills each
	gitDir    string
	memory    uint64               // what each git may take
	answering time.Duration        // how long a git that is asked for objects may say nothing
	walking   time.Duration        // and one that goes through refs or history
	asked     map[catMode]*catFile // by mode; missing until needed, and after one died
}

func openPlumbing(ctx context.Context, gitDir string) (source, error) {
	if _, err := exec.LookPath("git"); err != nil {
		return nil, fmt.Errorf("open repository %s: %w; install git 2.31 or newer", gitDir, err)
	}
	return &gitPlumbing{ctx: ctx, gitDir: gitDir, memory: childMemory, answering: answerTime, walking: walkTime, asked: map[catMode]*catFile{}}, nil
}

// command is a git that sees the repository and nothing else: neither a user's
// nor the system's configuration, no replacement objects (a run must see what was
// pushed), and none of the GIT_* variables with which a hook is started. Nor does
// it reach for the network: what a partial clone lacks is missing
// (GIT_NO_LAZY_FETCH is git 2.45; the protocol list does the same for those
// before).
func (s *gitPlumbing) command(args ...string) *exec.Cmd {
	c := exec.CommandContext(s.ctx, "git", args...)
	c.Env = []string{
		"PATH=" + os.Getenv("PATH"), "LC_ALL=C", "HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent",
		"GIT_DIR=" + s.gitDir, "GIT_CONFIG_NOSYSTEM=1", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_TERMINAL_PROMPT=0", "GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none",
	}
	c.Dir = "/"
	return c
}

func (s *gitPlumbing) stat(oid string) (kind string, size int64, err error) {
	c, err := s.ask(catInfo, oid)
	if err != nil {
		return "", 0, err
	}
	return s.answer(c, oid)
}

func (s *gitPlumbing) object(oid string) (kind string, data []byte, err error) {
	kind, size, err := s.stat(oid)
	if err == nil {
		err = sized(oid, kind, size)
	}
	if err != nil {
		return kind, nil, err
	}
	c, err := s.ask(catContents, oid)
	if err != nil {
		return "", nil, err
	}
	if kind, size, err = s.answer(c, oid); err != nil {
		return "", nil, err
	}
	if err := sized(oid, kind, size); err != nil { // it cannot have changed; but it is what is allocated
		return "", nil, s.died(c, oid, err)
	}
	data = make([]byte, size+1) // and a newline
	if _, err := io.ReadFull(c.out, data); err != nil {
		return "", nil, s.died(c, oid, err)
	}
	return kind, data[:size], nil
}

// sizes asks for many at once. What is asked and what is answered of so many fits
// into the two pipes, so neither side waits for the other.
func (s *gitPlumbing) sizes(oids []string) ([]int64, error) {
	const atOnce = 256
	out := make([]int64, 0, len(oids))
	for len(oids) > 0 {
		some := oids[:min(len(oids), atOnce)]
		oids = oids[len(some):]
		c, err := s.ask(catInfo, some...)
		if err != nil {
			return nil, err
		}
		for _, oid := range some {
			_, size, err := s.answer(c, oid)
			if err != nil {
				return nil, err
			}
			out = append(out, size)
		}
	}
	return out, nil
}

// answer reads the line that git says of an object.
func (s *gitPlumbing) answer(c *catFile, oid string) (kind string, size int64, err error) {
	head, err := c.out.ReadString('\n')
	if err != nil {
		return "", 0, s.died(c, oid, err)
	}
	// "OID type size", or "OID missing".
	f := strings.Fields(head)
	if len(f) == 2 && f[1] == "missing" {
		// A corrupt loose object is called missing too, with the truth on
		// standard error; end the child to be sure to have all of it.
		return "", 0, s.missing(c, oid)
	}
	if len(f) != 3 {
		return "", 0, s.died(c, oid, fmt.Errorf("unexpected answer %q", head))
	}
	if size, err = strconv.ParseInt(f[2], 10, 64); err != nil {
		return "", 0, s.died(c, oid, fmt.Errorf("unexpected answer %q", head))
	}
	return f[1], size, nil
}

// output is a short command's standard output; its exit status beside it, as
// some answer with that.
func (s *gitPlumbing) output(stdin string, args ...string) (string, int, error) {
	var out bytes.Buffer
	code, err := s.run(stdin, func(from io.Reader) error {
		_, err := out.ReadFrom(io.LimitReader(from, maxDirect))
		return err
	}, args...)
	return out.String(), code, err
}

// run is a short command whose output is read as it comes. If read does not read
// it to its end, git is ended.
func (s *gitPlumbing) run(stdin string, read func(io.Reader) error, args ...string) (int, error) {
	code, _, err := s.runSaying(stdin, read, args...)
	return code, err
}

// runSaying is run with the beginning of what git said on standard error.
func (s *gitPlumbing) runSaying(stdin string, read func(io.Reader) error, args ...string) (code int, said string, err error) {
	c := s.command(args...)
	if stdin != "" {
		c.Stdin = strings.NewReader(stdin)
	}
	var stderr boundedBuffer
	c.Stderr = &stderr
	out, err := c.StdoutPipe()
	if err != nil {
		return -1, "", err
	}
	if err := s.startHeld(c); err != nil {
		return -1, "", fmt.Errorf("git %s: %w", args[0], err)
	}
	readErr := read(&impatient{from: out, limit: s.walking, kill: c.Process.Kill})
	out.Close() // git ends of it, if there is more
	end := time.AfterFunc(s.walking, func() { c.Process.Kill() })
	err = c.Wait()
	end.Stop()
	if readErr != nil {
		return -1, "", readErr
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		if said := stderr.String(); said != "" {
			err = fmt.Errorf("git %s: %w", args[0], s.meaning(said))
		} else {
			err = fmt.Errorf("git %s: %s", args[0], exit.ProcessState)
		}
		return exit.ExitCode(), stderr.String(), err
	}
	return 0, stderr.String(), err
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

func (s *gitPlumbing) refs(prefix string, each func(Ref) error) error {
	args := []string{"for-each-ref", "--format=%(objectname) %(refname)"}
	if strings.HasSuffix(prefix, "/") {
		args = append(args, prefix)
	}
	var zero []BrokenRef // of packed-refs, which git shows
	_, said, err := s.runSaying("", func(out io.Reader) error {
		return eachLine(out, func(line string) error {
			if oid, name, ok := strings.Cut(line, " "); ok && strings.HasPrefix(name, prefix) {
				if strings.Trim(oid, "0") == "" {
					zero = append(zero, packedZero(commonDir(s.gitDir), name))
					return nil
				}
				return each(Ref{name, oid})
			}
			return nil
		})
	}, args...)
	if err != nil {
		return err
	}
	broken, err := s.broken()
	if err != nil {
		return err
	}
	broken = append(broken, zero...)
	for line := range strings.Lines(said) { // of which git says so; packed ones among them
		if name, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), "warning: ignoring broken ref "); ok {
			broken = append(broken, BrokenRef{Name: name, Why: "git calls it broken"})
		}
	}
	return brokenRefs(broken, prefix)
}

// broken finds the refs in files of their own that cannot be read: of those at
// nothing, git says nothing.
func (s *gitPlumbing) broken() (broken []BrokenRef, err error) {
	dir := commonDir(s.gitDir)
	if _, err := os.Lstat(filepath.Join(dir, "reftable")); err == nil {
		return nil, nil // the refs are in there
	}
	if err := zeroBytesPacked(dir); err != nil {
		return nil, err
	}
	broken = damagedPacked(dir)
	err = eachLoose(dir, func(name string, r looseRef) error {
		if r.broken == "" && r.target != "" && !mayDangle(name) {
			if _, found, err := s.resolve(r.target); err == nil && !found {
				r.broken = "names " + r.target + ", which does not exist"
			}
		}
		if r.broken != "" {
			broken = append(broken, brokenRef(dir, name, r.broken))
		}
		return nil
	})
	return broken, err
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

func (s *gitPlumbing) close() error { return s.rest() }

func (s *gitPlumbing) rest() error {
	var errs []error
	for mode, c := range s.asked {
		delete(s.asked, mode)
		if err := c.end(); err != nil {
			errs = append(errs, fmt.Errorf("git cat-file: %w", err))
		}
	}
	return errors.Join(errs...)
}
