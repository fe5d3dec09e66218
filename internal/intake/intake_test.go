package intake

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"quire/internal/account"
	"quire/internal/event"
	"quire/internal/executor/executortest"
	"quire/internal/handover"
	"quire/internal/spool"
)

// Two users that no account of the machine has: a member of the repository's
// group, and somebody with no rights there.
const (
	member   = 61801
	stranger = 61802
	group    = 61803
	flooder  = 61804 // a member too
)

// TestMain also is the other users' program: it does as another user what the
// test cannot.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "offer":
			offer(os.Args[2], os.Args[3])
			return
		case "drop":
			drop(os.Args[2])
			return
		case "ask":
			c, err := handover.Dial(os.Args[2], 0)
			fail(err)
			fail(handover.Ask(c, os.Args[3]))
			return
		case "listen":
			listen(os.Args[2])
			return
		}
	}
	os.Exit(m.Run())
}

func offer(socket, runner string) {
	var uid int
	fmt.Sscan(runner, &uid)
	push, err := io.ReadAll(os.Stdin)
	fail(err)
	c, err := handover.Dial(socket, uid)
	fail(err)
	id, err := handover.Offer(c, push)
	fail(err)
	fmt.Println("recorded", id)
	fail(handover.Follow(context.Background(), c, os.Stdout))
}

func drop(gitDir string) {
	push, err := io.ReadAll(os.Stdin)
	fail(err)
	st, err := os.Stat(gitDir)
	fail(err)
	fail(handover.Drop(gitDir, int(st.Sys().(*syscall.Stat_t).Uid), event.NewID(time.Now()), push)) // the name says nothing
}

func listen(socket string) {
	_, err := net.Listen("unix", socket)
	fail(err)
	fail(os.Chmod(socket, 0o777))
	fmt.Println("up")
	io.Copy(io.Discard, os.Stdin)
}

func fail(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// fixture is a shared repository of this process's user, and its spool.
type fixture struct {
	t      *testing.T
	dir    string
	gitDir string
	oid    string // refs/heads/main
	spool  spool.Dir
	drops  Drops
}

func newFixture(t *testing.T) *fixture {
	t.Helper()
	if os.Geteuid() != 0 {
		executortest.Needs(t, "root, to act as other users")
	}
	dir, err := os.MkdirTemp("", "quire-intake-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	if err := os.Chmod(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	f := &fixture{t: t, dir: dir, gitDir: filepath.Join(dir, "repo.git"), spool: spool.Dir(filepath.Join(dir, "state"))}
	f.git(dir, "init", "-q", "--bare", "--shared=group", f.gitDir)
	tree := f.git(f.gitDir, "hash-object", "-t", "tree", "-w", "--stdin")
	f.oid = f.git(f.gitDir, "-c", "user.name=t", "-c", "user.email=t@t", "commit-tree", "-m", "one", tree)
	f.git(f.gitDir, "update-ref", "refs/heads/main", f.oid)
	if out, err := exec.Command("chgrp", "-R", fmt.Sprint(group), f.gitDir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := os.Mkdir(DropDir(f.gitDir), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Chmod(DropDir(f.gitDir), 0o1733); err != nil {
		t.Fatal(err)
	}
	f.drops = Drops{Check: f.checker(), Spool: f.spool, Account: func(uid int) (account.Account, error) {
		return account.Account{UID: uid, GID: uid}, nil
	}}
	return f
}

func TestAnOldObjectThatIsNotThereCountsAsNone(t *testing.T) {
	f := newFixture(t)
	p := f.push()
	p.Updates[0].Old = strings.Repeat("e", 40)
	f.drop(member, p)
	f.take()
	got := f.spooled()
	if len(got) != 1 || !got[0].Updates[0].Creates() {
		t.Errorf("the spool holds %+v, want a push that creates the ref", got)
	}
}

func (f *fixture) checker() Checker {
	return Checker{Runs: func(gitDir string) (bool, error) { return gitDir == f.gitDir, nil }}
}

func (f *fixture) git(dir string, args ...string) string {
	f.t.Helper()
	c := exec.Command("git", args...)
	c.Dir = dir
	c.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null")
	out, err := c.CombinedOutput()
	if err != nil {
		f.t.Fatalf("git %s: %v\n%s", strings.Join(args, " "), err, out)
	}
	return strings.TrimSpace(string(out))
}

// push is what an honest hook would hand over.
func (f *fixture) push() event.Push {
	now := time.Now()
	return event.Push{ID: event.NewID(now), At: now, GitDir: f.gitDir, Pusher: "root (says the file)",
		Updates: []event.Update{{Old: strings.Repeat("0", 40), New: f.oid, Ref: "refs/heads/main"}}}
}

// as starts this test's program as another user.
func (f *fixture) as(uid int, stdin []byte, args ...string) *exec.Cmd {
	f.t.Helper()
	self, err := os.Executable()
	if err != nil {
		f.t.Fatal(err)
	}
	// The test's own directory may be closed to others.
	program := filepath.Join(f.dir, "program")
	if _, err := os.Stat(program); err != nil {
		if out, err := exec.Command("cp", self, program).CombinedOutput(); err != nil {
			f.t.Fatalf("%v: %s", err, out)
		}
	}
	c := exec.Command(program, args...)
	c.Stdin = bytes.NewReader(stdin)
	c.Dir = "/"
	cred := &syscall.Credential{Uid: uint32(uid), Gid: uint32(uid)}
	if uid == member {
		cred.Groups = []uint32{group}
	}
	c.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
	return c
}

// drop leaves a push as another user.
func (f *fixture) drop(uid int, push event.Push) {
	f.t.Helper()
	if out, err := f.as(uid, spool.Encode(push), "drop", f.gitDir).CombinedOutput(); err != nil {
		f.t.Fatalf("drop: %v\n%s", err, out)
	}
}

// plant writes a file into the drop directory that belongs to another user.
func (f *fixture) plant(uid int, name string, data []byte) {
	f.t.Helper()
	path := filepath.Join(DropDir(f.gitDir), name)
	if err := os.WriteFile(path, data, 0o644); err != nil {
		f.t.Fatal(err)
	}
	if err := errors.Join(os.Chown(path, uid, uid), syscall.Chmod(path, handover.DropFileMode)); err != nil {
		f.t.Fatal(err)
	}
}

// chmod changes the mode of a file in the drop directory.
func (f *fixture) chmod(name string, mode uint32) {
	f.t.Helper()
	if err := syscall.Chmod(filepath.Join(DropDir(f.gitDir), name), mode); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) take() Taken {
	f.t.Helper()
	t, err := f.drops.Take(context.Background(), f.gitDir)
	if err != nil {
		f.t.Fatalf("Take: %v", err)
	}
	return t
}

// spooled are the pushes in the spool.
func (f *fixture) spooled() []event.Push {
	f.t.Helper()
	names, err := f.spool.List()
	if err != nil {
		f.t.Fatal(err)
	}
	var out []event.Push
	for _, n := range names {
		p, err := f.spool.Read(n)
		if err != nil {
			f.t.Fatal(err)
		}
		out = append(out, p)
	}
	return out
}

func TestADroppedPushOfAMemberIsRecordedUnderHisName(t *testing.T) {
	f := newFixture(t)
	f.drop(member, f.push())
	f.take()
	got := f.spooled()
	if len(got) != 1 || got[0].Pusher != fmt.Sprintf("user %d", member) || got[0].Updates[0].New != f.oid || !got[0].Dropped {
		t.Fatalf("the spool holds %+v, want one push by user %d", got, member)
	}
	if left, _ := os.ReadDir(DropDir(f.gitDir)); len(left) != 0 {
		t.Errorf("the drop directory still holds %v", left)
	}
}

// Each update makes a run.
func TestARefCountsOnceInAPush(t *testing.T) {
	f := newFixture(t)
	p := f.push()
	for range 100 {
		p.Updates = append(p.Updates, p.Updates[0])
	}
	f.drop(member, p)
	f.take()
	if got := f.spooled(); len(got) != 1 || len(got[0].Updates) != 1 {
		t.Errorf("the spool holds %+v", got)
	}
}

// Each of these is a lie, or a file that is none; none becomes a push, and none
// stays.
func TestHostileFilesInTheDropDirectoryAreRefusedAndRemoved(t *testing.T) {
	other := "/etc"
	for name, c := range map[string]struct {
		plant func(f *fixture)
		says  string
	}{
		"of somebody who may not write there": {func(f *fixture) { f.drop(stranger, f.push()) }, "may write to"},
		"a ref that did not move": {func(f *fixture) {
			p := f.push()
			p.Updates[0].New = strings.Repeat("1", 40)
			f.drop(member, p)
		}, "none of the 1 refs"},
		"a name that is no ref's": {func(f *fixture) {
			p := f.push()
			p.Updates[0].Ref = "refs/heads/../../../../etc/passwd"
			f.drop(member, p)
		}, "none of the 1 refs"},
		"another repository": {func(f *fixture) {
			p := f.push()
			p.GitDir = other
			f.drop(member, p)
		}, "not to this repository"},
		"not a push":    {func(f *fixture) { f.plant(member, "x", []byte("{")) }, "no push"},
		"an empty file": {func(f *fixture) { f.plant(member, "x", nil) }, "no push"},
		"a symbolic link": {func(f *fixture) {
			target := filepath.Join(f.dir, "target")
			os.WriteFile(target, spool.Encode(f.push()), 0o644)
			os.Symlink(target, filepath.Join(DropDir(f.gitDir), "x"))
		}, "cannot be opened"},
		"a second name of another's file": {func(f *fixture) {
			f.plant(0, "../target", spool.Encode(f.push()))
			if err := os.Link(filepath.Join(f.gitDir, "target"), filepath.Join(DropDir(f.gitDir), "x")); err != nil {
				f.t.Fatal(err)
			}
		}, "2 names"},
		"another's file that the group may write": {func(f *fixture) {
			f.plant(member, "x", spool.Encode(f.push()))
			f.chmod("x", 0o664)
		}, "mode is 0664"},
		"another's file of a checkout": {func(f *fixture) {
			f.plant(member, "x", spool.Encode(f.push()))
			f.chmod("x", 0o644)
		}, "mode is 0644"},
		"a file of the hook's mode that all may write": {func(f *fixture) {
			f.plant(member, "x", spool.Encode(f.push()))
			f.chmod("x", 0o1666)
		}, "mode is 1666"},
		"a named pipe": {func(f *fixture) {
			if err := syscall.Mkfifo(filepath.Join(DropDir(f.gitDir), "x"), 0o666); err != nil {
				f.t.Fatal(err)
			}
		}, "no plain file"},
		"a terabyte of nothing": {func(f *fixture) {
			f.plant(member, "x", nil)
			if err := os.Truncate(filepath.Join(DropDir(f.gitDir), "x"), 1<<40); err != nil {
				f.t.Fatal(err)
			}
		}, "bytes, of"},
		"a name of control characters": {func(f *fixture) { f.plant(member, "\x1b[31m\n", []byte("x")) }, "no push"},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			c.plant(f)
			got := f.take()
			if got.Removed != 1 || len(got.Refused) != 1 || !strings.Contains(got.Refused[0].Error(), c.says) {
				t.Errorf("got %+v, want one refusal that says %q", got, c.says)
			}
			if p := f.spooled(); len(p) != 0 {
				t.Errorf("the spool holds %+v", p)
			}
			if left, _ := os.ReadDir(DropDir(f.gitDir)); len(left) != 0 {
				t.Errorf("the drop directory still holds %v", left)
			}
		})
	}
}

// A directory with something in it cannot be removed; it must not keep the
// pushes beside it from being taken.
func TestAFullDirectoryInTheDropDirectoryHoldsNothingUp(t *testing.T) {
	f := newFixture(t)
	if err := os.MkdirAll(filepath.Join(DropDir(f.gitDir), "aaa", "full"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.drop(member, f.push())
	if err := os.Mkdir(filepath.Join(DropDir(f.gitDir), "empty"), 0o755); err != nil {
		t.Fatal(err)
	}
	f.take()
	if _, err := os.Stat(filepath.Join(DropDir(f.gitDir), "empty")); err == nil {
		t.Error("the empty directory is still there")
	}
	if got := f.spooled(); len(got) != 1 {
		t.Errorf("the spool holds %+v, want the one push", got)
	}
}

// What cannot be looked at stays, and keeps nothing else waiting.
func TestADroppedPushThatFailsHoldsNothingUp(t *testing.T) {
	f := newFixture(t)
	for range 10 {
		f.drop(member, f.push())
	}
	calls := 0
	f.drops.Check.Runs = func(string) (bool, error) {
		if calls++; calls%2 == 1 {
			return false, errors.New("the disk does not answer")
		}
		return true, nil
	}
	got, err := f.drops.Take(t.Context(), f.gitDir)
	if err == nil || !strings.Contains(err.Error(), "does not answer") || len(got.Pushes) != 5 {
		t.Errorf("%d pushes are taken, %v", len(got.Pushes), err)
	}
	if left, _ := os.ReadDir(DropDir(f.gitDir)); len(left) != 5 {
		t.Errorf("%d files are left", len(left))
	}
}

// A flood is taken in pieces, and a push of somebody else gets through it at once,
// whatever the flood is of. It ends.
func TestAFloodOfDroppedFilesIsBounded(t *testing.T) {
	f := newFixture(t)
	const junk, unfinished, valid, full = 60_000, 38_700, 300, 1000
	dir := DropDir(f.gitDir)
	empty := func(name string) (path string) {
		path = filepath.Join(dir, name)
		if err := errors.Join(syscall.Mknod(path, syscall.S_IFREG|0o644, 0), os.Lchown(path, stranger, stranger)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	for i := range junk {
		empty(fmt.Sprintf("%d-%s", i, strings.Repeat("x", 200)))
	}
	future := time.Now().Add(1000 * time.Hour)
	for i := range unfinished { // that look as if they were being written for ever
		if err := os.Chtimes(empty(fmt.Sprintf("%s%d", handover.DropTemporary, i)), future, future); err != nil {
			t.Fatal(err)
		}
	}
	for i := range full { // nobody but their owner can remove them
		if err := os.MkdirAll(filepath.Join(dir, fmt.Sprintf("full-%d", i), "x"), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	for range valid {
		p := f.push()
		f.plant(flooder, p.ID, spool.Encode(p))
		if err := os.Chown(filepath.Join(dir, p.ID), flooder, group); err != nil {
			t.Fatal(err)
		}
	}
	f.drop(member, f.push())
	round := func() (more bool) {
		got := f.take()
		if n := got.Removed + len(got.Pushes); n > maxEntries || len(got.Refused) > 20 || len(got.Pushes) > maxOfUser+1 {
			t.Fatalf("one call removed %d files, tells of %d, and took %d pushes", n, len(got.Refused), len(got.Pushes))
		}
		if got.Stuck != full && got.Stuck != 0 {
			t.Errorf("%d directories are stuck, of %d", got.Stuck, full)
		}
		return got.More
	}
	more := round()
	more = round() && more // the second call reaches the end of the directory
	got := f.spooled()
	if !slices.ContainsFunc(got, func(p event.Push) bool { return p.Pusher == fmt.Sprintf("user %d", member) }) {
		t.Errorf("two calls took %d pushes, and the honest one is not among them", len(got))
	}
	if !more {
		t.Error("the flood is over already")
	}
	for rounds := 0; round(); rounds++ {
		if rounds > junk+unfinished+valid {
			t.Fatal("it never ends")
		}
	}
	if got := f.spooled(); len(got) != valid+1 {
		t.Errorf("the spool holds %d pushes, of %d", len(got), valid+1)
	}
	left, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	left = slices.DeleteFunc(left, fs.DirEntry.IsDir)
	for _, e := range left {
		if !strings.HasPrefix(e.Name(), handover.DropTemporary) {
			t.Errorf("%s is left", e.Name())
		}
	}
	if len(left) > maxTemporary {
		t.Errorf("%d files that seem to be written are left", len(left))
	}
}

// A directory of any size is read in pieces, and nothing of it is passed over.
func TestALargeDropDirectoryIsReadOn(t *testing.T) {
	dir := t.TempDir()
	const files, limit = 1000, 64
	for i := range files {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	seen := map[string]int{}
	for whole := false; !whole; {
		piece := &turns{}
		if whole, _, err = piece.read(d, limit); err != nil {
			t.Fatal(err)
		}
		if piece.n > limit {
			t.Fatalf("one piece has %d files", piece.n)
		}
		for name := range piece.all() {
			seen[name]++
		}
	}
	if len(seen) != files {
		t.Errorf("%d files were seen, of %d", len(seen), files)
	}
	for name, n := range seen {
		if n != 1 {
			t.Errorf("%s was seen %d times", name, n)
		}
	}
}

// Who has most files makes room for who has few.
func TestEveryOwnerOfFilesGetsATurn(t *testing.T) {
	files := &turns{of: map[int][]string{}}
	for i := range 3 * maxEntries {
		files.add(1, fmt.Sprint("a", i))
	}
	for i := range maxEntries {
		files.add(2, fmt.Sprint("b", i))
	}
	files.add(3, "c")
	var order []string
	firsts := 0
	for name, first := range files.all() {
		order = append(order, name)
		if first {
			firsts++
		}
	}
	if !slices.Equal(order[:6], []string{"a0", "b0", "c", "a1", "b1", "a2"}) || firsts != 3 || len(order) != maxEntries || !files.over {
		t.Errorf("%d files, %d of them first, begin with %q", len(order), firsts, order[:6])
	}
}

func TestADropDirectoryThatSomebodyElseMadeIsNotUsed(t *testing.T) {
	f := newFixture(t)
	if err := os.Chown(DropDir(f.gitDir), member, member); err != nil {
		t.Fatal(err)
	}
	if _, err := f.drops.Take(context.Background(), f.gitDir); err == nil || !strings.Contains(err.Error(), "belongs to") {
		t.Errorf("Take: %v", err)
	}
	out, err := f.as(stranger, spool.Encode(f.push()), "drop", f.gitDir).CombinedOutput()
	if err == nil || !strings.Contains(string(out), "not to the runner") {
		t.Errorf("drop: %v, %s", err, out)
	}
}

// served starts a server on a socket that everybody may connect to.
func (f *fixture) served(s *Server) (socket string) {
	f.t.Helper()
	socket = filepath.Join(f.dir, "socket")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: socket, Net: "unix"})
	if err != nil {
		f.t.Fatal(err)
	}
	if err := os.Chmod(socket, 0o666); err != nil {
		f.t.Fatal(err)
	}
	s.Check, s.Spool, s.Log = f.checker(), f.spool, slog.New(slog.DiscardHandler)
	if s.Started == nil {
		s.Started = func() error { return nil }
	}
	if s.Report == nil {
		s.Report = func(_ context.Context, id string, w io.Writer) error {
			_, err := io.WriteString(w, "report of "+id+"\n")
			return err
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(ctx, l, 0) }()
	f.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			f.t.Errorf("Serve: %v", err)
		}
		l.Close()
	})
	return socket
}

// A service manager ends the worker together with the listener that started it.
func TestTheListenerStaysWhileTheWorkerIsAtWork(t *testing.T) {
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "socket"), Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	asked := 0
	s := &Server{Busy: func() bool { asked++; return asked < 3 }}
	if err := s.Serve(t.Context(), l, time.Millisecond); err != nil || asked != 3 {
		t.Errorf("the listener left after it asked %d times whether the worker is at work: %v", asked, err)
	}
}

func TestAPushOverTheSocketIsRecordedUnderThePeersName(t *testing.T) {
	f := newFixture(t)
	socket := f.served(&Server{})
	out, err := f.as(member, spool.Encode(f.push()), "offer", socket, "0").CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	got := f.spooled()
	if len(got) != 1 || got[0].Pusher != fmt.Sprintf("user %d", member) {
		t.Fatalf("the spool holds %+v", got)
	}
	if want := fmt.Sprintf("recorded %s\nreport of %s\n", got[0].ID, got[0].ID); string(out) != want {
		t.Errorf("the pusher saw %q, want %q", out, want)
	}
}

// quire install asks before anybody pushes; nothing comes of a question.
func TestAQuestionWhetherAPushWouldBeTaken(t *testing.T) {
	f := newFixture(t)
	socket := f.served(&Server{Started: func() error { return errors.New("a worker was started") }})
	for name, c := range map[string]struct {
		uid  int
		repo string
		says string
	}{
		"a member":                      {member, f.gitDir, ""},
		"somebody who may not write":    {stranger, f.gitDir, "may write to"},
		"a directory that is no runner": {member, f.dir, "is not a repository"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := f.as(c.uid, nil, "ask", socket, c.repo).CombinedOutput()
			if (err != nil) != (c.says != "") || !strings.Contains(string(out), c.says) {
				t.Errorf("%v: %q, want %q", err, out, c.says)
			}
		})
	}
	if p := f.spooled(); len(p) != 0 {
		t.Errorf("the spool holds %+v", p)
	}
}

// The runner can look where the asker cannot.
func TestAStrangerLearnsOfNoPathWhatIsThere(t *testing.T) {
	f := newFixture(t)
	socket := f.served(&Server{})
	closed := filepath.Join(f.dir, "closed")
	if err := errors.Join(os.Mkdir(closed, 0o700), os.Mkdir(filepath.Join(closed, "there"), 0o700), os.WriteFile(filepath.Join(closed, "file"), nil, 0o600),
		os.Symlink("there", filepath.Join(closed, "link"))); err != nil {
		t.Fatal(err)
	}
	answers := map[string]bool{}
	for _, path := range []string{filepath.Join(closed, "there"), filepath.Join(closed, "absent"), filepath.Join(closed, "file"), filepath.Join(closed, "link"), filepath.Join(closed, "file/x"), f.gitDir} {
		out, err := f.as(stranger, nil, "ask", socket, path).CombinedOutput()
		if err == nil {
			t.Errorf("%s is taken", path)
		}
		answers[strings.ReplaceAll(string(out), path, "PATH")] = true
	}
	if len(answers) != 1 {
		t.Errorf("there are %d answers: %q", len(answers), slices.Sorted(maps.Keys(answers)))
	}
}

// A hook that loses the answer drops the push, too.
func TestAPushThatComesTwiceIsOne(t *testing.T) {
	f := newFixture(t)
	socket := f.served(&Server{})
	p := f.push()
	if out, err := f.as(member, spool.Encode(p), "offer", socket, "0").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	f.drop(member, p)
	f.take()
	got := f.spooled()
	if len(got) != 1 || !event.ValidID(got[0].ID) || got[0].ID == p.ID {
		t.Errorf("the spool holds %+v, want one push with an id of its own", got)
	}
}

func TestAnIDOfAnotherDayIsOfNow(t *testing.T) {
	now := time.Now()
	for _, at := range []time.Time{now.Add(-48 * time.Hour), now.Add(48 * time.Hour), time.UnixMilli(0)} {
		if id := ownID(event.NewID(at), 1, now); event.CompareTimes(id, event.NewID(now)) != 0 || !event.ValidID(id) {
			t.Errorf("an id of %s becomes %s", at, id)
		}
	}
}

func TestLiesOverTheSocketAreRefused(t *testing.T) {
	f := newFixture(t)
	socket := f.served(&Server{})
	moved := f.push()
	moved.Updates[0].New = strings.Repeat("1", 40)
	elsewhere := f.push()
	elsewhere.GitDir = f.dir
	link := f.push()
	link.GitDir = filepath.Join(f.dir, "link.git")
	if err := os.Symlink(f.gitDir, link.GitDir); err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		uid  int
		push []byte
		says string
	}{
		"of somebody who may not write there": {stranger, spool.Encode(f.push()), "may write to"},
		"a ref that did not move":             {member, spool.Encode(moved), "none of the 1 refs"},
		"a directory that is no repository":   {member, spool.Encode(elsewhere), "is not a repository"},
		"a link to the repository":            {member, spool.Encode(link), "links resolved"},
		"no push":                             {member, []byte("GET / HTTP/1.1\r\n"), "no push"},
	} {
		t.Run(name, func(t *testing.T) {
			out, err := f.as(c.uid, c.push, "offer", socket, "0").CombinedOutput()
			if err == nil || !strings.Contains(string(out), c.says) {
				t.Errorf("%v: %q, want %q", err, out, c.says)
			}
		})
	}
	if p := f.spooled(); len(p) != 0 {
		t.Errorf("the spool holds %+v", p)
	}
}

// What a stranger does with the socket delays nobody else.
func TestSlowAndBrokenPeersDelayNobody(t *testing.T) {
	f := newFixture(t)
	long := make(chan struct{})
	s := &Server{Stall: 200 * time.Millisecond}
	s.Report = func(ctx context.Context, id string, w io.Writer) error {
		defer close(long)
		for {
			if _, err := w.Write(bytes.Repeat([]byte("x"), 1<<16)); err != nil {
				return err
			}
		}
	}
	socket := f.served(s)
	for _, first := range []string{"", "P", "P\xff\xff\xff\xff", "P\x00\x00\x01\x00{"} {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, first); err != nil {
			t.Fatal(err)
		}
	}
	// One that reads nothing of an endless report is given up.
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := handover.Write(c, handover.Push, spool.Encode(f.push())); err != nil {
		t.Fatal(err)
	}
	select {
	case <-long:
	case <-time.After(time.Minute):
		t.Fatal("the report to a peer that reads nothing goes on")
	}
	if got := f.spooled(); len(got) != 1 {
		t.Errorf("the spool holds %+v", got)
	}
}

func TestAPeerThatLeavesEndsItsReport(t *testing.T) {
	f := newFixture(t)
	ended := make(chan error, 1)
	s := &Server{Report: func(ctx context.Context, id string, w io.Writer) error {
		<-ctx.Done()
		ended <- ctx.Err()
		return ctx.Err()
	}}
	socket := f.served(s)
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	if err := handover.Write(c, handover.Push, spool.Encode(f.push())); err != nil {
		t.Fatal(err)
	}
	if kind, _, err := handover.Read(c, 100); err != nil || kind != handover.Accepted {
		t.Fatalf("%q, %v", kind, err)
	}
	c.Close()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Fatal("the report goes on")
	}
}

func TestConnectionsOfOneUserAreBounded(t *testing.T) {
	f := newFixture(t)
	socket := f.served(&Server{})
	for range maxOpenOfUser {
		c, err := net.Dial("unix", socket)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
	}
	c, err := net.Dial("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	kind, text, err := handover.Read(c, 1000)
	if err != nil || kind != handover.Refused || !strings.Contains(string(text), "too many") {
		t.Errorf("%q %q, %v", kind, text, err)
	}
	// Another user is not affected.
	if out, err := f.as(member, spool.Encode(f.push()), "offer", socket, "0").CombinedOutput(); err != nil {
		t.Errorf("%v: %s", err, out)
	}
}

func TestASocketThatAnotherUserListensOnIsRefused(t *testing.T) {
	f := newFixture(t)
	socket := f.served(&Server{})
	out, err := f.as(member, spool.Encode(f.push()), "offer", socket, "12345").CombinedOutput()
	if err == nil && !strings.Contains(string(out), "recorded") {
		t.Errorf("%v: %s", err, out)
	}
	// Root is trusted, as systemd passes its sockets on; anybody else is not.
	theirs := filepath.Join(f.dir, "theirs")
	if err := os.Mkdir(theirs, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(theirs, stranger, stranger); err != nil {
		t.Fatal(err)
	}
	l := f.as(stranger, nil, "listen", filepath.Join(theirs, "s"))
	l.Stdin = nil
	in, err := l.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	up, err := l.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { in.Close(); l.Wait() }()
	if _, err := io.ReadFull(up, make([]byte, 3)); err != nil {
		t.Fatal(err)
	}
	out, err = f.as(member, spool.Encode(f.push()), "offer", filepath.Join(theirs, "s"), "0").CombinedOutput()
	if err == nil || !strings.Contains(string(out), fmt.Sprintf("user %d listens there", stranger)) {
		t.Errorf("%v: %s", err, out)
	}
}

func FuzzParseOfWhatIsHandedOver(f *testing.F) {
	p, _ := json.Marshal(event.Push{})
	f.Add(append([]byte("P\x00\x00\x00\x02"), p...))
	f.Fuzz(func(t *testing.T, data []byte) {
		kind, payload, err := handover.Read(bytes.NewReader(data), 1<<10)
		if err == nil && (len(payload) > 1<<10 || kind != handover.Kind(data[0])) {
			t.Errorf("kind %q, %d bytes", kind, len(payload))
		}
	})
}
