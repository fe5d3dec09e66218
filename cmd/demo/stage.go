package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"quire/mirror/forgetest"
)

// stage is the directory in which everything happens.
type stage struct {
	dir      string
	quire    string // the program, beside which the hooks are
	config   string
	state    string
	project  string // the bare repository that is pushed to
	checkout string
	forge    string // what the forge has of it
	token    string

	closeForge func()
}

func newStage() (*stage, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "quire-demo-")
	if err != nil {
		return nil, err
	}
	random := make([]byte, 16)
	rand.Read(random) // never fails
	return &stage{
		dir:      dir,
		quire:    filepath.Join(filepath.Dir(self), "quire"),
		config:   filepath.Join(dir, "config.toml"),
		state:    filepath.Join(dir, "state"),
		project:  filepath.Join(dir, "project.git"),
		checkout: filepath.Join(dir, "checkout"),
		forge:    filepath.Join(dir, "forge", "project.git"),
		token:    "demo_" + hex.EncodeToString(random),
	}, nil
}

// clear waits for the worker to leave, which it does when it is idle, and
// removes everything. The forge is there until then: a mirror that finds it gone
// would try again for a while.
func (s *stage) clear(keep bool) error {
	left := s.workerLeft()
	if s.closeForge != nil {
		s.closeForge()
	}
	if !left {
		return fmt.Errorf("quire's worker is still at work in %s, which therefore stays", s.dir)
	}
	if keep {
		return nil
	}
	return os.RemoveAll(s.dir)
}

func (s *stage) workerLeft() bool {
	f, err := os.Open(filepath.Join(s.state, "locks", "worker.lock"))
	if err != nil {
		return true // none ever ran
	}
	defer f.Close()
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		if syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) == nil {
			return true
		}
	}
	return false
}

// openForge serves the forge's repositories on loopback to those who know the
// token.
func (s *stage) openForge() (url string, err error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	known := func(_, password, _ string) bool { return password == s.token }
	server := &http.Server{Handler: forgetest.Handler(filepath.Dir(s.forge), known)}
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	s.closeForge = func() {
		server.Close()
		<-served
	}
	return "http://" + l.Addr().String() + "/project.git", nil
}

// build makes both repositories, the configuration, and the commit to push.
func (s *stage) build(ctx context.Context, url string) error {
	files := map[string]string{
		s.config: fmt.Sprintf("state_dir = %q\nlinger = \"100ms\"\n\n[secrets.forge_token]\nfile = %q\n",
			s.state, filepath.Join(s.dir, "token")),
		filepath.Join(s.dir, "token"):                 s.token + "\n",
		filepath.Join(s.dir, ".gitconfig"):            "[user]\n\tname = Demo\n\temail = demo@example.org\n[init]\n\tdefaultBranch = main\n",
		filepath.Join(s.checkout, ".quire", "ci.fnl"): pipeline(url),
		filepath.Join(s.checkout, "greet.sh"):         "echo \"Hello, ${1:-world}!\"\n",
		filepath.Join(s.checkout, "test.sh"):          "sleep 1\ntest \"$(sh greet.sh)\" = 'Hello, world!'\ntest \"$(sh greet.sh Ada)\" = 'Hello, Ada!'\n",
	}
	for path, text := range files {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			return err
		}
	}
	for _, command := range [][]string{
		{"git", "init", "-q", "--bare", s.project},
		{"git", "init", "-q", "--bare", s.forge},
		{s.quire, "install", s.project},
		{"git", "-C", s.checkout, "init", "-q"},
		{"git", "-C", s.checkout, "add", "."},
		{"git", "-C", s.checkout, "commit", "-q", "-m", "Say hello"},
		{"git", "-C", s.checkout, "remote", "add", "origin", s.project},
	} {
		if _, err := s.output(ctx, command...); err != nil {
			return err
		}
	}
	return nil
}

// pipeline is what the project's ci.fnl says.
func pipeline(url string) string {
	return strings.ReplaceAll(`(local ci (require :quire.ci))
(local {: runtime} ci)

(ci.job :test [:quire/push]
  (fn [] (runtime.run "sh -eu test.sh")))

(ci.job :syntax [:quire/push]
  (fn [] (runtime.run "for f in *.sh; do sh -n $f; done")))

(ci.mirror "URL"
  {:secret :forge_token
   :tag    (fn [push] (.. "v" (os.date "!%Y.%m.%d") "-" (push.sha:sub 1 8)))
   :refs   ["refs/heads/main"]
   :after  [:test :syntax]})
`, "URL", url)
}

// showArrival shows what the forge has now, which must be what was pushed and a
// tag of it.
func (s *stage) showArrival(ctx context.Context) error {
	pushed, err := s.output(ctx, "git", "-C", s.checkout, "rev-parse", "--short=8", "HEAD")
	if err != nil {
		return err
	}
	out, err := s.output(ctx, "git", "-C", s.forge, "for-each-ref", "--format=%(objectname:short=8) %(refname)")
	if err != nil {
		return err
	}
	fmt.Println("The forge, which asked for a token, now has")
	arrived := map[string]int{}
	for line := range strings.Lines(out) {
		oid, ref, _ := strings.Cut(strings.TrimSpace(line), " ")
		kind, name := "branch", strings.TrimPrefix(ref, "refs/heads/")
		if tag, ok := strings.CutPrefix(ref, "refs/tags/"); ok {
			kind, name = "tag", tag
		}
		fmt.Printf("  %-6s  %s  %s\n", kind, oid, name)
		if oid == strings.TrimSpace(pushed) {
			arrived[kind]++
		}
	}
	if arrived["branch"] != 1 || arrived["tag"] != 1 {
		return errors.New("that is not the one branch and one tag that were pushed")
	}
	return nil
}

// showSecrecy looks for the token in everything that quire wrote. The worker may
// be on its way out still: a file of the database's that it takes away while
// this looks is none of those that are left.
func (s *stage) showSecrecy() error {
	files, leaks := 0, []string{}
	err := filepath.WalkDir(s.state, func(path string, d os.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) && path != s.state {
			return nil
		}
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		files++
		if bytes.Contains(text, []byte(s.token)) {
			leaks = append(leaks, path)
		}
		return err
	})
	if err != nil {
		return fmt.Errorf("look for the token: %w", err)
	}
	if len(leaks) > 0 {
		return fmt.Errorf("the token stands in %s", strings.Join(leaks, ", "))
	}
	fmt.Printf("and the token is in none of the %d files that quire wrote.\n", files)
	return nil
}

// output runs a command; its error shows what it said.
func (s *stage) output(ctx context.Context, command ...string) (string, error) {
	cmd := s.command(ctx, command...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if ctx.Err() != nil {
		return "", ctx.Err()
	}
	if err != nil {
		return "", fmt.Errorf("%s: %w\n%s", strings.Join(command, " "), err, &stderr)
	}
	return string(out), nil
}

// watch runs a command whose output is for the person.
func (s *stage) watch(ctx context.Context, dir string, command ...string) error {
	cmd := s.command(ctx, command...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	// A terminal's ctrl-C may end git before this program has heard of it.
	var exit *exec.ExitError
	if ctx.Err() != nil || errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGINT {
		return context.Canceled
	}
	return err
}

// command is one that knows nothing of the person's own git and quire.
func (s *stage) command(ctx context.Context, command ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Dir = s.dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "TERM=" + os.Getenv("TERM"), "LANG=" + os.Getenv("LANG"), "HOME=" + s.dir,
		"QUIRE_CONFIG=" + s.config, "QUIRE_BIN=" + s.quire,
		"GIT_CONFIG_NOSYSTEM=1",
	}
	return cmd
}
