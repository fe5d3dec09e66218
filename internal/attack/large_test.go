package attack

import (
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// A pusher decides what is in a commit. However large it is, the push has a run
// that fails and says why, and the next push has its own. Rule: R3.

// store has git store an object as it is, in the pusher's checkout.
func (r *repository) store(kind string, content io.Reader) string {
	r.m.t.Helper()
	c := r.m.command(r.Work, "git", "hash-object", "-t", kind, "-w", "--stdin", "--literally")
	c.Stdin = content
	out, err := c.Output()
	if err != nil {
		r.m.t.Fatalf("git hash-object: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// tree stores a tree of these rows, as `git ls-tree` shows them.
func (r *repository) tree(rows ...string) string {
	r.m.t.Helper()
	c := r.m.command(r.Work, "git", "mktree", "--missing")
	c.Stdin = strings.NewReader(strings.Join(rows, "\n") + "\n")
	out, err := c.Output()
	if err != nil {
		r.m.t.Fatalf("git mktree: %v", err)
	}
	return strings.TrimSpace(string(out))
}

// commitOf stores a commit of a tree, with a message.
func (r *repository) commitOf(tree string, message io.Reader) string {
	header := "tree " + tree + "\nauthor A <a@b> 1700000000 +0000\ncommitter A <a@b> 1700000000 +0000\n\n"
	return r.store("commit", io.MultiReader(strings.NewReader(header), message))
}

// pipeline stores a tree with a ci.fnl, for the row .quire.
func (r *repository) pipeline() string {
	ci := r.store("blob", strings.NewReader("(local ci (require :quire.ci))\n(ci.job :ok [:quire/push] (fn [{: run}] (run [\"true\"])))\n"))
	return "040000 tree " + r.tree("100644 blob "+ci+"\tci.fnl") + "\t.quire"
}

type repeated byte

func (c repeated) Read(p []byte) (int, error) {
	for i := range p {
		p[i] = byte(c)
	}
	return len(p), nil
}

func many(c byte, n int64) io.Reader { return io.LimitReader(repeated(c), n) }

// watchMemory looks at quire's processes, and the gits that they start, until
// the function it returns is called, which tells the most that any of them had
// resident, in bytes, and which. The pusher's own gits do not count.
func (m *machine) watchMemory() (peak func() (int64, string)) {
	var most int64
	var which string
	stop := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		for {
			for _, p := range m.servants() {
				// VmHWM is the most it ever had, so a look now and then is enough.
				status, err := os.ReadFile(filepath.Join("/proc", p, "status"))
				if err != nil {
					continue
				}
				_, rest, _ := strings.Cut(string(status), "VmHWM:")
				kib, _ := strconv.ParseInt(strings.Fields(rest + " 0")[0], 10, 64)
				if kib<<10 > most {
					line, _ := os.ReadFile(filepath.Join("/proc", p, "cmdline"))
					most, which = kib<<10, strings.ReplaceAll(string(line), "\x00", " ")
				}
			}
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
		}
	})
	return func() (int64, string) {
		close(stop)
		watching.Wait()
		return most, which
	}
}

// servants are the processes of this machine's worker and supervisors.
func (m *machine) servants() (pids []string) {
	all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, file := range all {
		line, err := os.ReadFile(file)
		if err != nil || !strings.Contains(string(line), "worker\x00") && !strings.Contains(string(line), "supervise\x00") {
			continue
		}
		dir := filepath.Dir(file)
		env, _ := os.ReadFile(filepath.Join(dir, "environ"))
		if strings.Contains(string(env), "QUIRE_CONFIG="+m.Config) {
			pids = append(pids, filepath.Base(dir))
		}
	}
	return pids
}

func TestWhatIsPushedMayBeLarge(t *testing.T) {
	const large = 300 << 20
	attacks := []struct {
		name string
		make func(r *repository) (commit string)
		want string
	}{
		{"a ci.fnl", func(r *repository) string {
			quire := r.tree("100644 blob " + r.store("blob", many(' ', large)) + "\tci.fnl")
			return r.commitOf(r.tree("040000 tree "+quire+"\t.quire"), strings.NewReader("large\n"))
		}, fmt.Sprintf(".quire/ci.fnl has %d bytes; at most", large)},
		{"a commit's message", func(r *repository) string {
			return r.commitOf(r.tree(r.pipeline()), many('m', large))
		}, "bytes; at most"},
		{"a tree", func(r *repository) string {
			id, err := hex.DecodeString(r.store("blob", strings.NewReader("x")))
			if err != nil {
				r.m.t.Fatal(err)
			}
			row := "100644 " + strings.Repeat("n", 1<<20) + "\x00" + string(id)
			rows := make([]io.Reader, large>>20)
			for i := range rows {
				rows[i] = strings.NewReader(row)
			}
			return r.commitOf(r.store("tree", io.MultiReader(rows...)), strings.NewReader("large\n"))
		}, "bytes; at most"},
		{"a tree bomb", func(r *repository) string {
			at := r.tree("100644 blob " + r.store("blob", strings.NewReader("x")) + "\tf")
			for range 15 {
				var rows []string
				for i := range 100 {
					rows = append(rows, fmt.Sprintf("040000 tree %s\td%02d", at, i))
				}
				at = r.tree(rows...)
			}
			return r.commitOf(r.tree(r.pipeline(), "040000 tree "+at+"\tbomb"), strings.NewReader("bomb\n"))
		}, "files and directories, and no more are checked out ([limits] files)"},
		{"a file that is checked out", func(r *repository) string {
			blob := r.store("blob", many('x', 1<<20))
			var rows []string
			for i := range 200 {
				rows = append(rows, fmt.Sprintf("100644 blob %s\tf%03d", blob, i))
			}
			at := r.tree(rows...)
			rows = nil
			for i := range 100 {
				rows = append(rows, fmt.Sprintf("040000 tree %s\td%02d", at, i))
			}
			return r.commitOf(r.tree(append(rows, r.pipeline())...), strings.NewReader("20 GB\n"))
		}, "bytes of files; at most 10737418240 are checked out ([limits] workspace)"},
	}
	everywhere(t, func(t *testing.T, m *machine) {
		peak := m.watchMemory()
		r := m.repository("project")
		for i, a := range attacks {
			commit := a.make(r)
			got := r.pushRefs("origin", fmt.Sprintf("%s:refs/heads/attack-%d", commit, i))
			if got.Err != nil || !strings.Contains(got.Report, a.want) || !strings.Contains(got.Report, "failed") {
				t.Errorf("%s: the push %v; want %q\n%s", a.name, got.Err, a.want, got.Report)
			}
		}
		if got := r.push("after", job("true\n")); !strings.Contains(got.Report, "success: run") {
			t.Errorf("the push after them:\n%s", got.Report)
		}
		m.idle()
		if bytes, who := peak(); bytes > 200<<20 {
			t.Errorf("%s had %d MiB resident", who, bytes>>20)
		}
		if out, err := exec.Command("du", "-sm", m.State).Output(); err != nil || len(strings.Fields(string(out))) == 0 || len(strings.Fields(string(out))[0]) > 2 {
			t.Errorf("the state directory has %s MiB, %v", out, err)
		}
	})
}
