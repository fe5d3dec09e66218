package config

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A configuration for all, and secrets that only the runner reads.
func split(t *testing.T, conf, secrets string) string {
	t.Helper()
	dir := t.TempDir()
	path := filepath.Join(dir, "config.toml")
	put(t, path, conf, 0o644)
	put(t, filepath.Join(dir, "secrets.toml"), secrets, 0o600)
	return path
}

func put(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

const mirrorOfAll = "[[mirror]]\nrepos = [\"*\"]\nurl = \"https://example.org/x\"\nsecret = \"token\"\n"

func TestSecretsStandInAFileOfTheirOwn(t *testing.T) {
	path := split(t, mirrorOfAll+"[secrets]\nidentity = \"/k\"\n[secrets.plain]\nfile = \"/f\"\n",
		"[secrets.token]\nvalue = \"s3cr3t\"\nrepos = [\"x\"]\n[secrets.locked]\nage_file = \"/a\"\n")
	for name, load := range map[string]func(string) (*Config, error){"all": LoadFile, "public": LoadPublicFile} {
		c, err := load(path)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if c.Secrets["token"].Value != "s3cr3t" || c.Secrets["plain"].File != "/f" || len(c.Secrets) != 3 || c.Identity != "/k" {
			t.Errorf("%s: %+v, %q", name, c.SecretNames(), c.Identity)
		}
	}
}

func TestWhatASecretsFileMayNotHold(t *testing.T) {
	for _, c := range []struct{ conf, secrets, want string }{
		{"", "max_runs = 1\n[secrets.a]\nvalue = \"x\"\n", "secrets.toml:1: max_runs belongs into the configuration; here only [secrets] is read"},
		{"", mirrorOfAll, "secrets.toml:1: mirror belongs into the configuration"},
		{"[secrets.a]\nfile = \"/f\"\n", "[secrets.a]\nvalue = \"x\"\n", "config.toml:1: secret a is declared in "},
		{"", "[secrets.a]\nvalue = \"x\"\nvalu = \"hunter22\"\n", "secrets.toml:3: unknown key secrets.a.valu"},
		{"", "[secrets.a]\nvalue = \"hunter22\n", "secrets.toml:2: "},
		{mirrorOfAll, "[secrets.other]\nvalue = \"x\"\n", `names the secret "token", which is not declared`},
		{"", "[secrets.a]\nage = \"x\"\n", "secrets.toml:1: secret a is encrypted with age and [secrets] names no identity file"},
		{"[secrets]\nidentity = \"/k\"\n", "[secrets]\nidentity = \"/l\"\n", "secrets.identity is in both files"},
		{"max_runs = 0\n", "[secrets.a]\n", "max_runs must be at least 1"},
		{"max_runs = 0\n", "[secrets.a]\n", "secret a has no source"},
	} {
		path := split(t, c.conf, c.secrets)
		_, err := LoadFile(path)
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("%q + %q:\n%v\nwant %s", c.conf, c.secrets, err, c.want)
		}
		var faulty *Error
		if !errors.As(err, &faulty) {
			t.Errorf("%q + %q: %T", c.conf, c.secrets, err)
		}
	}
}

func TestSecretsThatOthersCanReadAreRefused(t *testing.T) {
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o644} {
		path := split(t, "", "[secrets.a]\nvalue = \"hunter22\"\n")
		secrets := filepath.Join(filepath.Dir(path), "secrets.toml")
		if err := os.Chmod(secrets, mode); err != nil {
			t.Fatal(err)
		}
		_, err := LoadFile(path)
		if err == nil || !strings.Contains(err.Error(), "run: chmod 600 "+secrets) || strings.Contains(err.Error(), "hunter22") {
			t.Errorf("mode %04o: %v", mode, err)
		}
	}
	// Literal ones in the configuration itself: where they belong is said.
	path := split(t, "[secrets.a]\nvalue = \"hunter22\"\n", "")
	_, err := LoadFile(path)
	if err == nil || !strings.Contains(err.Error(), "move [secrets.a] to "+filepath.Join(filepath.Dir(path), "secrets.toml")) {
		t.Error(err)
	}
}

func TestTheFileOfSecretsIsNamedForItsConfiguration(t *testing.T) {
	for path, want := range map[string]string{
		"/etc/quire/config.toml":   "/etc/quire/secrets.toml",
		"/etc/quire/www-data.toml": "/etc/quire/www-data.secrets.toml",
		"/x/quire.conf":            "/x/quire.conf.secrets.toml",
		"config.toml":              "secrets.toml",
		"":                         "",
	} {
		if got := SecretsPath(path); got != want {
			t.Errorf("%q: %q, want %q", path, got, want)
		}
	}
}

// Another user reads the configuration without its secrets, and cannot be given
// the runner's part by mistake.
func TestAnotherUserReadsAConfigurationWithoutItsSecrets(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to become another user")
	}
	path := split(t, mirrorOfAll+"[secrets.locked]\nage_file = \"/a\"\n", "[secrets]\nidentity = \"/k\"\n[secrets.token]\nvalue = \"s3cr3t\"\n")
	dir := filepath.Dir(path)
	for d := dir; d != "/" && d != os.TempDir(); d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	self := filepath.Join(dir, "config.test")
	text, err := os.ReadFile("/proc/self/exe")
	if err == nil {
		err = os.WriteFile(self, text, 0o755)
	}
	if err != nil {
		t.Fatal(err)
	}
	run := func(what string) string {
		cmd := exec.Command(self, "-test.run=^TestLoadAsTold$", "-test.v")
		cmd.Dir = "/"
		cmd.Env = []string{"QUIRE_TEST_LOAD=" + what, "QUIRE_CONFIG=" + path, "HOME=/nonexistent"}
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 61927, Gid: 61927}}
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	if out := run("public"); !strings.Contains(out, "loaded [locked]") {
		t.Errorf("public: %s", out)
	}
	if out := run("all"); !strings.Contains(out, "secrets.toml: permission denied; they are for the user that runs the pipelines") {
		t.Errorf("all: %s", out)
	}
}

// TestLoadAsTold is the other user's process of the test above.
func TestLoadAsTold(t *testing.T) {
	load := map[string]func() (*Config, error){"public": LoadPublic, "all": Load}[os.Getenv("QUIRE_TEST_LOAD")]
	if load == nil {
		return
	}
	c, err := load()
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("loaded %v", c.SecretNames())
}
