package config

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func TestPrivateAreThePathsThatTheConfigurationResolvesTo(t *testing.T) {
	dir, home, linked := t.TempDir(), t.TempDir(), t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("CREDENTIALS_DIRECTORY", "/run/credentials/quire.service")
	must := func(err error) {
		if err != nil {
			t.Fatal(err)
		}
	}
	must(os.Symlink(linked, filepath.Join(dir, "keys")))
	must(os.Symlink(filepath.Join(linked, "real.toml"), filepath.Join(dir, "config.toml")))
	text := fmt.Sprintf(`state_dir = %q
[secrets]
identity = "keys/age.key"
[secrets.relative]
file = "tokens/../token"
[secrets.tilde]
file = "~/secrets/token"
[secrets.aged]
age_file = "aged/token.age"
[secrets.later]
file = "/opt/not/there/yet"
[secrets.command]
command = ["/usr/bin/env", "./get-token", "/usr/local/bin/helper", "/var/tokens/it", "word"]
`, filepath.Join(dir, "keys", "state"))
	c, err := Parse(filepath.Join(dir, "config.toml"), text)
	must(err)
	// The secrets' own file may be a link, too.
	must(os.Symlink("/opt/elsewhere/tokens.toml", filepath.Join(dir, "secrets.toml")))
	got := c.Private()
	for _, want := range []string{
		filepath.Join(dir, "config.toml"), dir, filepath.Join(linked, "real.toml"), linked,
		filepath.Join(dir, "keys", "age.key"), filepath.Join(linked, "age.key"), filepath.Join(dir, "keys"),
		filepath.Join(dir, "secrets.toml"), "/opt/elsewhere/tokens.toml", "/opt/elsewhere",
		filepath.Join(dir, "token"), filepath.Join(home, "secrets", "token"), filepath.Join(home, "secrets"),
		filepath.Join(dir, "aged", "token.age"), filepath.Join(dir, "aged"), "/opt/not/there/yet", "/opt/not/there",
		filepath.Join(dir, "get-token"), "/usr/local/bin/helper", "/var/tokens/it",
		filepath.Join(dir, "keys", "state"), filepath.Join(linked, "state"), "/run/credentials/quire.service",
	} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among them", want)
		}
	}
	for _, other := range []string{"/", "/usr/bin/env", "/usr/bin", "/usr/local/bin", "/var", "/var/tokens", filepath.Join(dir, "word"), home} {
		if slices.Contains(got, other) {
			t.Errorf("%s is among them", other)
		}
	}
	if t.Failed() {
		t.Logf("%q", got)
	}
}

// A release that is made current while a job runs holds the secret, too.
func TestPrivateAreTheDirectoriesOfLinks(t *testing.T) {
	top := t.TempDir()
	for _, err := range []error{
		os.MkdirAll(filepath.Join(top, "app", "releases", "1", "secrets"), 0o755),
		os.Symlink("releases/1", filepath.Join(top, "app", "current")),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	c, err := Parse(filepath.Join(top, "etc", "config.toml"), fmt.Sprintf("[secrets.token]\nfile = %q\n", filepath.Join(top, "app", "current", "secrets", "token")))
	if err != nil {
		t.Fatal(err)
	}
	got := c.Private()
	for _, want := range []string{filepath.Join(top, "app"), filepath.Join(top, "app", "releases", "1", "secrets")} {
		if !slices.Contains(got, want) {
			t.Errorf("%s is not among %q", want, got)
		}
	}
	if slices.Contains(got, top) || slices.Contains(got, "/") {
		t.Errorf("too much is hidden: %q", got)
	}
}
