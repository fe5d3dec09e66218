package runner

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
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
		Socket: "/run/quire/git.sock", Reason: "because # of this", Off: true, Repository: real(t, dir), Recorded: true}
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
	const whole = "runner = \"somebody\"\nuid = %\nreason = \"$\"\nrepository = \"@\"\n"
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
			text := strings.NewReplacer("%", strconv.Itoa(c.uid), "$", c.reason, "@", real(t, dir)).Replace(whole)
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

// real is a path with its links resolved.
func real(t *testing.T, path string) string {
	t.Helper()
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		t.Fatal(err)
	}
	return path
}

// Who may write to two repositories can move the record of one to the other, and
// who owns one can move it, or have a link lead to another.
func TestARecordCountsInItsRepositoryAlone(t *testing.T) {
	dir, other := repository(t), repository(t)
	st, _ := os.Stat(dir)
	uid := ownerOf(st)
	record := fmt.Sprintf("uid = %d\nrepository = %q\n", uid, real(t, dir))
	fileOwners := []int{uid}
	if os.Geteuid() == 0 {
		fileOwners = append(fileOwners, 0)
	}
	for _, fileOwner := range fileOwners {
		path := write(t, dir, record, fileOwner, 0o644)
		link := filepath.Join(t.TempDir(), "link")
		if err := os.Symlink(dir, link); err != nil {
			t.Fatal(err)
		}
		for _, by := range []string{dir, link} {
			if r, err := Of(by); err != nil || !r.Recorded || r.Ignored != "" {
				t.Errorf("by %s: %+v, %v", by, r, err)
			}
		}
		if err := os.Rename(path, filepath.Join(other, File)); err != nil {
			t.Fatal(err)
		}
		r, err := Of(other)
		if err != nil || r.Recorded || !strings.Contains(r.Ignored, "is the record of") || r.Settled(other) == nil || Check(other) == nil {
			t.Errorf("moved: %+v, %v", r, err)
		}
		// The old path leads to the other repository now.
		if err := os.Rename(dir, dir+".away"); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(other, dir); err != nil {
			t.Fatal(err)
		}
		if r, err := Of(dir); err != nil || r.Recorded {
			t.Errorf("through a link: %+v, %v", r, err)
		}
		if err := errors.Join(os.Remove(dir), os.Rename(dir+".away", dir)); err != nil {
			t.Fatal(err)
		}
	}
}

func TestARecordOfAnEarlierVersionCountsIfItIsTheOwners(t *testing.T) {
	dir := repository(t)
	st, _ := os.Stat(dir)
	record := "uid = " + strconv.Itoa(ownerOf(st)) + "\n"
	write(t, dir, record, ownerOf(st), 0o644)
	if r, err := Of(dir); err != nil || !r.Recorded {
		t.Errorf("the owner's: %+v, %v", r, err)
	}
	if os.Geteuid() != 0 {
		return
	}
	chown(t, filepath.Join(dir, File), 0)
	if r, err := Of(dir); err != nil || r.Recorded || !strings.Contains(r.Ignored, "which repository") {
		t.Errorf("root's: %+v, %v", r, err)
	}
}

// Who may write to the directory can take the record away.
func TestAMissingRecordIsMissedWhereOthersMayWrite(t *testing.T) {
	for _, mode := range []os.FileMode{0o775, 0o757, 0o770, os.ModeSetgid | 0o775} {
		dir := repository(t)
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		r, err := Of(dir)
		if err != nil || r.Recorded || !strings.Contains(r.Ignored, "is missing") || r.Settled(dir) == nil {
			t.Errorf("mode %v: %+v, %v", mode, r, err)
		}
		var other *OtherError
		if err := Check(dir); !errors.As(err, &other) || !strings.Contains(err.Error(), "quire install") {
			t.Errorf("mode %v: Check: %v", mode, err)
		}
	}
}

// A file that its owner closed to others is no reason to call the repository
// unreadable: what counts is whose it is.
func TestAStrangersClosedFileDoesNotCount(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("needs root, to make other users' files")
	}
	dir := repository(t)
	write(t, dir, "uid = 1\n", stranger, 0o600)
	for at := dir; at != "/" && at != os.TempDir(); at = filepath.Dir(at) {
		if err := os.Chmod(at, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	var r Runner
	var err error
	var as sync.WaitGroup
	as.Go(func() {
		runtime.LockOSThread() // not unlocked: the thread ends with the goroutine, and its user with it
		if _, _, errno := syscall.RawSyscall(syscall.SYS_SETRESUID, ^uintptr(0), owner, ^uintptr(0)); errno != 0 {
			err = errno
			return
		}
		r, err = Of(dir)
	})
	as.Wait()
	if err != nil || r.Recorded || !strings.Contains(r.Ignored, "neither root nor") {
		t.Errorf("%+v, %v", r, err)
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
