package install

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"quire/internal/runner"
)

// Whoever owns a repository can put a link to another directory in its place, or
// in the place of one on the way, at any moment. Nothing is written there.
func TestARecordGoesIntoTheDirectoryThatWasFound(t *testing.T) {
	for name, exchange := range map[string]func(dir string) error{
		"itself": func(dir string) error {
			return errors.Join(os.Rename(dir+"/way/x.git", dir+"/way/z.git"), os.Symlink(dir+"/victim", dir+"/way/x.git"))
		},
		"on the way": func(dir string) error {
			return errors.Join(os.Rename(dir+"/way", dir+"/was"), os.Symlink(dir+"/victims", dir+"/way"))
		},
		"another": func(dir string) error {
			return errors.Join(os.Rename(dir+"/way/x.git", dir+"/way/z.git"), os.Mkdir(dir+"/way/x.git", 0o755))
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir, err := filepath.EvalSymlinks(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			for _, d := range []string{"way", "victims/x.git", "victim"} {
				if err := os.MkdirAll(filepath.Join(dir, d), 0o755); err != nil {
					t.Fatal(err)
				}
			}
			if out, err := exec.Command("git", "init", "-q", "--bare", dir+"/way/x.git").CombinedOutput(); err != nil {
				t.Fatalf("%v %s", err, out)
			}
			repo, err := Find(dir + "/way/x.git")
			if err != nil {
				t.Fatal(err)
			}
			opened, err := repo.Open()
			if err != nil {
				t.Fatal(err)
			}
			defer opened.Close()
			who := runner.Runner{Name: "me", UID: os.Geteuid(), Recorded: true}
			if err := opened.Record(who, false); err != nil {
				t.Fatal(err)
			}
			if got, err := opened.Runner(); err != nil || !got.Recorded || got.UID != who.UID {
				t.Fatalf("%+v, %v", got, err)
			}
			if err := exchange(dir); err != nil {
				t.Fatal(err)
			}
			if err := opened.Record(who, false); !errors.Is(err, errExchanged) {
				t.Errorf("an exchanged repository: %v", err)
			}
			if again, err := repo.Open(); !errors.Is(err, errExchanged) {
				t.Errorf("an exchanged repository is opened: %v, %v", again, err)
			}
			if err := writeIn(opened.root, "late", nil); err != nil {
				t.Error(err)
			}
			if err := makeDrop(opened.root, os.Geteuid()); err != nil {
				t.Error(err)
			}
			for _, d := range []string{"victims/x.git", "victim", "way/x.git"} {
				for _, f := range []string{"late", runner.File, runner.Drop} {
					if _, err := os.Lstat(filepath.Join(dir, d, f)); err == nil {
						t.Errorf("%s is in %s", f, d)
					}
				}
			}
		})
	}
}
