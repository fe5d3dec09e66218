package account

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

func TestAUserIsFoundByNameAndNumber(t *testing.T) {
	a, err := ByName("root")
	if err != nil || a.UID != 0 || a.GID != 0 || a.Home != "/root" || a.String() != "root" {
		t.Errorf("root: %+v, %v", a, err)
	}
	if b, err := ByName("0"); err != nil || b.Name != "root" {
		t.Errorf("0: %+v, %v", b, err)
	}
	if _, err := ByName("no-such-user-here"); err == nil || !strings.Contains(err.Error(), "there is no user no-such-user-here") {
		t.Errorf("no-such-user-here: %v", err)
	}
	if _, err := ByName("--help"); err == nil {
		t.Error("an option is a user")
	}
	if c, err := ByName("61927"); err != nil || c.UID != 61927 || c.GID != 61927 || c.String() != "user 61927" || len(c.Env()) != 2 {
		t.Errorf("61927: %+v, %v", c, err)
	}
	if s := Self(); s.UID != os.Geteuid() {
		t.Errorf("self: %+v", s)
	}
}

// Debian's user "games" has the group "games" by its own entry only.
func TestMembersHaveTheGroupByEitherEntry(t *testing.T) {
	games, err := ByName("games")
	if err != nil {
		t.Skip("this machine has no user games")
	}
	members, err := Members(games.GID)
	if err != nil || len(members) != 1 || members[0].Name != "games" || !members[0].In(games.GID) {
		t.Errorf("%+v, %v", members, err)
	}
}

// A program that root runs as another user has nothing of root's.
func TestACommandHasNothingOfRoots(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root")
	}
	t.Setenv("SECRET_OF_ROOT", "1")
	a := Account{Name: "nn", UID: 61927, GID: 61926, Groups: []int{61925}, Home: "/nonexistent"}
	out, err := a.Command("/bin/sh", "-c", `id -u; id -g; id -G; pwd; env | sort; cut -d' ' -f6 </proc/$$/stat | grep -qx $$ && echo own session`).Output()
	if err != nil {
		if ee, ok := err.(*exec.ExitError); ok {
			t.Logf("%s", ee.Stderr)
		}
		t.Fatal(err)
	}
	want := "61927\n61926\n61926 61925\n/\nHOME=/nonexistent\nLC_ALL=C.UTF-8\nLOGNAME=nn\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/\nUSER=nn\nown session\n"
	if string(out) != want {
		t.Errorf("got\n%s\nwant\n%s", out, want)
	}
}

func TestWhatIsClosedToAUserIsNamed(t *testing.T) {
	dir := t.TempDir()
	open := dir + "/open"
	if err := os.MkdirAll(open+"/closed/deep", 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(open+"/program", nil, 0o744); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != "/" && d != os.TempDir(); d = d[:strings.LastIndex(d, "/")] {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(open+"/closed", 0o750); err != nil {
		t.Fatal(err)
	}
	stranger := Account{UID: 61927, GID: 61927}
	for path, want := range map[string]string{
		open:                    "",
		open + "/closed/deep":   open + "/closed",
		open + "/program":       open + "/program",
		open + "/not-there/at":  "",
		open + "/closed/nobody": open + "/closed",
	} {
		if got, _ := stranger.Blocked(path); got != want {
			t.Errorf("%s: %q, want %q", path, got, want)
		}
	}
	member := Account{UID: 61927, GID: 61927, Groups: []int{os.Getegid()}}
	if got, _ := member.Blocked(open + "/closed/deep"); got != "" {
		t.Errorf("a member of the group: %s", got)
	}
}
