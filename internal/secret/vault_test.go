package secret

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"quire/internal/config"
)

// parse reads a configuration that lies in a directory of its own.
func parse(t *testing.T, text string) *config.Config {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	cfg, err := config.Parse(path, "state_dir = \""+dir+"\"\n"+text)
	if err != nil {
		t.Fatal(err)
	}
	return cfg
}

func write(t *testing.T, cfg *config.Config, name, text string, mode os.FileMode) {
	t.Helper()
	path := filepath.Join(filepath.Dir(cfg.Path), name)
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func TestUnknownSecret(t *testing.T) {
	v := Open(parse(t, "[secrets.github_token]\nvalue = \"ghp_0123456789\"\n"))
	for name, want := range map[string]string{
		"github_tokn":  "unknown secret: github_tokn; did you mean github_token?",
		"gitlab_token": "unknown secret: gitlab_token; did you mean github_token?",
		"npm":          "unknown secret: npm",
		"":             "unknown secret: ",
	} {
		if _, err := v.Reveal(context.Background(), name, Scope{}); err == nil || err.Error() != want {
			t.Errorf("%q: %v, want %s", name, err, want)
		}
	}
}

func TestRevealTellsTheRedactorFirst(t *testing.T) {
	v := Open(parse(t, "[secrets.tok]\nvalue = \"ghp_0123456789\"\n"))
	if got := v.Redactor().String("ghp_0123456789"); got != "ghp_0123456789" {
		t.Errorf("redacted before anybody asked: %q", got)
	}
	value, err := v.Reveal(context.Background(), "tok", Scope{})
	if err != nil || value.Reveal() != "ghp_0123456789" {
		t.Fatalf("%v, %v", value, err)
	}
	if got := v.Redactor().String("x ghp_0123456789"); got != "x {{ tok }}" {
		t.Errorf("got %q", got)
	}
}

func TestRefusedSecretIsNotFetched(t *testing.T) {
	cfg := parse(t, "[secrets.tok]\ncommand = [\"sh\", \"-c\", \"echo ran > ran; echo 0123456789\"]\nrefs = [\"main\"]\n")
	ran := filepath.Join(filepath.Dir(cfg.Path), "ran")
	v := Open(cfg)
	if _, err := v.Reveal(context.Background(), "tok", Scope{Ref: "refs/heads/evil"}); err == nil {
		t.Fatal("admitted")
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("the command ran for a run that may not have its value")
	}
	if _, err := v.Reveal(context.Background(), "tok", Scope{Ref: "refs/heads/main"}); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(ran); err != nil {
		t.Error("the command did not run where it should")
	}
	// What was fetched for one ref is no more free for another.
	if _, err := v.Reveal(context.Background(), "tok", Scope{Ref: "refs/heads/evil"}); err == nil {
		t.Error("a remembered value is given to a ref that may not have it")
	}
}

func TestFetchedOnce(t *testing.T) {
	cfg := parse(t, "[secrets.tok]\ncommand = [\"sh\", \"-c\", \"echo x >> ran; echo 0123456789\"]\n")
	v := Open(cfg)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if value, err := v.Reveal(context.Background(), "tok", Scope{}); err != nil || value.Reveal() != "0123456789" {
				t.Errorf("%v, %v", value, err)
			}
		})
	}
	wg.Wait()
	if b, _ := os.ReadFile(filepath.Join(filepath.Dir(cfg.Path), "ran")); string(b) != "x\n" {
		t.Errorf("the command ran %d times", len(b)/2)
	}
}

func TestFailureIsNotRemembered(t *testing.T) {
	cfg := parse(t, "[secrets.tok]\nfile = \"token\"\n")
	v := Open(cfg)
	if _, err := v.Reveal(context.Background(), "tok", Scope{}); err == nil {
		t.Fatal("no error without the file")
	}
	write(t, cfg, "token", "0123456789\n", 0o600)
	if _, err := v.Reveal(context.Background(), "tok", Scope{}); err != nil {
		t.Errorf("the file is there now: %v", err)
	}
}

func TestWarnings(t *testing.T) {
	cfg := parse(t, `
[secrets.short]
value = "abc"
[secrets.open]
file = "open"
[secrets.loud]
command = ["sh", "-c", "echo loud-value-1; echo the value is loud-value-1 >&2"]
[secrets.quiet]
value = "quiet-value-1"
`)
	write(t, cfg, "open", "open-value-1\n", 0o644)
	v := Open(cfg)
	var told []string
	v.OnWarning(func(text Masked) { told = append(told, text.String()) })
	for range 2 {
		for _, name := range cfg.SecretNames() {
			if _, err := v.Reveal(context.Background(), name, Scope{}); err != nil {
				t.Error(err)
			}
		}
	}
	path := filepath.Join(filepath.Dir(cfg.Path), "open")
	want := []string{
		"secret loud: the command sh said: the value is {{ loud }}",
		fmt.Sprintf("secret open: others can read %s (mode 0644); run: chmod 600 %s", path, path),
		"secret short: its value is shorter than 8 bytes (or blank) and cannot be redacted: it would blot out ordinary text; choose a longer one",
	}
	if got := strings.Join(told, "\n"); got != strings.Join(want, "\n") {
		t.Errorf("told\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestCheckIgnoresScope(t *testing.T) {
	v := Open(parse(t, "[secrets.tok]\nvalue = \"0123456789\"\nrefs = [\"main\"]\n"))
	f, err := v.Check(context.Background(), "tok")
	if err != nil || f.Length != 10 || len(f.Warnings) > 0 {
		t.Errorf("%+v, %v", f, err)
	}
}
