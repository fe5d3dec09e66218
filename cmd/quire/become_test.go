package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// Root's command becomes the runner's, on a terminal that is not root's: not as a
// descriptor, and not as the terminal of its session, into which it could type.
func TestRootsTerminalIsNotHandedOver(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root: only root becomes somebody else")
	}
	const runner = 61999 // nobody here
	dir, err := os.MkdirTemp("", "quire-become-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	state, config, seen := filepath.Join(dir, "state"), filepath.Join(dir, "config.toml"), filepath.Join(dir, "seen")
	if err := os.Mkdir(state, 0o700); err != nil {
		t.Fatal(err)
	}
	script := fmt.Sprintf(`{ cut -d" " -f7 /proc/$PPID/stat; cut -d" " -f7 /proc/self/stat; (: </dev/tty) 2>/dev/null && echo has a terminal; } >%s; printf '\033]0;title\007\033[6n' >&2; echo s3cret-value-of-it`, seen)
	text := fmt.Sprintf("state_dir = %q\n[secrets.it]\ncommand = [\"sh\", \"-c\", '''%s''']\n", state, script)
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(seen, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{dir, state, config, seen} {
		if err := os.Chown(path, runner, runner); err != nil {
			t.Fatal(err)
		}
	}
	screen, keyboard := openTerminal(t)
	var st syscall.Stat_t
	if err := syscall.Fstat(int(keyboard.Fd()), &st); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(filepath.Join(programs.Prefix, "bin/quire"), "secrets", "check")
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "QUIRE_CONFIG=" + config, "TERM=xterm", "HOME=/root"}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = keyboard, keyboard, keyboard
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	shown := make(chan []byte, 1)
	go func() {
		var all bytes.Buffer
		bufio.NewReader(screen).WriteTo(&all) // until the last of the terminal's users is gone
		shown <- all.Bytes()
	}()
	err = cmd.Wait()
	keyboard.Close()
	var out []byte
	select {
	case out = <-shown:
	case <-time.After(time.Minute):
		t.Fatal("somebody holds root's terminal")
	}
	if err != nil || !strings.Contains(string(out), "it") {
		t.Errorf("quire secrets check: %v\n%q", err, out)
	}
	if bytes.Contains(out, []byte("\x1b]")) || bytes.Contains(out, []byte("\x1b[6n")) {
		t.Errorf("root's terminal is sent %q", out)
	}
	// The terminals of the sessions of quire and of the secret's command (proc(5), tty_nr).
	found, err := os.ReadFile(seen)
	ttys := strings.Fields(string(found))
	if err != nil || len(ttys) != 2 {
		t.Fatalf("the secret's command saw %q, %v", found, err)
	}
	if root := strconv.FormatUint(st.Rdev, 10); ttys[0] == root || ttys[0] == "0" || ttys[1] != "0" {
		t.Errorf("terminals: root's %s, quire's %s, the secret's command's %s; want another one, and none", root, ttys[0], ttys[1])
	}
}
