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
