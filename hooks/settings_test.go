package hooks

import (
	"os"
	"path/filepath"
	"testing"

	"quire/internal/config"
	"quire/internal/runner"
)

// A configuration that lost its state_dir, half written, sends no push where nobody
// looks: the repository's record says where they belong.
func TestAHalfWrittenConfigurationKeepsTheRecordedStateDirectory(t *testing.T) {
	recorded := runner.Runner{Recorded: true, UID: os.Geteuid(), StateDir: "/recorded"}
	for _, c := range []struct {
		name, text string
		who        runner.Runner
		want       string // "default", or "" for none
	}{
		{"NUL bytes", "\x00\x00\x00", recorded, "/recorded"},
		{"cut before the key", "linger = \"1", recorded, "/recorded"},
		{"cut in the key", "state_d", recorded, "/recorded"},
		{"cut in the value", "state_dir = \"/sa", recorded, "/recorded"},
		{"cut in the value, no record", "state_dir = \"/sa", runner.Runner{}, ""},
		{"cut after it", "state_dir = \"/said\"\nlinger = \"1", recorded, "/said"},
		{"a wrong key", "state_dir = \"/said\"\nbogus = 1\n", recorded, "/said"},
		{"no record", "linger = \"1", runner.Runner{}, "default"},
		{"another user's record", "linger = \"1", runner.Runner{Recorded: true, UID: os.Geteuid() + 1, StateDir: "/other"}, "default"},
		{"relative", "state_dir = \"here\"\nbogus = 1\n", runner.Runner{}, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv("XDG_STATE_HOME", filepath.Join(t.TempDir(), "default"))
			path := filepath.Join(t.TempDir(), "config.toml")
			if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Setenv("QUIRE_CONFIG", path)
			who := c.who
			who.Config = path
			got, fault := settings(who)
			if fault == nil {
				t.Fatal("the configuration has no fault")
			}
			switch {
			case got == nil:
				if c.want != "" {
					t.Errorf("no state directory, want %s", c.want)
				}
			case c.want == "default":
				if want := config.Defaults().StateDir; got.StateDir != want {
					t.Errorf("%s, want %s", got.StateDir, want)
				}
			case got.StateDir != c.want:
				t.Errorf("%s, want %q", got.StateDir, c.want)
			}
		})
	}
}
