package config

import (
	"slices"
	"testing"
)

// Two people whose sessions differ start the same worker.
func TestAWorkerIsTheSameWhoeverStartsIt(t *testing.T) {
	c := Defaults()
	c.Env.Pass = append(c.Env.Pass, "LC_MESSAGES", "GIT_SSH_COMMAND", "SSH_AUTH_SOCK", "GOPROXY")
	machine := map[string]string{"PATH": "/usr/lib/git-core:/usr/bin", "HOME": "/home/git", "GOPROXY": "off"}
	started := func(session map[string]string) []string {
		return c.WorkerEnv(func(name string) (string, bool) {
			if v, ok := session[name]; ok {
				return v, true
			}
			v, ok := machine[name]
			return v, ok
		})
	}
	ann := started(map[string]string{"LANG": "tr_TR.UTF-8", "LC_ALL": "tr_TR.UTF-8", "LC_MESSAGES": "x", "TZ": "Asia/Tokyo", "LANGUAGE": "tr",
		"GIT_SSH_COMMAND": "touch /tmp/x", "SSH_AUTH_SOCK": "/tmp/agent"})
	bob := started(nil)
	if !slices.Equal(ann, bob) {
		t.Errorf("ann starts\n%q\nand bob\n%q", ann, bob)
	}
	if want := []string{"LANG=C.UTF-8", "PATH=/usr/bin", "HOME=/home/git", "GOPROXY=off"}; !slices.Equal(ann, want) {
		t.Errorf("%q, want %q", ann, want)
	}
}
