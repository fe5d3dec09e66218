package hooks_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Everybody may note a repository. One that git, or a look at its hook, would wait
// for as long as its owner likes is a line, and neither the end of the list nor a
// reason to keep the programs.
func TestANotedRepositoryHoldsNothingUp(t *testing.T) {
	towns(t, func(t *testing.T, b *town) {
		if b.umask != 0o022 {
			return // the list is the same, and the wait long
		}
		own := filepath.Join(b.Dir, "p") // a list of repositories of its own
		b.must("root", "sh", "-c", `cp -r "$1" "$2"; rm -rf "$2/share"; chmod -R a+rX "$2"`, "sh", prefix, own)
		quire := filepath.Join(own, "bin/quire")
		good := b.repository("alice", "z.git", "")
		b.must("root", quire, "install", good)
		list := filepath.Join(own, "share/quire/repositories.d")
		held := map[string]string{}
		for _, file := range []string{"config", "hooks/post-receive"} {
			repo := b.repository("gitter", "held-"+filepath.Base(file)+".git", "")
			held[file] = repo
			sum := sha256.Sum256([]byte(repo))
			b.must("gitter", "sh", "-c", `rm -f "$1/$2"; mkfifo "$1/$2"; echo "$1" >"$3"`, "sh", repo, file, fmt.Sprintf("%s/%x", list, sum[:16]))
		}
		out, _ := b.as("root", "timeout", "300", quire, "repositories")
		for _, line := range []string{"installed alice " + good, "unknown " + held["config"] + " look at " + held["config"] + ": git gives no answer within 5s"} {
			if !strings.Contains(strings.Join(strings.Fields(out), " "), line) {
				t.Errorf("nothing like %q in\n%s", line, out)
			}
		}
		for _, repo := range held {
			if !strings.Contains(out, repo) {
				t.Errorf("%s:\n%s", repo, out)
			}
		}
		b.must("root", quire, "uninstall", good)
		script, err := filepath.Abs("../install.sh")
		if err != nil {
			t.Fatal(err)
		}
		out, status := b.as("root", "timeout", "300", "sh", script, "--uninstall", "--no-boot", "--prefix", own)
		if status != 1 || !strings.Contains(out, held["config"]) || !strings.Contains(out, "--force") {
			t.Errorf("exit %d\n%s", status, out)
		}
		b.must("root", "timeout", "300", "sh", script, "--uninstall", "--force", "--no-boot", "--prefix", own)
		if _, err := os.Lstat(quire); err == nil {
			t.Error("the program is still there")
		}
	})
}
