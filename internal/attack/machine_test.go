package attack

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"quire/internal/executor/executortest"
	"quire/internal/installtest"

	"golang.org/x/sys/unix"
)

var programs *installtest.Programs

func TestMain(m *testing.M) {
	os.Exit(func() int {
		var err error
		if programs, err = installtest.Build("../.."); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer programs.Close()
		defer removeImage()
		return m.Run()
	}())
}

// canary is a value that must never leave the place where the operator keeps it.
const canary = "canary-7Qm2vX9ZtPb4Lw"

// otherUser is a user id that no account of the machine has. quire needs none.
const otherUser = 61927

// machine is one box that an operator runs quire on, with one executor.
type machine struct {
	t        *testing.T
	Executor string
	UID      int    // the user that quire runs as, and whom everything belongs to
	Dir      string // holds all the rest
	Home     string
	Operator string // files of the operator's that no pipeline may read or change
	Repos    string
	State    string
	Config   string
	env      []string
	enter    []string // what every command begins with, if anything; it becomes the user itself
	commits  int
}

// everywhere runs a test on each sandbox executor, as root and as another user.
// Not as root, it is as whoever runs the tests.
func everywhere(t *testing.T, test func(t *testing.T, m *machine)) {
	t.Helper()
	on(t, []string{"bwrap", "docker"}, test)
}

// on is everywhere for some executors.
func on(t *testing.T, executors []string, test func(t *testing.T, m *machine)) {
	t.Helper()
	users := map[string]int{"as the test's user": os.Geteuid()}
	if os.Geteuid() == 0 {
		users = map[string]int{"as root": 0, "as another user": otherUser}
	}
	for _, executor := range executors {
		for name, uid := range users {
			t.Run(executor+" "+name, func(t *testing.T) { test(t, newMachine(t, executor, uid)) })
		}
	}
}

func newMachine(t *testing.T, executor string, uid int) *machine {
	t.Helper()
	switch executor {
	case "bwrap":
		if _, err := exec.LookPath("bwrap"); err != nil {
			executortest.Needs(t, "bubblewrap: apt-get install bubblewrap")
		}
	case "docker":
		image(t) // or the test needs an engine
	}
	// Not t.TempDir: what a hostile job leaves there, that may be unable to remove.
	dir, err := os.MkdirTemp("", "quire-attack-")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	m := &machine{t: t, Executor: executor, UID: uid, Dir: dir, Home: filepath.Join(dir, "home"), Operator: filepath.Join(dir, "operator"),
		Repos: filepath.Join(dir, "repos"), State: filepath.Join(dir, "state"), Config: filepath.Join(dir, "etc", "config.toml")}
	for _, d := range []string{m.Home, m.Operator, m.Repos, filepath.Dir(m.Config), filepath.Join(dir, "tmp"), filepath.Join(dir, "work")} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	m.env = []string{
		"HOME=" + m.Home, "USER=operator", "LOGNAME=operator", "LC_ALL=C", "TMPDIR=" + filepath.Join(dir, "tmp"),
		"PATH=" + filepath.Join(programs.Prefix, "bin") + ":" + os.Getenv("PATH"),
		"QUIRE_CONFIG=" + m.Config,
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + filepath.Join(m.Home, ".gitconfig"),
	}
	m.write(filepath.Join(m.Home, ".gitconfig"),
		"[user]\n\tname = Mallory\n\temail = mallory@example.org\n[init]\n\tdefaultBranch = main\n[color]\n\tui = false\n")
	m.write(filepath.Join(m.Operator, "private"), canary+"\n")
	m.configure(fmt.Sprintf("state_dir = %q\nlinger = \"1s\"\nkill_grace = \"1s\"\n\n[executor]\ndefault = %q\n", m.State, executor))
	if executor == "docker" {
		m.configure(fmt.Sprintf("image = %q\n", image(t)))
	}
	m.own(dir)
	t.Cleanup(func() {
		// The worker must be gone before the directory is.
		installtest.EndAll("QUIRE_CONFIG=" + m.Config)
		if t.Failed() {
			m.show()
		}
		if err := exec.Command("rm", "-rf", dir).Run(); err != nil {
			t.Errorf("remove %s: %v", dir, err)
		}
	})
	return m
}

// own gives a tree to the machine's user.
func (m *machine) own(dir string) {
	m.t.Helper()
	if m.UID == os.Geteuid() {
		return
	}
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		return os.Lchown(path, m.UID, m.UID)
	})
	if err != nil {
		m.t.Fatal(err)
	}
}

func (m *machine) write(path, text string) {
	m.t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		m.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		m.t.Fatal(err)
	}
	if m.UID != os.Geteuid() {
		if err := os.Lchown(path, m.UID, m.UID); err != nil {
			m.t.Fatal(err)
		}
	}
}

// configure appends to the configuration. The first call of a test goes on in
// the table [executor].
func (m *machine) configure(toml string) {
	m.t.Helper()
	before, err := os.ReadFile(m.Config)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.t.Fatal(err)
	}
	m.write(m.Config, string(before)+toml)
}

// secret declares a secret that is kept in a file of the operator's; rules are
// further lines of its table.
func (m *machine) secret(name, value string, rules ...string) {
	m.t.Helper()
	file := filepath.Join(m.Operator, name)
	m.write(file, value+"\n")
	m.configure(fmt.Sprintf("\n[secrets.%s]\nfile = %q\n%s\n", name, file, strings.Join(rules, "\n")))
}

// command is a program that the machine's user starts.
func (m *machine) command(dir, name string, args ...string) *exec.Cmd {
	c := exec.Command(name, args...)
	if path := filepath.Join(programs.Prefix, "bin", name); name == "quire" {
		c.Path, c.Err = path, nil
	}
	c.Dir, c.Env = dir, m.env
	if len(m.enter) > 0 {
		path, args := c.Path, c.Args
		c = exec.Command(m.enter[0], slices.Concat(m.enter[1:], []string{path}, args[1:])...)
		c.Dir, c.Env = dir, m.env
	} else if m.UID != os.Geteuid() {
		c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: uint32(m.UID), Gid: uint32(m.UID), Groups: engineGroups()}}
	}
	return c
}

// must runs a program that has to succeed, and returns what it printed.
func (m *machine) must(dir, name string, args ...string) string {
	m.t.Helper()
	var out, errs bytes.Buffer
	c := m.command(dir, name, args...)
	c.Stdout, c.Stderr = &out, &errs
	if err := c.Run(); err != nil {
		m.t.Fatalf("%s %s: %v\n%s%s", name, strings.Join(args, " "), err, out.String(), errs.String())
	}
	return out.String()
}

// quire runs a command of quire's, whatever its exit status, and returns what
// it printed on both streams.
func (m *machine) quire(args ...string) string {
	m.t.Helper()
	out, err := m.command(m.Dir, "quire", args...).CombinedOutput()
	var ee *exec.ExitError
	if err != nil && !errors.As(err, &ee) {
		m.t.Fatal(err)
	}
	return string(out)
}

// idle waits until every push is taken and every run is over.
func (m *machine) idle() {
	m.t.Helper()
	for deadline := time.Now().Add(patience); m.busy(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			m.t.Fatalf("there is still something to do after %s:\n%s", patience, m.quire("runs"))
		}
	}
}

// patience is how long a fact is waited for before the test fails. It is no
// measure of quire's: a loaded machine may take most of it.
const patience = 2 * time.Minute

func (m *machine) busy() bool {
	if spooled, _ := filepath.Glob(filepath.Join(m.State, "spool", "new", "*")); len(spooled) > 0 {
		return true
	}
	for _, s := range []string{"queued", "running"} {
		if out, err := m.command(m.Dir, "quire", "runs", "--state", s, "--json").Output(); err != nil || len(out) > 0 {
			return true
		}
	}
	return false
}

// nowhere demands that a text, its base64 and its hex, are in no byte that
// quire wrote: its state, the repositories, and what the pushes showed.
func (m *machine) nowhere(text string) {
	m.t.Helper()
	m.nowhereBut(text)
}

// nowhereBut is nowhere, without these directories.
func (m *machine) nowhereBut(text string, except ...string) {
	m.t.Helper()
	searched := 0
	for _, dir := range []string{m.State, m.Repos, filepath.Join(m.Dir, "work"), filepath.Join(m.Dir, "tmp")} {
		err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path != dir {
				return nil // what a worker on its way out takes away
			}
			if err == nil && slices.Contains(except, path) {
				return fs.SkipDir
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := written(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			searched++
			if form := holds(data, text); form != "" {
				m.t.Errorf("%s holds %q as %s", path, text, form)
			}
			return err
		})
		if err != nil {
			m.t.Fatal(err)
		}
	}
	if searched == 0 {
		m.t.Fatal("there is no file to search")
	}
}

// written is what was written of a file: a job makes a file of a terabyte that is
// one hole (lseek(2), SEEK_DATA).
func written(path string) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	for at := int64(0); ; {
		begin, err := f.Seek(at, unix.SEEK_DATA)
		if errors.Is(err, unix.ENXIO) {
			return data, nil
		}
		if err != nil {
			return nil, err
		}
		if at, err = f.Seek(begin, unix.SEEK_HOLE); err != nil {
			return nil, err
		}
		piece := make([]byte, at-begin)
		n, err := f.ReadAt(piece, begin)
		data = append(data, piece[:n]...)
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
	}
}

// holds names the form in which data holds a text; "" if in none.
func holds(data []byte, text string) string {
	for form, encoded := range map[string]string{
		"plain text": text,
		"base64":     strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(text)), "="),
		"hex":        hex.EncodeToString([]byte(text)),
	} {
		if bytes.Contains(data, []byte(encoded)) {
			return form
		}
	}
	return ""
}

// show prints what a person would look at after a failure.
func (m *machine) show() {
	m.t.Logf("quire runs:\n%s", m.quire("runs"))
	for _, pattern := range []string{"worker.log", "runs/*/push.log"} {
		found, _ := filepath.Glob(filepath.Join(m.State, pattern))
		for _, file := range found {
			if text, err := os.ReadFile(file); err == nil {
				m.t.Logf("%s:\n%s", file, text[max(0, len(text)-4000):])
			}
		}
	}
}

// within is a context that ends a program which hangs.
func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}
