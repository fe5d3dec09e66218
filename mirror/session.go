package mirror

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
	"sync"
	"syscall"
	"time"

	"quire/internal/gitrepo"
	"quire/internal/secret"
)

// session is what the git commands of one delivery share: a git directory of
// their own, their environment, the agent.
//
// The directory has no refs, no hooks and no configuration but the object
// format; its objects are the repository's. So neither the repository's
// configuration (url.insteadOf, http.proxy, core.sshCommand, credential.helper,
// a pre-push hook) nor the user's or the system's has a say in where a
// credential goes.
type session struct {
	gitDir string // of the repository
	to     remote
	cred   credential
	way    passage
	dir    string
	env    []string
	ssh    string // how ssh is called, as a shell reads it; "" for other remotes

	postBuffer int64 // bytes of a pack whose length is told before it is sent; 0: git's own, 1 MiB

	agent *agentServer
	mu    sync.Mutex
	child int // pid of the running git, for the agent to know its clients by
}

// passed are the variables of this process's environment that git may need:
// how to get out of this network, and whom to trust.
var passed = []string{
	"PATH", "TMPDIR", "http_proxy", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY", "no_proxy", "NO_PROXY",
	"SSL_CERT_FILE", "SSL_CERT_DIR", "GIT_SSL_CAINFO", "GIT_SSL_CAPATH",
}

// openSession prepares a session. Close it.
func openSession(gitDir string, to remote, way passage, cred credential, knownHosts []string) (*session, error) {
	dir, err := privateDir()
	if err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	s := &session{gitDir: gitDir, to: to, cred: cred, way: way, dir: dir}
	if way.path != "" {
		s.to.url = way.path
	}
	if err := s.prepare(gitDir, knownHosts); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

// sessionDir is how the name of a session's directory begins; the process's id
// follows.
const sessionDir = "quire-mirror-"

// privateDir makes a directory of mode 0700, in memory where there is such a
// place: five small files made and removed on a disk cost a push of one commit
// some 2 ms, a twentieth of it.
func privateDir() (string, error) {
	name := sessionDir + strconv.Itoa(os.Getpid()) + "-"
	var err error
	for _, base := range sessionPlaces() {
		var dir string
		if dir, err = os.MkdirTemp(base, name); err == nil {
			return dir, nil
		}
	}
	return "", err
}

// sessionPlaces are where sessions' directories may lie, the best first. A
// socket's path has at most 107 bytes (unix(7)).
func sessionPlaces() []string {
	switch base := os.Getenv("TMPDIR"); {
	case base == "":
		return []string{"/dev/shm", "/tmp"}
	case len(base) > 64:
		return []string{"/tmp"}
	default:
		return []string{base}
	}
}

// sweep removes the directories of sessions whose process was killed. Nothing
// secret is in them.
func sweep() {
	for _, base := range sessionPlaces() {
		left, err := filepath.Glob(filepath.Join(base, sessionDir+"*"))
		if err != nil {
			continue
		}
		for _, dir := range left {
			id, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), sessionDir), "-")
			pid, err := strconv.Atoi(id)
			if err == nil && errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) {
				os.RemoveAll(dir) // another user's stays, and is theirs to remove
			}
		}
	}
}

func (s *session) prepare(gitDir string, knownHosts []string) error {
	if err := s.skeleton(gitDir); err != nil {
		return err
	}
	s.env = []string{
		"LC_ALL=C", "GIT_DIR=" + filepath.Join(s.dir, "git"), "GIT_OBJECT_DIRECTORY=" + objectsOf(gitDir),
		"GIT_TERMINAL_PROMPT=0", "GIT_NO_REPLACE_OBJECTS=1",
		"GIT_ALLOW_PROTOCOL=https:http:ssh:file", "GIT_NO_LAZY_FETCH=1",
	}
	for _, name := range passed {
		if v, ok := os.LookupEnv(name); ok && !s.decided(name) {
			s.env = append(s.env, name+"="+v)
		}
	}
	switch s.to.kind {
	case "ssh":
		s.env = append(s.env, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
		if err := s.prepareSSH(knownHosts); err != nil {
			return err
		}
	case "http":
		s.env = append(s.env, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent")
	case "file":
		if s.way.walled {
			s.env = append(s.env, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "HOME=/nonexistent", "XDG_CONFIG_HOME=/nonexistent")
			break
		}
		// No credential goes anywhere; and the receiving git, with its hooks,
		// is a child of this one and needs the user's own settings
		// (safe.directory among them).
		for _, name := range []string{"HOME", "USER", "LOGNAME", "XDG_CONFIG_HOME", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"} {
			if v, ok := os.LookupEnv(name); ok {
				s.env = append(s.env, name+"="+v)
			}
		}
	}
	pairs, err := s.config()
	if err != nil {
		return err
	}
	s.env = append(s.env, pairs...)
	return nil
}

// decided reports whether the route says what a variable of the environment would.
func (s *session) decided(name string) bool {
	if strings.HasSuffix(strings.ToLower(name), "_proxy") {
		return s.way.route.Proxied()
	}
	return name == "GIT_SSL_CAINFO" && s.way.route.CAFile != "" // it would win over the configuration
}

// config is git's configuration by environment (git-config(1), GIT_CONFIG_COUNT),
// which only this user's processes can read, unlike `git -c`, which is argv.
func (s *session) config() ([]string, error) {
	pairs := [][2]string{
		{"core.hooksPath", "/dev/null"},
		{"credential.helper", ""}, // the empty value clears the list
		{"transfer.credentialsInUrl", "die"},
		{"http.followRedirects", "false"},
		{"http.lowSpeedLimit", "1"}, // bytes a second, for two minutes: a stall
		{"http.lowSpeedTime", "120"},
		{"gc.auto", "0"},
		{"advice.pushUpdateRejected", "false"},
		{"push.recurseSubmodules", "no"},
		{"push.followTags", "false"},
		{"remote." + bulkRemote + ".url", s.to.url},
		{"remote." + bulkRemote + ".fetch", "+refs/*:refs/lease/*"},
	}
	if s.to.kind == "http" {
		// Scoped: it does not go to another host, whatever the server says.
		if h := s.cred.header; h != "" {
			pairs = append(pairs, [2]string{"http." + s.to.url + ".extraHeader", h})
		}
		if resolve := s.resolve(); resolve != "" {
			pairs = append(pairs, [2]string{"http.curloptResolve", resolve})
		}
		reach, err := s.way.route.Git(s.to.url, s.dir)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, reach...)
	}
	env := []string{fmt.Sprintf("GIT_CONFIG_COUNT=%d", len(pairs))}
	for i, p := range pairs {
		env = append(env, fmt.Sprintf("GIT_CONFIG_KEY_%d=%s", i, p[0]), fmt.Sprintf("GIT_CONFIG_VALUE_%d=%s", i, p[1]))
	}
	return env, nil
}

// resolve has curl connect to the addresses that were judged, in the words of
// http.curloptResolve (git 2.37; an older git does not know it, and looks the name
// up once more).
func (s *session) resolve() string {
	if len(s.way.pinned) == 0 {
		return ""
	}
	var list []string
	for _, a := range s.way.pinned {
		if strings.Contains(a, ":") {
			a = "[" + a + "]"
		}
		list = append(list, a)
	}
	return s.to.host + ":" + s.port() + ":" + strings.Join(list, ",")
}

// remoteGit is the option by which git is told what to start at the other end:
// nothing but for a local target that is not to run anything.
func (s *session) remoteGit(option, program string) []string {
	if !s.way.walled || s.to.kind != "file" {
		return nil
	}
	return []string{option + receiver(s.way.path, program)}
}

// objectsOf is where a git directory keeps its objects: its own, or for a linked
// worktree those of the repository it belongs to.
func objectsOf(gitDir string) string { return filepath.Join(commonDir(gitDir), "objects") }

func commonDir(gitDir string) string {
	common, err := os.ReadFile(filepath.Join(gitDir, "commondir"))
	if err != nil {
		return gitDir
	}
	dir := strings.TrimSpace(string(common))
	if !filepath.IsAbs(dir) {
		dir = filepath.Join(gitDir, dir)
	}
	return dir
}

func (s *session) skeleton(gitDir string) error {
	own := filepath.Join(s.dir, "git")
	if err := os.MkdirAll(filepath.Join(own, "refs"), 0o700); err != nil {
		return fmt.Errorf("mirror: %w", err)
	}
	config := "[core]\n\trepositoryformatversion = 0\n\tbare = true\n"
	if theirs, err := os.ReadFile(filepath.Join(commonDir(gitDir), "config")); err == nil && sha256Format(theirs) {
		config = "[core]\n\trepositoryformatversion = 1\n\tbare = true\n[extensions]\n\tobjectformat = sha256\n"
	}
	for name, text := range map[string]string{"HEAD": "ref: refs/heads/none\n", "config": config} {
		if err := os.WriteFile(filepath.Join(own, name), []byte(text), 0o600); err != nil {
			return fmt.Errorf("mirror: %w", err)
		}
	}
	// Where history ends, in a shallow repository.
	if shallow := filepath.Join(commonDir(gitDir), "shallow"); fileExists(shallow) {
		if err := os.Symlink(shallow, filepath.Join(own, "shallow")); err != nil {
			return fmt.Errorf("mirror: %w", err)
		}
	}
	return nil
}

func fileExists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// sha256Format reads extensions.objectFormat out of a configuration file.
func sha256Format(config []byte) bool {
	for line := range bytes.Lines(bytes.ToLower(config)) {
		key, value, ok := bytes.Cut(line, []byte("="))
		if ok && string(bytes.TrimSpace(key)) == "objectformat" && string(bytes.TrimSpace(value)) == "sha256" {
			return true
		}
	}
	return false
}

// close removes the directory and ends the agent.
func (s *session) close() {
	if s.agent != nil {
		s.agent.close()
	}
	os.RemoveAll(s.dir)
}

// output is what a command said. A remote decides about much of either stream: the
// reason beside a ref on standard output is its own, too. So both are redacted
// before anything reads them.
type output struct {
	stdout, stderr string
	exit           int   // -1: killed or not started
	err            error // the context's, or that of starting
}

// grace is how long a git that was told to end may take before it is killed.
const grace = 3 * time.Second

// git runs one command to its end. When ctx ends, its whole process group is
// ended: git leaves the talking to children.
func (s *session) git(ctx context.Context, args ...string) output {
	return s.run(ctx, "git", args...)
}

func (s *session) run(ctx context.Context, program string, args ...string) output {
	if program == "git" && s.postBuffer > 0 {
		args = append([]string{"-c", fmt.Sprintf("http.postBuffer=%d", s.postBuffer)}, args...)
	}
	c := exec.CommandContext(ctx, program, args...)
	c.Env, c.Dir = s.env, "/"
	stdout, stderr := s.cred.reading(), s.cred.reading()
	c.Stdout, c.Stderr = stdout, stderr
	c.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	c.Cancel = func() error { return syscall.Kill(-c.Process.Pid, syscall.SIGTERM) }
	c.WaitDelay = grace
	s.mu.Lock() // the agent's first question comes after
	if err := c.Start(); err != nil {
		s.mu.Unlock()
		return output{exit: -1, err: fmt.Errorf("start %s: %w", program, err)}
	}
	s.child = c.Process.Pid
	s.mu.Unlock()
	err := c.Wait()
	if ctx.Err() != nil || errors.Is(err, exec.ErrWaitDelay) || c.ProcessState.ExitCode() < 0 {
		gitrepo.EndGroup(c.Process.Pid)
	}
	s.mu.Lock()
	s.child = 0
	s.mu.Unlock()
	out := output{
		stdout: stdout.text(),
		stderr: stderr.text(),
		exit:   c.ProcessState.ExitCode(),
	}
	if ctx.Err() != nil {
		out.exit, out.err = -1, context.Cause(ctx)
	}
	return out
}

// reading takes a stream in, redacted and bounded in this order: a value that was
// cut is one that no redactor knows.
type reading struct {
	cred *credential
	to   io.Writer
	kept bounded
}

func (c *credential) reading() *reading {
	r := &reading{cred: c}
	if r.to = &r.kept; c.redactor != nil {
		r.to = c.redactor.Writer(&r.kept)
	}
	return r
}

func (r *reading) Write(p []byte) (int, error) { return r.to.Write(p) }

// text ends the stream. What would steer a terminal is taken out of it, and what
// that put together is redacted too.
func (r *reading) text() string {
	if w, ok := r.to.(*secret.Writer); ok {
		w.Close() // bounded takes everything
	}
	text := r.kept.String()
	if plain := plainText(text); plain != text {
		text = r.cred.scrub(plain)
	}
	return text
}

// bounded keeps the first and the last of a text: a remote's messages are
// unbounded, and the cause stands at either end.
type bounded struct {
	head, tail bytes.Buffer
	cut        bool
}

const (
	keepHead = 8 << 20 // a line for each of many thousand refs
	keepTail = 64 << 10
)

func (b *bounded) Write(p []byte) (int, error) {
	n := len(p)
	if room := keepHead - b.head.Len(); room > 0 {
		take := min(room, len(p))
		b.head.Write(p[:take])
		p = p[take:]
	}
	b.tail.Write(p)
	if extra := b.tail.Len() - keepTail; extra > 0 {
		b.tail.Next(extra)
		b.cut = true
	}
	return n, nil
}

func (b *bounded) String() string {
	if b.cut {
		return b.head.String() + "\n…\n" + b.tail.String()
	}
	return b.head.String() + b.tail.String()
}
