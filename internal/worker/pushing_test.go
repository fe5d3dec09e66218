package worker

import (
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// A process that says it takes a push holds up recovery only if it may: whoever
// may not write to the repository, and whoever is at work elsewhere, does not.
func TestWhoseProcessIsAPush(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to be several users")
	}
	root, err := os.MkdirTemp("", "quire-pushing-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(root) })
	const owner, stranger = 61930, 61931
	gitDir := filepath.Join(root, "project.git")
	if err := os.MkdirAll(filepath.Join(gitDir, "objects"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{root, gitDir} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chown(gitDir, owner, owner); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		uid  uint32
		dir  string
		word string
		want bool
	}{
		"a push of the owner":              {owner, gitDir, "git-receive-pack", true},
		"its hook, deeper":                 {owner, gitDir + "/objects", "hooks/post-receive", true},
		"a push of root":                   {0, gitDir, "git-receive-pack", true},
		"a push elsewhere":                 {owner, root, "git-receive-pack", false},
		"a stranger in the repository":     {stranger, gitDir, "git-receive-pack", false},
		"a stranger who names it":          {stranger, root, "git-receive-pack " + gitDir, false},
		"another process in the directory": {owner, gitDir, "vi", false},
	} {
		t.Run(name, func(t *testing.T) {
			cmd := exec.Command("sh", "-c", "echo; read line", c.word)
			cmd.Dir = c.dir
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: c.uid, Gid: c.uid}}
			in, err := cmd.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := out.Read(make([]byte, 1)); err != nil { // it runs
				t.Fatal(err)
			}
			if got := pushing(gitDir); got != c.want {
				t.Errorf("pushing: %v, want %v", got, c.want)
			}
			io.WriteString(in, "\n")
			cmd.Wait()
		})
	}
}

func TestArgumentsThatNameTheRepository(t *testing.T) {
	gitDir := filepath.Join(t.TempDir(), "project.git")
	if err := os.Mkdir(gitDir, 0o755); err != nil {
		t.Fatal(err)
	}
	for cmdline, want := range map[string]bool{
		"git-receive-pack\x00" + gitDir + "\x00":               true,
		"git-receive-pack\x00" + filepath.Dir(gitDir) + "\x00": false,
		"sh\x00-c\x00git-receive-pack '" + gitDir + "'\x00":    true,
		"git-receive-pack\x00project.git\x00":                  true,
		"git-receive-pack\x00~git/project\x00":                 true,
		"git-receive-pack\x00/nowhere/project.git\x00":         false,
		"tail\x00-f\x00receive-pack.log\x00":                   false,
		"git-receive-pack\x00other.git\x00":                    false,
	} {
		if got := names(cmdline, gitDir); got != want {
			t.Errorf("names(%q) = %v", cmdline, got)
		}
	}
}
