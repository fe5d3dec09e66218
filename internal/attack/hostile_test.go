package attack

import (
	"bytes"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
)

// given is the value of a secret that hostile pipelines are given. They hand it to
// everything they can; and it stays masked wherever it is recorded.
const given = "given-Kd83nQx7vRw2Tz"

// seedsOf are the seeds that always run, by executor. QUIRE_HOSTILE_SEEDS=FROM-TO in
// the environment runs others: go's own fuzzer ends an input after ten seconds, and
// real pushes take longer on a busy machine.
var seedsOf = map[string][]uint64{
	"bwrap":  {3, 4, 7, 10, 19, 20, 23},
	"docker": {101, 102},
}

func seeds(t *testing.T, executor string) []uint64 {
	t.Helper()
	asked := os.Getenv("QUIRE_HOSTILE_SEEDS")
	if asked == "" {
		return seedsOf[executor]
	}
	from, to, _ := strings.Cut(asked, "-")
	first, err := strconv.ParseUint(from, 10, 64)
	if err != nil {
		t.Fatalf("QUIRE_HOSTILE_SEEDS=%s: %v", asked, err)
	}
	last := first
	if to != "" {
		if last, err = strconv.ParseUint(to, 10, 64); err != nil {
			t.Fatalf("QUIRE_HOSTILE_SEEDS=%s: %v", asked, err)
		}
	}
	var list []uint64
	for s := first; s <= last; s++ {
		list = append(list, s)
	}
	return list
}

// All rules at once: whatever a pipeline says and whatever its jobs do, nothing
// outside of the run changes, no secret leaves it, it ends, and the next push has its run.
func TestWhateverAPipelineSaysTheWallHolds(t *testing.T) {
	var mu sync.Mutex
	ran, began := 0, 0
	everywhere(t, func(t *testing.T, m *machine) {
		for _, seed := range seeds(t, m.Executor) {
			if m.UID != os.Geteuid() {
				seed += 50 // the others of the list
			}
			t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
				jobs := tryHostile(t, newMachine(t, m.Executor, m.UID), seed)
				mu.Lock()
				defer mu.Unlock()
				ran++
				if jobs > 0 {
					began++
				}
			})
		}
	})
	if os.Getenv("QUIRE_HOSTILE_SEEDS") == "" && began*2 < ran {
		t.Errorf("of %d pipelines the jobs of %d began: the rest was refused before, which shows little", ran, began)
	}
}

// tryHostile pushes a hostile pipeline, twice, and then an honest one. It returns
// how many commands were started.
func tryHostile(t *testing.T, m *machine, seed uint64) (commands int) {
	server := recorder(t)
	config, err := os.ReadFile(m.Config)
	if err != nil {
		t.Fatal(err)
	}
	m.write(m.Config, "run_timeout = \"10s\"\n"+string(config))
	m.configure("\n[limits]\nartifacts = \"2MiB\"\npids = 300\n[log]\nmax_bytes = \"256KiB\"\n[eval]\ntimeout = \"2s\"\n")
	m.configure(fmt.Sprintf("[mirroring]\nallow_urls = [\"http://%s/\"]\n", server.addr))
	m.secret("token", canary, `repos = ["elsewhere"]`)
	m.secret("given", given)
	other, honest, r := m.repository("other"), m.repository("honest"), m.repository("project")
	other.push("main", files{"private": canary + "\n"}, "-o", "ci.skip")
	r.push("main", files{"README": "x\n"}, "-o", "ci.skip")
	m.idle()

	h := newHostile(seed, m, other, server.addr)
	hooks := filepath.Join(r.GitDir, "hooks")
	before := m.snapshot(other.GitDir, hooks, honest.GitDir)
	settings, err := os.ReadFile(filepath.Join(r.GitDir, "config"))
	if err != nil {
		t.Fatal(err)
	}
	for i, branch := range []string{"main", h.of("main", "attack", "x/"+planted+"-not", "ü")} {
		change := h.commit()
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("seed %d, commit %d: %q", seed, i, change)
			}
		})
		commit := r.imported(h.raw(), change)
		args := []string{"origin", "+" + commit + ":refs/heads/" + branch}
		if h.chance(30) {
			args = append([]string{"-o", "ci.var=" + strings.NewReplacer("\n", "", "\x00", "").Replace(h.raw())}, args...)
		}
		p := r.pushRefs(args...)
		m.idle()
		if strings.ContainsAny(p.Report, "\x00\x1b\a\u202e\u2066") {
			t.Errorf("the pusher's terminal was sent %q", p.Report)
		}
		if form := holds([]byte(p.Report), given); form != "" {
			t.Errorf("the pusher saw a secret as %s:\n%s", form, p.Report)
		}
		if !strings.Contains(p.Report, "run ") {
			t.Errorf("the push had no run: %v\n%s", p.Err, p.Report)
		}
	}
	m.unchanged(before, other.GitDir, hooks, honest.GitDir)
	if now, err := os.ReadFile(filepath.Join(r.GitDir, "config")); err != nil || !bytes.Equal(now, settings) {
		t.Errorf("the repository's config is %q, %v", now, err)
	}
	if refs := m.must(r.GitDir, "git", "for-each-ref", "--format=%(refname)"); strings.Contains(refs, planted+"\n") {
		t.Errorf("refs: %s", refs)
	}
	m.nothingLeft()
	m.nothingPlanted()
	m.nowhereBut(canary, other.GitDir, other.Work)
	m.nowhereBut(given, filepath.Join(m.State, "caches"))
	m.nothingCrashed()
	server.mu.Lock()
	if form := holds(server.heard.Bytes(), canary); form != "" {
		t.Errorf("a server was sent the canary as %s", form)
	}
	server.mu.Unlock()
	if p := honest.push("main", job("true\n")); p.Err != nil || !strings.Contains(p.Report, "success: run") {
		t.Errorf("the honest push after it: %v\n%s", p.Err, p.Report)
	}
	m.idle()
	found, _ := filepath.Glob(filepath.Join(m.State, "runs", "*", "jobs", "*", "sh-*.log"))
	return len(found) - 1
}

// imported makes a commit without a checkout, in which a test's own writing could
// follow a hostile link.
func (r *repository) imported(message string, change files) string {
	r.m.t.Helper()
	r.m.commits++
	ref := fmt.Sprintf("refs/heads/imported-%d", r.m.commits)
	var in bytes.Buffer
	data := func(s string) { fmt.Fprintf(&in, "data %d\n%s\n", len(s), s) }
	fmt.Fprintf(&in, "commit %s\ncommitter Mallory <m@example.org> 1700000000 +0000\n", ref)
	data(message)
	for path, text := range change {
		mode := "100644"
		if target, link := strings.CutPrefix(text, "-> "); link {
			mode, text = "120000", target
		}
		quoted := ""
		for _, c := range []byte(path) {
			quoted += fmt.Sprintf("\\%03o", c)
		}
		fmt.Fprintf(&in, "M %s inline \"%s\"\n", mode, quoted)
		data(text)
	}
	c := r.m.command(r.Work, "git", "fast-import", "--quiet")
	c.Stdin = &in
	if out, err := c.CombinedOutput(); err != nil {
		r.m.t.Fatalf("git fast-import: %v\n%s", err, out)
	}
	return strings.TrimSpace(r.m.must(r.Work, "git", "rev-parse", ref))
}

// recording is a server that mirrors may push to. It has no repository.
type recording struct {
	addr  string
	mu    sync.Mutex
	heard bytes.Buffer
}

func recorder(t *testing.T) *recording {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &recording{addr: l.Addr().String()}
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			b := make([]byte, 64<<10)
			n, _ := c.Read(b) // what a client says first
			r.mu.Lock()
			r.heard.Write(b[:n])
			r.mu.Unlock()
			c.Write([]byte("HTTP/1.0 403 Forbidden\r\nContent-Length: 0\r\n\r\n"))
			c.Close()
		}
	})
	t.Cleanup(func() { l.Close(); serving.Wait() })
	return r
}

// nothingPlanted demands that nothing of what hostile pipelines make outside of
// their runs is there.
func (m *machine) nothingPlanted() {
	m.t.Helper()
	for _, dir := range []string{"/", "/etc", "/root", "/tmp", "/var/tmp", "/dev", "/dev/shm", "/run", "/usr", "/usr/bin", "/usr/local", "/opt", "/srv", "/sys/fs/cgroup", "/var/run", m.Dir} {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // not on this machine
		}
		for _, e := range entries {
			if strings.Contains(e.Name(), planted) {
				m.t.Errorf("%s was made", filepath.Join(dir, e.Name()))
				os.RemoveAll(filepath.Join(dir, e.Name()))
			}
		}
	}
	err := filepath.WalkDir(m.State, func(path string, d fs.DirEntry, err error) error {
		if os.IsNotExist(err) {
			return nil // what a worker on its way out takes away
		}
		if d != nil && d.IsDir() && (d.Name() == "artifacts" || d.Name() == "caches") {
			return fs.SkipDir // what a pipeline names is there
		}
		if err == nil && strings.Contains(d.Name(), planted) {
			m.t.Errorf("%s was made", path)
		}
		return err
	})
	if err != nil {
		m.t.Error(err)
	}
}

// nothingLeft demands that of runs that are over nothing is left but what is kept:
// no process, no mount, and, in a while, no workspace.
func (m *machine) nothingLeft() {
	m.t.Helper()
	runs, _ := os.ReadDir(filepath.Join(m.State, "runs"))
	environs, _ := filepath.Glob("/proc/[0-9]*/environ")
	for _, file := range environs {
		env, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		for _, r := range runs {
			if bytes.Contains(env, []byte("QUIRE_RUN="+r.Name()+"\x00")) {
				line, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
				m.t.Errorf("run %s is over, and %s runs: %q", r.Name(), filepath.Dir(file), line)
			}
		}
	}
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil || bytes.Contains(mounts, []byte(" "+m.State)) {
		m.t.Errorf("in the state directory something is mounted (%v):\n%s", err, mounts)
	}
	m.workspacesAreRemoved()
}

// nothingCrashed demands that no process of quire's has met a fault of its own.
func (m *machine) nothingCrashed() {
	m.t.Helper()
	err := filepath.WalkDir(m.State, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(path, "/artifacts/") || strings.Contains(path, "/caches/") {
			if os.IsNotExist(err) {
				return nil
			}
			return err
		}
		text, err := written(path)
		if os.IsNotExist(err) {
			return nil
		}
		for _, sign := range []string{"runtime error: ", "goroutine 1 ", "fatal error: ", "nil pointer", "[recovered]"} {
			if i := bytes.Index(text, []byte(sign)); i >= 0 {
				m.t.Errorf("%s: %q", path, text[max(0, i-200):min(len(text), i+1500)])
			}
		}
		return err
	})
	if err != nil {
		m.t.Error(err)
	}
}
