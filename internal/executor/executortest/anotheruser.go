package executortest

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

// anotherUser is a user id that no account of the machine has.
const anotherUser = 61928

// AsAnotherUser runs tests of this test program once more, as a user who is not
// root, if it is root who runs them. pattern says which, as -run does.
func AsAnotherUser(t *testing.T, pattern string) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("whoever runs the tests is not root")
	}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir, err := os.MkdirTemp("", "quire-user-") // t.TempDir's parents are root's alone
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	tmp, program := filepath.Join(dir, "tmp"), filepath.Join(dir, filepath.Base(self))
	copyFile(t, self, program, 0o755)
	if err := os.Mkdir(tmp, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(tmp, anotherUser, anotherUser); err != nil {
		t.Fatal(err)
	}
	c := exec.CommandContext(t.Context(), program, "-test.run", pattern, "-test.v")
	c.Dir = tmp
	c.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + tmp, "TMPDIR=" + tmp, "CI=" + os.Getenv("CI")}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: anotherUser, Gid: anotherUser}}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Errorf("as user %d: %v\n%s", anotherUser, err, out)
	} else {
		t.Logf("%s", out)
	}
}
