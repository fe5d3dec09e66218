package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A form that never ends is broken off with Ctrl-C, on a terminal that edits
// lines and on one that does not; the conversation and its names go on.
func TestInterruptInAConversation(t *testing.T) {
	for _, terminal := range []string{"xterm", "dumb"} {
		t.Run(terminal, func(t *testing.T) {
			person, program := openTerminal(t)
			cmd := exec.Command(filepath.Join(programs.Prefix, "bin", "quire"), "fennel", "repl")
			cmd.Stdin, cmd.Stdout, cmd.Stderr = program, program, program
			cmd.Env = append(os.Environ(), "TERM="+terminal, "HOME="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir())
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = cmd.Process.Kill() })
			program.Close()
			seen := make(chan string)
			go func() {
				defer close(seen)
				buf := make([]byte, 4096)
				for {
					n, err := person.Read(buf)
					if n > 0 {
						seen <- string(buf[:n])
					}
					if err != nil {
						return // EIO: the last process is gone
					}
				}
			}()
			said := ""
			await := func(what string) {
				t.Helper()
				for !strings.Contains(said, what) {
					more, ok := <-seen
					if !ok {
						t.Fatalf("the conversation ended without %q:\n%s", what, said)
					}
					said += more
				}
				_, said, _ = strings.Cut(said, what)
			}
			say := func(text string) {
				t.Helper()
				if _, err := person.WriteString(text); err != nil {
					t.Fatal(err)
				}
			}
			await("> ")
			// Nothing is typed before there is a prompt: the terminal changes its mode.
			say("(local kept 20)\r")
			await("nil")
			await("> ")
			// What is waited for is not in what is typed, which is echoed. The last one
			// loops while it is compiled.
			for _, loop := range []string{
				`(do (print (.. "be" "gun")) (io.stdout:flush) (while true nil))`,
				`(do (print (.. "be" "gun")) (io.stdout:flush) (while true (pcall #(while true nil))))`,
				`(do (macro m [] (print (.. "be" "gun")) (while true nil)) (m))`,
			} {
				say(loop + "\r")
				await("begun")
				say("\x03")
				await("interrupted")
				await("> ")
			}
			say("(+ kept 22)\r")
			await("42")
			await("> ")
			say("\x04")
			for range seen {
			}
			if err := cmd.Wait(); err != nil {
				t.Errorf("the end: %v", err)
			}
		})
	}
}
