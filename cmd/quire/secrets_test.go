package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/age"
	"golang.org/x/sys/unix"

	"quire/internal/config"
	"quire/internal/secret"
)

// secretsConfig writes a configuration, and has the commands use it.
func secretsConfig(t *testing.T, text string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	path := filepath.Join(dir, "config.toml")
	if err := os.WriteFile(path, []byte("state_dir = \""+dir+"\"\n"+text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("QUIRE_CONFIG", path)
	return dir
}

func runSecrets(in io.Reader, args ...string) (string, error) {
	var out bytes.Buffer
	cmd := newSecretsCommand()
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetIn(in)
	cmd.SetOut(&out)
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(context.Background())
	return out.String(), err
}

const secretsText = `
[secrets.literal]
value = "canary-value-1"
refs = ["main", "refs/tags/v*"]
protect = true
[secrets.open]
file = "open"
repos = ["app"]
protect = true
protect_paths = ["Makefile", "scripts/**"]
[secrets.absent]
file = "absent"
[secrets.pass]
command = ["sh", "-c", "echo canary-value-2", "canary-argument"]
jobs = ["deploy"]
protect = "tree"
`

func TestSecretsList(t *testing.T) {
	secretsConfig(t, secretsText)
	out, err := runSecrets(nil, "list")
	want := `NAME     SOURCE       REPOS  REFS                PUSHERS  JOBS    CODE
absent   file absent  all    all                 all      all     any
literal  value        all    main, refs/tags/v*  all      all     the default branch's .quire
open     file open    app    all                 all      all     the default branch's .quire, Makefile, scripts/**
pass     command sh   all    all                 all      deploy  a commit on the default branch
`
	if err != nil || out != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, out, want)
	}
	out, err = runSecrets(nil, "list", "--json")
	if err != nil || strings.Contains(out, "canary") || strings.Count(out, "\n") != 4 ||
		!strings.Contains(out, `{"name":"literal","source":"value","refs":["main","refs/tags/v*"],"protect":true}`) ||
		!strings.Contains(out, `"protect":true,"protect_paths":["Makefile","scripts/**"]}`) || !strings.Contains(out, `"protect":"tree"}`) {
		t.Errorf("got %v\n%s", err, out)
	}
}

func TestSecretsCheck(t *testing.T) {
	dir := secretsConfig(t, secretsText)
	if err := os.WriteFile(filepath.Join(dir, "open"), []byte("short\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := runSecrets(nil, "check")
	want := fmt.Sprintf(`absent   bad   open %[1]s/absent: no such file or directory; write the value into it, or correct the path
literal  ok    value, 14 bytes
open     warn  file, 5 bytes: others can read %[1]s/open (mode 0644); run: chmod 600 %[1]s/open; its value is shorter than 8 bytes (or blank) and cannot be redacted: it would blot out ordinary text; choose a longer one
pass     ok    command, 14 bytes
`, dir)
	var failed failedError
	if !errors.As(err, &failed) || out != want {
		t.Errorf("got %v\n%s\nwant\n%s", err, out, want)
	}
	out, err = runSecrets(nil, "check", "--json", "pass")
	if err != nil || out != `{"name":"pass","source":"command","ok":true,"length":14}`+"\n" {
		t.Errorf("got %v\n%s", err, out)
	}
	var usage usageError
	if _, err = runSecrets(nil, "check", "pas"); !errors.As(err, &usage) {
		t.Errorf("an unknown name: %v", err)
	}
}

func TestSecretsEncrypt(t *testing.T) {
	dir := secretsConfig(t, "[secrets]\nidentity = \"key\"\n")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	table, err := runSecrets(strings.NewReader("canary-value-3\n"), "encrypt", "a.name")
	if err != nil || strings.Contains(table, "canary") {
		t.Fatalf("got %v\n%s", err, table)
	}
	// What it prints is what the configuration takes.
	cfg, err := config.Parse(os.Getenv("QUIRE_CONFIG"), "state_dir = \"/x\"\n[secrets]\nidentity = \"key\"\n"+table)
	if err != nil {
		t.Fatal(err)
	}
	value, err := secret.Open(cfg).Reveal(context.Background(), "a.name", secret.Scope{})
	if err != nil || value.Reveal() != "canary-value-3" {
		t.Errorf("got %q, %v", value.Reveal(), err)
	}

	var usage usageError
	for in, args := range map[string][]string{
		"":                                      {"encrypt", "x"},
		"\n":                                    {"encrypt", "x"},
		"y":                                     {"encrypt", "identity"},
		strings.Repeat("x", secret.MaxLength+1): {"encrypt", "x"},
	} {
		if out, err := runSecrets(strings.NewReader(in), args...); !errors.As(err, &usage) || out != "" {
			t.Errorf("%.10q: %v, %q", in, err, out)
		}
	}
}

func TestSecretsEncryptWithoutIdentity(t *testing.T) {
	secretsConfig(t, "")
	in := strings.NewReader("canary-value-5")
	if _, err := runSecrets(in, "encrypt", "x"); err == nil || !strings.Contains(err.Error(), "age-keygen -o FILE") || in.Len() != 14 {
		t.Errorf("got %v, and %d bytes are left to read", err, in.Len())
	}
}

// TestSecretsEncryptDoesNotEcho types a value on a terminal and reads what the
// terminal shows.
func TestSecretsEncryptDoesNotEcho(t *testing.T) {
	dir := secretsConfig(t, "[secrets]\nidentity = \"key\"\n")
	identity, err := age.GenerateX25519Identity()
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "key"), []byte(identity.String()+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	screen, keyboard := openTerminal(t)
	defer keyboard.Close()
	done := make(chan error, 1)
	go func() {
		_, err := runSecrets(keyboard, "encrypt", "x")
		done <- err
	}()
	// Echo is off before the command reads, and it is the terminal that tells.
	for echoes(t, keyboard) {
		select {
		case err := <-done:
			t.Fatalf("it ended before it read: %v", err)
		default:
		}
	}
	if _, err := screen.WriteString("canary-value-4\n"); err != nil {
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	keyboard.WriteString("end of test\n")
	shown := ""
	for b := make([]byte, 256); !strings.Contains(shown, "end of test"); {
		n, err := screen.Read(b)
		if err != nil {
			t.Fatal(err)
		}
		shown += string(b[:n])
	}
	if strings.Contains(shown, "canary") {
		t.Errorf("the terminal shows %q", shown)
	}
	if !echoes(t, keyboard) {
		t.Error("echo is still off")
	}
}

// openTerminal makes a pseudo-terminal (pty(7)).
func openTerminal(t *testing.T) (screen, keyboard *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		missing(t, "a pseudo-terminal", err)
	}
	t.Cleanup(func() { screen.Close() })
	if err := unix.IoctlSetPointerInt(int(screen.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		missing(t, "a pseudo-terminal", err)
	}
	n, err := unix.IoctlGetInt(int(screen.Fd()), unix.TIOCGPTN)
	if err != nil {
		missing(t, "a pseudo-terminal", err)
	}
	keyboard, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		missing(t, "a pseudo-terminal", err)
	}
	return screen, keyboard
}

func missing(t *testing.T, what string, err error) {
	t.Helper()
	if os.Getenv("CI") == "true" {
		t.Fatalf("needs %s: %v", what, err)
	}
	t.Skipf("needs %s: %v", what, err)
}

func echoes(t *testing.T, terminal *os.File) bool {
	t.Helper()
	state, err := unix.IoctlGetTermios(int(terminal.Fd()), unix.TCGETS)
	if err != nil {
		t.Fatal(err)
	}
	return state.Lflag&unix.ECHO != 0
}

func TestSecretListingIsStable(t *testing.T) {
	b, err := json.Marshal(listingOf(config.Secret{Name: "n", Age: "-----BEGIN"}))
	if err != nil || string(b) != `{"name":"n","source":"age","protect":false}` {
		t.Errorf("got %s, %v", b, err)
	}
}
