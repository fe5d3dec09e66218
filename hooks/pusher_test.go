package hooks

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestPusher(t *testing.T) {
	auth := filepath.Join(t.TempDir(), "auth")
	// The key's fingerprint is `ssh-keygen -l`'s.
	const key = "AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl"
	if err := os.WriteFile(auth, []byte("password\npublickey ssh-ed25519 "+key+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name string
		env  map[string]string
		from string // [hook] pusher_from
		want string
	}{
		{"unix user", map[string]string{"USER": "git"}, "", "git"},
		{"login name first", map[string]string{"USER": "git", "LOGNAME": "ann"}, "", "ann"},
		{"gitolite", map[string]string{"GL_USER": "alice", "USER": "git"}, "GL_USER", "alice"},
		{"a variable that is not listed", map[string]string{"QUIRE_PUSHER": "bea", "GL_USER": "alice", "REMOTE_USER": "x", "USER": "git"}, "", "git"},
		{"a listed one that is not set", map[string]string{"GL_USER": "cy", "USER": "git"}, "REMOTE_USER", "git"},
		{"web server", map[string]string{"REMOTE_USER": "dora@example.org", "USER": "www-data"}, "REMOTE_USER", "dora@example.org"},
		{"the first of two", map[string]string{"QUIRE_PUSHER": "eve", "GL_USER": "alice"}, "QUIRE_PUSHER GL_USER", "eve"},
		{"one account, many keys", map[string]string{"USER": "git", "SSH_USER_AUTH": auth}, "", "git (SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU)"},
		{"no such file", map[string]string{"USER": "git", "SSH_USER_AUTH": auth + "x"}, "", "git"},
		{"control characters", map[string]string{"GL_USER": "\x1b[31mmallory\x07\n\u009b2J"}, "GL_USER", "[31mmallory2J"},
		{"nothing but control characters", map[string]string{"GL_USER": "\x1b\n", "USER": "git"}, "GL_USER", "git"},
		{"endless", map[string]string{"GL_USER": strings.Repeat("é", 500)}, "GL_USER", strings.Repeat("é", 100) + "…"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := pusher(func(name string) string { return tt.env[name] }, strings.Fields(tt.from)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
	if got := pusher(func(string) string { return "" }, nil); got != userName(os.Geteuid()) {
		t.Errorf("without any variable: %q", got)
	}
	if got := userName(0); got != "root" {
		t.Errorf("user 0 is %q", got)
	}
	if got := userName(1<<31 - 2); got != "user 2147483646" {
		t.Errorf("an unknown user is %q", got)
	}
}
