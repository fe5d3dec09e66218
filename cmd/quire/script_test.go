package main

import (
	"bytes"
	"encoding/base64"
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
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"quire/internal/installtest"
	"quire/mirror/forgetest"
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
		return m.Run()
	}())
}

// TestScripts pushes to real repositories through the real programs, and looks
// at what a person sees.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setup,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"forge":   startForge,
			"nowhere": nowhere,
			"idle":    idle,
			"status":  status,
		},
	})
}

func setup(env *testscript.Env) error {
	home := filepath.Join(env.WorkDir, "home")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	for k, v := range map[string]string{
		"HOME": home, "USER": "tester", "LC_ALL": "C", "TMPDIR": env.WorkDir,
		"PATH":         filepath.Join(programs.Prefix, "bin") + ":" + os.Getenv("PATH"),
		"QUIRE_CONFIG": filepath.Join(env.WorkDir, "config.toml"), "STATE": filepath.Join(env.WorkDir, "state"),
		"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": filepath.Join(home, ".gitconfig"),
	} {
		env.Setenv(k, v)
	}
	gitconfig := "[user]\n\tname = t\n\temail = t@t\n[init]\n\tdefaultBranch = main\n[advice]\n\tdetachedHead = false\n[color]\n\tui = false\n"
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte(gitconfig), 0o644); err != nil {
		return err
	}
	config := filepath.Join(env.WorkDir, "config.toml")
	given, err := os.ReadFile(config)
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	// A script's own settings come first: a key after a [table] would be the table's.
	text := fmt.Sprintf("state_dir = %q\nlinger = \"1s\"\n%s", filepath.Join(env.WorkDir, "state"), given)
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	if err := os.Chmod(config, 0o600); err != nil { // it was there already, from the script
		return err
	}
	// The worker must be gone before the directory is.
	env.Defer(func() { installtest.EndAll("QUIRE_CONFIG=" + config) })
	for _, repo := range []string{"project.git"} {
		cmd := exec.Command("git", "init", "-q", "--bare", "-b", "main", filepath.Join(env.WorkDir, repo))
		cmd.Env = env.Vars
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
	}
	if _, err := os.Stat(filepath.Join(env.WorkDir, "work")); err == nil {
		for _, args := range [][]string{
			{"quire", "install", "project.git"}, {"git", "-C", "work", "init", "-q"}, {"git", "-C", "work", "add", "-A"},
			{"git", "-C", "work", "commit", "-qm", "one"}, {"git", "-C", "work", "remote", "add", "origin", "../project.git"},
		} {
			path := args[0]
			if path == "quire" {
				path = filepath.Join(programs.Prefix, "bin/quire")
			}
			cmd := exec.Command(path, args[1:]...)
			cmd.Dir, cmd.Env = env.WorkDir, env.Vars
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("%v: %w: %s", args, err, out)
			}
		}
	}
	return nil
}

// forge NAME TOKEN serves the bare repositories below ./NAME over HTTP to those
// who bring the token, and sets $FORGE to its URL.
func startForge(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: forge DIR TOKEN")
	}
	token := args[1]
	h := forgetest.Handler(ts.MkAbs(args[0]), func(user, pass, header string) bool { return pass == token })
	l, err := net.Listen("tcp", "127.0.0.1:0")
	ts.Check(err)
	srv := &http.Server{Handler: h}
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	ts.Defer(func() { srv.Close(); <-done })
	ts.Setenv("FORGE", "http://"+l.Addr().String())
}

// nowhere TEXT DIR… searches every file below the directories for the text, its
// base64 and its hex.
func nowhere(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: nowhere TEXT DIR…")
	}
	forms := [][]byte{
		[]byte(args[0]), []byte(hex.EncodeToString([]byte(args[0]))),
		[]byte(strings.TrimRight(base64.StdEncoding.EncodeToString([]byte("x-access-token:"+args[0])), "=")),
		[]byte(strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(args[0])), "=")),
	}
	files := 0
	for _, dir := range args[1:] {
		ts.Check(filepath.WalkDir(ts.MkAbs(dir), func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) && path != ts.MkAbs(dir) {
				return nil
			}
			if err != nil || !d.Type().IsRegular() {
				return err
			}
			data, err := os.ReadFile(path)
			if errors.Is(err, fs.ErrNotExist) {
				return nil // what a worker on its way out takes away
			}
			if err != nil {
				return err
			}
			files++
			for _, f := range forms {
				if bytes.Contains(data, f) {
					ts.Fatalf("%s holds the text, or a form of it", path)
				}
			}
			return nil
		}))
	}
	if files == 0 {
		ts.Fatalf("there is no file to search")
	}
}

// idle waits until every push is taken and every run is over.
func idle(ts *testscript.TestScript, neg bool, args []string) {
	state := ts.Getenv("STATE")
	waiting := func() bool {
		if spooled, _ := filepath.Glob(filepath.Join(state, "spool", "new", "*")); len(spooled) > 0 {
			return true
		}
		runs, err := os.ReadDir(filepath.Join(state, "runs"))
		if err != nil {
			return true
		}
		for _, r := range runs {
			if _, err := os.Stat(filepath.Join(state, "runs", r.Name(), "outcome")); err != nil {
				return true
			}
		}
		// The store follows the outcome files.
		for _, s := range []string{"queued", "running"} {
			ts.Check(ts.Exec("quire", "runs", "--state", s, "--json"))
			if ts.ReadFile("stdout") != "" {
				return true
			}
		}
		return false
	}
	for deadline := time.Now().Add(time.Minute); waiting(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			ts.Fatalf("there is still something to do after a minute")
		}
	}
}

// status N COMMAND… runs a command and demands the exit status.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N COMMAND…")
	}
	err := ts.Exec(args[1], args[2:]...)
	got := "0"
	if err != nil {
		got = strings.TrimPrefix(err.Error(), "exit status ")
	}
	if got != args[0] {
		ts.Fatalf("exit status %s, want %s", got, args[0])
	}
}
