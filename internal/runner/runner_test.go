package runner

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
)

// owner and stranger are user ids that no account has.
const owner, stranger = 61927, 61928

// repository is a directory of owner's; not as root, of the test's user.
func repository(t *testing.T) string {
	dir := t.TempDir()
	if os.Geteuid() == 0 {
		chown(t, dir, owner)
	}
	return dir
}

func chown(t *testing.T, path string, uid int) {
	t.Helper()
	if err := os.Lchown(path, uid, uid); err != nil {
		t.Fatal(err)
	}
}

func write(t *testing.T, dir, text string, uid int, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(dir, File)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	chown(t, path, uid)
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestWithoutARecordTheOwnerIsTheRunner(t *testing.T) {
	dir := repository(t)
	r, err := Of(dir)
	st, _ := os.Stat(dir)
	if err != nil || r != (Runner{UID: ownerOf(st)}) {
		t.Errorf("Of: %+v, %v", r, err)
	}
	if _, err := Of(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("a directory that is not there has a runner")
	}
}

func TestARecordIsReadBackAsItWasWritten(t *testing.T) {
	dir := repository(t)
	st, _ := os.Stat(dir)
	want := Runner{Name: `odd "name" \`, UID: ownerOf(st), Config: "/etc/quire/ö x.toml", StateDir: "/var/lib/quire-www-data",
		Socket: "/run/quire/git.sock", Reason: "because # of this", Off: true, Recorded: true}
	text, err := want.Text()
	if err != nil {
		t.Fatal(err)
	}
	write(t, dir, string(text), want.UID, 0o644)
	got, err := Of(dir)
	if err != nil || got != want {
		t.Errorf("got  %+v, %v\nwant %+v", got, err, want)
	}
	for _, bad := range []string{"two\nlines", "\x00", "\xff", "\x7f"} {
		if _, err := (Runner{Config: bad}).Text(); err == nil {
			t.Errorf("%q fits into a record", bad)
		}
	}
}

// What counts is decided by whose the file is, not by what it says.
func TestOnlyRootAndTheOwnerHaveASay(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make other users' files")
	}
	const whole = "runner = \"somebody\"\nuid = %\nreason = \"$\"\n"
	for _, c := range []struct {
		name            string
		fileOwner, uid  int
		reason          string
		mode            os.FileMode
		counts          bool
		ignoredMentions string
	}{
		{"root names another", 0, stranger, "", 0o644, true, ""},
		{"the owner names itself", owner, owner, "", 0o644, true, ""},
		{"the owner names another", owner, stranger, "", 0o644, false, "only root"},
		{"the owner names root", owner, 0, "please", 0o644, false, "only root"},
		{"a stranger names itself", stranger, stranger, "", 0o644, false, "neither root nor"},
		{"a stranger names the owner", stranger, owner, "", 0o644, false, "neither root nor"},
		{"root names root and says why", 0, 0, "mirrors need it", 0o644, true, ""},
		{"root names root and does not say why", 0, 0, " ", 0o644, false, "no reason"},
		{"the group may write", 0, stranger, "", 0o664, false, "written by others (mode 0664)"},
		{"all may write", 0, stranger, "", 0o646, false, "written by others"},
		{"private", 0, stranger, "", 0o600, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := repository(t)
			text := strings.NewReplacer("%", strconv.Itoa(c.uid), "$", c.reason).Replace(whole)
			write(t, dir, text, c.fileOwner, c.mode)
			r, err := Of(dir)
			if err != nil {
				t.Fatal(err)
			}
			if c.counts {
				if !r.Recorded || r.UID != c.uid || r.Ignored != "" {
					t.Errorf("%+v", r)
				}
				return
			}
			if r.Recorded || r.UID != owner || r.Name != "" || !strings.Contains(r.Ignored, c.ignoredMentions) {
				t.Errorf("%+v", r)
			}
		})
	}
}

func TestWhatIsNoPlainFileDoesNotCount(t *testing.T) {
	st := func(dir string) int { s, _ := os.Stat(dir); return ownerOf(s) }
	record := func(dir string) string { return "uid = " + strconv.Itoa(st(dir)) + "\nstate_dir = \"/elsewhere\"\n" }
	for name, c := range map[string]struct {
		make func(t *testing.T, dir, path string)
		want string
	}{
		"a symbolic link": {func(t *testing.T, dir, path string) {
			other := write(t, t.TempDir(), record(dir), st(dir), 0o644)
			if err := os.Symlink(other, path); err != nil {
				t.Fatal(err)
			}
		}, "is a symbolic link"},
		"a second name": {func(t *testing.T, dir, path string) {
			other := write(t, t.TempDir(), record(dir), st(dir), 0o644)
			if err := os.Link(other, path); err != nil {
				t.Fatal(err)
			}
		}, "more than one name"},
		"a pipe": {func(t *testing.T, dir, path string) {
			if err := syscall.Mkfifo(path, 0o644); err != nil {
				t.Fatal(err)
			}
			chown(t, path, st(dir))
		}, "is not a file"},
		"a directory": {func(t *testing.T, dir, path string) {
			if err := os.Mkdir(path, 0o755); err != nil {
				t.Fatal(err)
			}
			chown(t, path, st(dir))
		}, "is not a file"},
		"too large": {func(t *testing.T, dir, _ string) {
			write(t, dir, record(dir)+strings.Repeat("#", maxFile), st(dir), 0o644)
		}, "too large"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := repository(t)
			c.make(t, dir, filepath.Join(dir, File))
			r, err := Of(dir)
			if err != nil || r.Recorded || r.StateDir != "" || !strings.Contains(r.Ignored, c.want) {
				t.Errorf("%+v, %v", r, err)
			}
		})
	}
}

// A record that counts and is not understood is not passed over: the directory's
// owner may be the wrong user.
func TestARecordThatIsNotUnderstoodIsAnError(t *testing.T) {
	for text, want := range map[string]string{
		"uid = [":                             "line 1",
		"runner = \"git\"\n":                  "no uid",
		"uid = -1\n":                          "no uid",
		"uid = \"git\"\n":                     "uid",
		"uid = 7\nconfig = \"quire.toml\"\n":  "absolute",
		"uid = 7\nstate_dir = \"./state\"\n":  "absolute",
		"uid = 7\nsocket = \"@abstract\"\n":   "absolute",
		"uid = 7\nfuture = 1\nuid = 8\n":      "line 3",
		"uid = 99999999999999999999999999\n":  "",
		"\xff\xfe":                            "",
		"uid = 7\nreason = \"\"\"\nunclosed ": "",
	} {
		dir := repository(t)
		st, _ := os.Stat(dir)
		write(t, dir, text, ownerOf(st), 0o644)
		_, err := Of(dir)
		if err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), filepath.Join(dir, File)) {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// FuzzParse holds the reader to: an error or a record that can be written again.
func FuzzParse(f *testing.F) {
	f.Add("runner = \"git\"\nuid = 998\nconfig = \"/c\"\nstate_dir = \"/s\"\nsocket = \"/run/x\"\nreason = \"\"\noff = true\n")
	f.Add("uid = 0")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parse(text)
		if err != nil {
			return
		}
		again, err := r.Text()
		if err != nil {
			return // TOML's escapes can make what one line cannot hold
		}
		if back, err := parse(string(again)); err != nil || back != r {
			t.Errorf("%q\n%+v\n%+v, %v", text, r, back, err)
		}
	})
}
