package worker

import (
	"context"
	"flag"
	"fmt"
	"math/rand"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"quire/internal/event"
	"quire/internal/store"
)

var (
	soakFor  = flag.Duration("soak", 3*time.Second, "how long TestSoak goes on")
	soakSeed = flag.Int64("soak.seed", 0, "seed of TestSoak's chances; 0: the time")
)

// Pushes, cancels, retries, kills and restarts at random; afterwards every push
// has one run for each ref, every run an outcome that store, files and process
// table agree on.
func TestSoak(t *testing.T) {
	seed := *soakSeed
	if seed == 0 {
		seed = time.Now().UnixNano()
	}
	t.Logf("seed %d: go test -run Soak -soak %v -soak.seed %d", seed, *soakFor, seed)
	rnd := rand.New(rand.NewSource(seed))
	w := newWorld(t, "max_runs = 3\n[retention]\nruns = 0\n")
	repos := []*repo{w.repo("one"), w.repo("two")}
	bodies := []string{
		`(runtime.run "true")`, `(runtime.run "exit 3")`, `(runtime.run "sleep 0.3")`,
		`(runtime.run "(setsid sleep 300 >/dev/null 2>&1 &); sleep 0.2")`,
		`(runtime.run "trap '' TERM; sleep 0.5; sleep 0.5")`, `nil`,
	}
	for _, r := range repos { // known before anything is killed
		r.commit(bodies[0])
		r.push()
	}
	w.workOff()
	pushed := map[string]bool{} // repository, ref and commit of each accepted push
	note := func(r *repo, ref string) { pushed[r.bare+" "+ref+" "+r.git(r.work, "rev-parse", "HEAD")] = true }
	for end := time.Now().Add(*soakFor); time.Now().Before(end); {
		r := repos[rnd.Intn(len(repos))]
		switch what := rnd.Intn(10); what {
		case 0, 1, 2, 3, 4:
			ref := fmt.Sprintf("refs/heads/b%d", rnd.Intn(3))
			r.commit(bodies[rnd.Intn(len(bodies))])
			cmd := exec.Command("git", "push", "-q", "-f", "-o", "ci.wait=none", "origin", "HEAD:"+ref)
			cmd.Dir, cmd.Env = r.work, gitEnv()
			if what == 4 {
				cmd.Env = append(cmd.Env, "QUIRE_CRASH_AT="+string([]event.Step{event.StepRefLines, event.StepSpooled}[rnd.Intn(2)]))
			}
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Fatalf("push: %v\n%s", err, out)
			}
			if what != 4 {
				note(r, ref)
			}
		case 5, 6:
			w.killOne(rnd)
		case 7:
			w.aRun(rnd, func(s *store.Store, id string) { Cancel(context.Background(), w.cfg, s, id, "soak") })
		case 8:
			w.aRun(rnd, func(s *store.Store, id string) { Retry(context.Background(), w.cfg, s, id) })
		case 9:
			step := event.Steps[rnd.Intn(len(event.Steps))]
			cmd := exec.Command(os.Getenv("QUIRE_BIN"), "worker")
			cmd.Env = append(os.Environ(), "QUIRE_CRASH_AT="+string(step))
			cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Duration(rnd.Intn(60)) * time.Millisecond) // chance, not a wait for something
			cmd.Process.Kill()
			cmd.Wait()
		}
	}
	// A worker that lives through it takes over; those with a crash in their
	// environment are gone, and so are their supervisors in the end.
	w.until("all is worked off", func() bool {
		w.quire([]string{"worker", "--once"})
		runs := w.runs()
		for _, r := range runs {
			if !r.State.Final() {
				return false
			}
		}
		return !Running(w.cfg)
	})
	w.workOff()
	aside, err := w.spoolDir().Aside() // those over which two were killed
	if err != nil {
		t.Error(err)
	}
	for _, a := range aside {
		if _, err := RetryPush(w.cfg, a.ID); err != nil {
			t.Error(err)
		}
	}
	w.workOff()
	w.checkInvariants()
	have := map[string]bool{}
	for _, r := range w.runs() {
		have[r.GitDir+" "+r.Ref+" "+r.New] = true
	}
	for p := range pushed {
		if !have[p] {
			t.Errorf("no run of the push %s\n%s", p, w.aboutPush(p[strings.LastIndexByte(p, ' ')+1:]))
		}
	}
	t.Logf("%d pushes, %d runs", len(pushed), len(have))
}

// killOne kills a worker or supervisor.
func (w *world) killOne(rnd *rand.Rand) {
	var ours []int
	for _, pid := range w.processes() {
		cmd, _ := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
		if strings.Contains(string(cmd), "\x00worker\x00") || strings.Contains(string(cmd), "\x00supervise\x00") {
			ours = append(ours, pid)
		}
	}
	if len(ours) > 0 {
		syscall.Kill(ours[rnd.Intn(len(ours))], syscall.SIGKILL)
	}
}

func (w *world) aRun(rnd *rand.Rand, f func(*store.Store, string)) {
	runs := w.runs()
	if len(runs) == 0 {
		return
	}
	s := w.store()
	defer s.Close()
	f(s, runs[max(0, len(runs)-1-rnd.Intn(4))].ID)
}

// aboutPush is what is known of the push of a commit.
func (w *world) aboutPush(commit string) string {
	out, _ := exec.Command("grep", "-rl", commit, w.root).CombinedOutput()
	answer, _ := exec.Command("sh", "-c", "sqlite3 "+store.Path(w.root)+" \"select * from pushes where updates like '%"+commit+"%'\"; grep -l "+commit+" "+w.root+"/pushes/*").CombinedOutput()
	return string(out) + string(answer)
}
