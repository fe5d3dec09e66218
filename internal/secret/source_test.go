package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"

	"quire/internal/config"
)

func TestSources(t *testing.T) {
	t.Setenv("QUIRE_TEST_SECRET", "from-the-environment")
	t.Setenv("QUIRE_TEST_EMPTY", "")
	credentials := t.TempDir()
	os.WriteFile(filepath.Join(credentials, "gh"), []byte("from-systemd\n"), 0o400)
	t.Setenv("CREDENTIALS_DIRECTORY", credentials)
	home := t.TempDir()
	t.Setenv("HOME", home)
	os.WriteFile(filepath.Join(home, "token"), []byte("from-home"), 0o600)

	for _, test := range []struct {
		name, decl string
		want       string // the value, or
		fault      string // what the error says
	}{
		{"value", `value = "as it is\n"`, "as it is\n", ""},
		{"file", `file = "plain"`, "from-a-file", ""},
		{"file with two newlines", `file = "two"`, "from-a-file\n", ""},
		{"file with CR LF", `file = "crlf"`, "from-windows", ""},
		{"file in HOME", `file = "~/token"`, "from-home", ""},
		{"missing file", `file = "none"`, "", "none: no such file or directory; write the value into it"},
		{"empty file", `file = "empty"`, "", "the file empty is empty"},
		{"file with a newline only", `file = "newline"`, "", "the file newline is empty"},
		{"directory", `file = "."`, "", "is a directory"},
		{"endless file", `file = "/dev/zero"`, "", "more than 64 KiB"},
		{"env", `env = "QUIRE_TEST_SECRET"`, "from-the-environment", ""},
		{"unset env", `env = "QUIRE_TEST_NONE"`, "", "QUIRE_TEST_NONE is not set"},
		{"empty env", `env = "QUIRE_TEST_EMPTY"`, "", "QUIRE_TEST_EMPTY is empty"},
		{"credential", `credential = "gh"`, "from-systemd", ""},
		{"missing credential", `credential = "gl"`, "", "LoadCredential=gl:PATH"},
		{"credential out of the directory", `credential = "../gh"`, "", "is no name"},
		{"command", `command = ["printf", "%s\n", "from-a-command"]`, "from-a-command", ""},
		{"command beside the configuration", `command = ["./give"]`, "from-a-script", ""},
		{"command that reads", `command = ["cat"]`, "", "the command cat printed nothing"},
		{"command that fails", `command = ["sh", "-c", "echo canary-value-1; echo no such entry >&2; exit 3"]`, "", "ended with exit status 3; run it as the worker's user to see why; it said: no such entry"},
		{"command that fails and tells", `command = ["sh", "-c", "echo canary-value-1; echo it is canary-value-1 >&2; exit 3"]`, "", "it said: it is {{ s }}"},
		{"command that is not there", `command = ["quire-no-such-program"]`, "", "install it, or name its full path"},
		{"script that is not there", `command = ["./none"]`, "", "install it, or name its full path"},
		{"command killed", `command = ["sh", "-c", "kill -9 $$"]`, "", "ended with signal: killed"},
		{"command without end", `command = ["sh", "-c", "yes"]`, "", "more than 64 KiB"},
	} {
		t.Run(test.name, func(t *testing.T) {
			cfg := parse(t, "[secrets.s]\n"+test.decl+"\n")
			for name, text := range map[string]string{"plain": "from-a-file\n", "two": "from-a-file\n\n", "crlf": "from-windows\r\n", "empty": "", "newline": "\n"} {
				write(t, cfg, name, text, 0o600)
			}
			write(t, cfg, "give", "#!/bin/sh\necho from-a-script\n", 0o700)
			value, err := Open(cfg).Reveal(context.Background(), "s", Scope{})
			switch {
			case test.fault == "" && (err != nil || value.Reveal() != test.want):
				t.Errorf("got %q, %v", value.Reveal(), err)
			case test.fault != "" && (err == nil || !strings.Contains(err.Error(), test.fault)):
				t.Errorf("got %q, %v, want an error with %q", value.Reveal(), err, test.fault)
			case err != nil && strings.Contains(err.Error(), "canary"):
				t.Errorf("the error tells the value: %v", err)
			case err != nil && !strings.HasPrefix(err.Error(), "secret s: "):
				t.Errorf("the error does not name the secret: %v", err)
			}
		})
	}
}

func TestNoCredentialsDirectory(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	_, err := Open(parse(t, "[secrets.s]\ncredential = \"gh\"\n")).Reveal(context.Background(), "s", Scope{})
	if err == nil || !strings.Contains(err.Error(), "LoadCredential=gh:PATH") {
		t.Errorf("got %v", err)
	}
}

func TestCommandSeesNoGit(t *testing.T) {
	t.Setenv("GIT_DIR", "/srv/git/app.git")
	value, err := Open(parse(t, "[secrets.s]\ncommand = [\"sh\", \"-c\", \"echo dir=${GIT_DIR-none}\"]\n")).Reveal(context.Background(), "s", Scope{})
	if err != nil || value.Reveal() != "dir=none" {
		t.Errorf("%q, %v", value.Reveal(), err)
	}
}

// TestCommandIsKilledWithItsChildren starts a child that would outlive the
// command, by a long time, and asks the kernel for it afterwards.
func TestCommandIsKilledWithItsChildren(t *testing.T) {
	for name, script := range map[string]string{
		"that waits for its child":    `sleep 1000 & echo $! > child; wait`,
		"that leaves its child":       `sleep 1000 & echo $! > child; echo the-value-1`,
		"that leaves a deaf child":    `(trap '' TERM INT HUP; exec sleep 1000) & echo $! > child; wait`,
		"whose child closes its pipe": `sleep 1000 >/dev/null 2>&1 & echo $! > child; echo the-value-1`,
	} {
		t.Run(name, func(t *testing.T) {
			cfg := parse(t, "[secrets.s]\ncommand = [\"sh\", \"give\"]\n")
			// The fifo tells that the child is there; without it the test would
			// have to guess when to cancel.
			ready := filepath.Join(filepath.Dir(cfg.Path), "ready")
			if err := syscall.Mkfifo(ready, 0o600); err != nil {
				t.Fatal(err)
			}
			write(t, cfg, "give", strings.Replace(script, "> child;", "> child; echo > ready;", 1), 0o600)
			ctx, cancel := context.WithCancelCause(context.Background())
			done := make(chan struct{})
			go func() {
				defer close(done)
				os.ReadFile(ready)
				if strings.Contains(script, "wait") {
					cancel(errors.New("the run was canceled"))
				}
			}()
			value, err := Open(cfg).Reveal(ctx, "s", Scope{})
			<-done
			if strings.Contains(script, "wait") {
				if err == nil || !strings.Contains(err.Error(), "the run was canceled") {
					t.Errorf("got %v", err)
				}
			} else if err != nil || value.Reveal() != "the-value-1" {
				t.Errorf("%q, %v", value.Reveal(), err)
			}
			cancel(nil)
			b, err := os.ReadFile(filepath.Join(filepath.Dir(cfg.Path), "child"))
			if err != nil {
				t.Fatal(err)
			}
			pid, _ := strconv.Atoi(strings.TrimSpace(string(b)))
			// It was sent SIGKILL before Reveal returned; dying takes a moment.
			for deadline := time.Now().Add(time.Minute); alive(pid); {
				if time.Now().After(deadline) {
					syscall.Kill(pid, syscall.SIGKILL)
					t.Fatalf("the child %d is alive", pid)
				}
				runtime.Gosched()
			}
		})
	}
}

// alive reports whether a process runs; one that was killed and that nobody has
// reaped does not.
func alive(pid int) bool {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(b), ") ")
	return !strings.HasPrefix(rest, "Z") && !strings.HasPrefix(rest, "X")
}

func TestCommandLimit(t *testing.T) {
	cfg := parse(t, "[secrets.s]\ncommand = [\"sh\", \"-c\", \"echo waiting for a person >&2; sleep 1000\"]\n")
	s := source{cfg: cfg, redactor: NewRedactor(), limit: 1}
	_, err := s.fetch(context.Background(), cfg.Secrets["s"])
	if err == nil || !strings.Contains(err.Error(), "was killed after 1ns; it must not ask a person") {
		t.Errorf("got %v", err)
	}
}

func TestAge(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	hybrid, err := age.GenerateHybridIdentity()
	if err != nil {
		t.Fatal(err)
	}
	other, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, "[secrets]\nidentity = \"key.txt\"\n[secrets.s]\nage_file = \"s.age\"\n[secrets.bad]\nage = \"not armored\"\n")
	write(t, cfg, "key.txt", "# a comment\n"+identity.String()+"\n"+hybrid.String()+"\n", 0o600)

	armored, err := Encrypt(cfg, "encrypted-value")
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(armored, "encrypted-value") || !strings.HasPrefix(armored, "-----BEGIN AGE ENCRYPTED FILE-----\n") {
		t.Errorf("armored: %q", armored)
	}
	write(t, cfg, "s.age", armored, 0o644)
	reveal := func(cfg *config.Config, name string) (string, error) {
		value, err := Open(cfg).Reveal(context.Background(), name, Scope{})
		return value.Reveal(), err
	}
	if got, err := reveal(cfg, "s"); err != nil || got != "encrypted-value" {
		t.Errorf("age_file: %q, %v", got, err)
	}
	cfg.Secrets["inline"] = config.Secret{Age: "\n" + armored}
	if got, err := reveal(cfg, "inline"); err != nil || got != "encrypted-value" {
		t.Errorf("age: %q, %v", got, err)
	}
	if _, err := reveal(cfg, "bad"); err == nil || !strings.Contains(err.Error(), "encrypt it again with: quire secrets encrypt") {
		t.Errorf("not armored: %v", err)
	}
	write(t, cfg, "s.age", armored[:len(armored)/2], 0o600)
	if _, err := reveal(cfg, "s"); err == nil {
		t.Error("half a file is decrypted")
	}
	write(t, cfg, "key.txt", other.String()+"\n", 0o600)
	if _, err := reveal(cfg, "inline"); err == nil || !strings.Contains(err.Error(), "encrypted for another identity") {
		t.Errorf("another identity: %v", err)
	}
	write(t, cfg, "key.txt", "AGE-SECRET-KEY-1CANARY\n", 0o600)
	if _, err := reveal(cfg, "inline"); err == nil || strings.Contains(err.Error(), "CANARY") {
		t.Errorf("malformed identity: %v", err)
	}
	write(t, cfg, "key.txt", other.String()+"\n", 0o640)
	cfg.Identity = "none.txt"
	if _, err := reveal(cfg, "inline"); err == nil || !strings.Contains(err.Error(), "none.txt") {
		t.Errorf("no identity file: %v", err)
	}
	cfg.Identity = ""
	if _, err := Encrypt(cfg, "x"); err == nil || !strings.Contains(err.Error(), "age-keygen") {
		t.Errorf("no identity named: %v", err)
	}
}

func TestAgeIdentityOthersCanRead(t *testing.T) {
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	cfg := parse(t, "[secrets]\nidentity = \"key.txt\"\n")
	write(t, cfg, "key.txt", identity.String()+"\n", 0o644)
	armored, err := Encrypt(cfg, "encrypted-value")
	if err != nil {
		t.Fatal(err)
	}
	cfg.Secrets["s"] = config.Secret{Age: armored}
	f, err := Open(cfg).Check(context.Background(), "s")
	if err != nil || len(f.Warnings) != 1 || !strings.Contains(f.Warnings[0], "chmod 600") {
		t.Errorf("%+v, %v", f, err)
	}
}

// Wherever the end that is shown of a command's complaints begins, it does not
// begin within the value.
func TestTheEndOfACommandsComplaintsHoldsNoHalfValue(t *testing.T) {
	const value = "ghp_1A2b3C4d5E6f7G8h9I0jK1l2M3n4O5p6Q7r8"
	for _, after := range []int{maxStderr - len(value), maxStderr - 30, maxStderr - 20, maxStderr - 1, maxStderr} {
		cfg := parse(t, fmt.Sprintf("[secrets.s]\ncommand = [\"sh\", \"-c\", \"echo %s; { echo it is %s; head -c %d /dev/zero | tr '\\\\0' x; } >&2; exit 3\"]\n", value, value, after))
		_, err := Open(cfg).Reveal(context.Background(), "s", Scope{})
		if err == nil || !strings.HasSuffix(err.Error(), strings.Repeat("x", after)) {
			t.Fatalf("%d bytes after it: %v", after, err)
		}
		if strings.ContainsAny(strings.TrimPrefix(err.Error()[strings.Index(err.Error(), "it said"):], "it said"), "123456789") {
			t.Errorf("%d bytes after it: %.120q", after, err)
		}
	}
}
