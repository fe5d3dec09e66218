package secret

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// TestShield shields another process, since it cannot be taken back.
func TestShield(t *testing.T) {
	if os.Getenv("QUIRE_TEST_SHIELD") != "" {
		if err := Shield(); err != nil {
			t.Fatal(err)
		}
		dumpable, err := unix.PrctlRetInt(unix.PR_GET_DUMPABLE, 0, 0, 0, 0)
		child, childErr := exec.Command("sh", "-c", "ulimit -c").Output()
		fmt.Printf("dumpable %d %v, child's core limit %s %v\n", dumpable, err, strings.TrimSpace(string(child)), childErr)
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestShield$")
	cmd.Env = append(os.Environ(), "QUIRE_TEST_SHIELD=1")
	out, err := cmd.Output()
	if want := "dumpable 0 <nil>, child's core limit 0 <nil>\n"; err != nil || !strings.HasPrefix(string(out), want) {
		t.Errorf("got %v\n%s\nwant %s", err, out, want)
	}
}
