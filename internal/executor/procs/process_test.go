package procs

import (
	"os"
	"os/exec"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestParseStat(t *testing.T) {
	rest := " S 7 8 9 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 123456 1000 200 18446744073709551615\n"
	for _, name := range []string{"sh", "a b", ") R 1 1 1 (", "((", "))", "", "ž\xff\n", "kworker/0:1-ev"} {
		p, err := parseStat([]byte("42 (" + name + ")" + rest))
		want := Process{PID: 42, Parent: 7, Group: 8, Session: 9, State: 'S', Start: 123456, Name: name}
		if err != nil || p != want {
			t.Errorf("%q: got %+v, %v", name, p, err)
		}
	}
	exiting := strings.Replace(rest, "4194560", "4194564", 1)
	if p, err := parseStat([]byte("42 (sh)" + exiting)); err != nil || !p.Dead() {
		t.Errorf("an exiting process: %+v, %v", p, err)
	}
	for _, bad := range []string{"", "42", "42 (sh", "42 (sh)", "42 (sh) S", "x (sh)" + rest, "42 (sh) SS" + rest[2:], "42 (sh) S x" + rest[4:], ")(" + rest} {
		if p, err := parseStat([]byte(bad)); err == nil {
			t.Errorf("%q: got %+v", bad, p)
		}
	}
}

func FuzzParseStat(f *testing.F) {
	own, err := os.ReadFile("/proc/self/stat")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(own)
	f.Add([]byte("1 () S 1 1 1 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := parseStat(b)
		if err == nil && !strings.Contains(string(b), "("+p.Name+")") {
			t.Errorf("%q: the name %q is not in it", b, p.Name)
		}
	})
}

// A process that has got the number of one that was meant is not touched.
func TestARecycledNumberIsNotKilled(t *testing.T) {
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	defer c.Wait()
	defer c.Process.Kill()
	p, err := Look(c.Process.Pid)
	if err != nil {
		t.Fatal(err)
	}
	earlier := p
	earlier.Start--
	if err := kill(earlier, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if now, err := Look(p.PID); err != nil || now.Dead() {
		t.Fatalf("the later process was killed: %+v, %v", now, err)
	}
	if err := kill(p, unix.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if err := c.Wait(); err == nil {
		t.Error("the process that was meant was not killed")
	}
	if err := kill(p, unix.SIGKILL); err != nil {
		t.Errorf("a process that is gone: %v", err)
	}
}

func TestCount(t *testing.T) {
	file := t.TempDir() + "/events"
	for content, want := range map[string]uint64{
		"": 0, "low 0\nhigh 3\nmax 12\noom 2\noom_kill 7\noom_group_kill 1\n": 7,
		"oom_kill_disable 0\nunder_oom 0\noom_kill 4\n": 4, "oom_kill x\n": 0, "oom_kill": 0,
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		if got := count(file, "oom_kill"); got != want {
			t.Errorf("%q: got %d, want %d", content, got, want)
		}
	}
	if got := count(file+".not", "oom_kill"); got != 0 {
		t.Errorf("no file: %d", got)
	}
}

func TestCgroupOfRun(t *testing.T) {
	for path, want := range map[string]string{
		"/quire-01abc": "/m/quire-01abc", "/user.slice/quire-01abc/7": "/m/user.slice/quire-01abc",
	} {
		if !cgroupOfRun(path, "01abc") || upToRun("/m"+path, "01abc") != want {
			t.Errorf("%s: %v, %s", path, cgroupOfRun(path, "01abc"), upToRun("/m"+path, "01abc"))
		}
	}
	for _, path := range []string{"/", "/quire-01abcd", "/xquire-01abc", "/quire-01ab", "/01abc"} {
		if cgroupOfRun(path, "01abc") {
			t.Errorf("%s is not the run's", path)
		}
	}
}
