package supervise

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"quire/internal/config"
	"quire/internal/event"
	"quire/internal/executor"
	"quire/internal/jobfile/hungfs"
	"quire/internal/runlog"
	"quire/internal/store"

	"golang.org/x/sys/unix"
)

// appears waits until a job has made a file.
func appears(t *testing.T, path string) {
	t.Helper()
	watch := runlog.NewWatcher()
	defer watch.Close()
	for {
		watch.Add(filepath.Dir(path))
		if _, err := os.Stat(path); err == nil {
			return
		} else if err := watch.Wait(t.Context()); err != nil {
			t.Fatalf("%s did not appear: %v", path, err)
		}
	}
}

// A run ends when it is told to, whatever its job made of the file that
// quire was looking at: here a file system whose server does not answer.
func TestACancelEndsACallThatTheFileSystemDoesNotAnswer(t *testing.T) {
	for name, call := range map[string]string{
		"read-file":         `(runtime.read-file "hung/x")`,
		"read-json":         `(runtime.read-json "hung/x")`,
		"write-file":        `(runtime.write-file "hung/a/x" "y")`,
		"artifact":          `(runtime.artifact "hung/x")`,
		"a directory":       `(runtime.sh ["true"] {:cwd "hung/x"})`,
		"a program":         `(runtime.sh ["hung/x"])`,
		"a program in PATH": `(runtime.sh ["x"] {:env {:PATH "hung"}})`,
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(t)
			r := b.queue(head+`
(ci.job :a [:quire/push]
  (fn []
    (runtime.run "mkdir hung; echo > made; while [ ! -e go ]; do sleep 0.02; done")
    (let [(ok err) (pcall #`+call+`)] (runtime.log (.. "it came back: " (tostring err))))))`, nil)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			done := make(chan error, 1)
			go func() { done <- Run(ctx, b.cfg, r.ID) }()
			ws := runlog.RunDir(b.cfg.StateDir, r.ID).Workspace()
			appears(t, filepath.Join(ws, "made"))
			hung := hungfs.Mount(t, filepath.Join(ws, "hung"))
			if err := os.WriteFile(filepath.Join(ws, "go"), nil, 0o644); err != nil {
				t.Fatal(err)
			}
			<-hung.Asked()
			cancel()
			if err := <-done; err != nil { // without an end: until the test program's
				t.Fatal(err)
			}
			if got := b.result(r.ID); got.State != event.RunCanceled || got.outcome.State != event.RunCanceled || got.jobs["a"].State != event.JobCanceled {
				t.Errorf("%s (%s): %s\n%s", got.State, got.outcome.State, got.Reason, got.report)
			}
		})
	}
}

// deaf is an executor whose commands hear nothing of an end.
type deaf struct{ began chan struct{} }

func (x deaf) Exec(context.Context, executor.Command, io.Writer, io.Writer) (executor.Exit, error) {
	close(x.began)
	select {}
}

func (x deaf) Close(context.Context) error { return nil }

// Even what nobody has thought of does not keep a run from its end.
func TestARunIsOverAlthoughItsExecutorDoesNotReturn(t *testing.T) {
	b := newBench(t)
	r := b.queue(head+`
(ci.job :first [:quire/push] (fn [] {}))
(ci.job :second [:first] (fn [] (runtime.run "echo never")))
(ci.job :third [:second] (fn [] {}))`, nil)
	run, err := b.store.Start(t.Context(), r.ID, store.Holder{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	b.cfg.KillGrace = 1
	s := newSupervision(b.cfg, run, runlog.RunDir(b.cfg.StateDir, r.ID))
	s.store, s.workspace = b.store, s.dir.Workspace()
	ctx, cancel := context.WithCancelCause(t.Context())
	defer cancel(nil)
	s.stop = newStopper(cancel)
	began := make(chan struct{})
	s.newExecutor = func(context.Context, string, executor.Spec) (executor.Executor, error) {
		return deaf{began}, nil
	}
	go func() {
		<-began
		s.stop.ask(&stopped{state: event.RunCanceled, reason: "by the test"})
	}()
	s.supervise(ctx)
	got := b.result(r.ID)
	if got.State != event.RunCanceled || got.Reason.String() != "by the test" || !s.dir.Ended() {
		t.Errorf("%s: %s\n%s", got.State, got.Reason, got.report)
	}
	for id, want := range map[string]event.JobState{"first": event.JobSucceeded, "second": event.JobCanceled, "third": event.JobCanceled} {
		if got.jobs[id].State != want {
			t.Errorf("job %s: %+v, want %s", id, got.jobs[id], want)
		}
	}
}

func TestWhatIsKeptHasABoundOnDisk(t *testing.T) {
	b := newBench(t)
	b.cfg.Limits.Artifacts = config.Size(1 << 20)
	r := b.run(head+`
(fn refused [name says]
  (let [(ok err) (pcall runtime.artifact name)]
    (when ok (error (.. name " was kept")))
    (when (not (string.find (tostring err) says 1 true)) (error (.. name ": " (tostring err))))))
(ci.job :keep [:quire/push]
  (fn []
    (runtime.run "truncate -s 1T sparse; head -c 400000 /dev/zero > a; cp a b; cp a c; head -c 3 a > small; mkdir -p d/e; cp small d/e/small")
    (refused "sparse" "1048576 bytes together ([limits] artifacts)")
    (runtime.artifact "a")
    (runtime.artifact "b")
    (refused "c" "[limits] artifacts")
    (runtime.artifact "small") ; twice: counted once
    (runtime.artifact "small")
    (runtime.artifact "d/e/small")
    nil))
(ci.job :other [:keep] (fn [] (refused "c" "[limits] artifacts") (runtime.artifact "small") {}))`, nil)
	if r.State != event.RunSucceeded {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, r.report)
	}
	var kept []string
	var onDisk int64
	top := filepath.Join(string(r.dir), "artifacts")
	filepath.WalkDir(top, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			t.Error(err)
			return nil
		}
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Error(err)
		}
		onDisk += st.Blocks * 512
		if e.Type().IsRegular() {
			kept = append(kept, strings.TrimPrefix(path, top+"/"))
		}
		return nil
	})
	slices.Sort(kept)
	if got := strings.Join(kept, " "); got != "keep/a keep/b keep/d/e/small keep/small other/small" {
		t.Errorf("kept are %s", got)
	}
	if onDisk > 1<<20 {
		t.Errorf("%d bytes are taken on disk", onDisk)
	}
}

// Two files at once take no more than there is room for.
func TestJobsShareTheBoundOfWhatIsKept(t *testing.T) {
	b := newBench(t)
	b.cfg.Limits.Artifacts = config.Size(1 << 20)
	pipeline := head
	for i := range 4 {
		pipeline += fmt.Sprintf(`(ci.job :j%d [:quire/push] (fn [] (runtime.run "head -c 400000 /dev/zero > f%d") (pcall runtime.artifact "f%d") {}))`, i, i, i)
	}
	r := b.run(pipeline, nil)
	files, err := filepath.Glob(filepath.Join(string(r.dir), "artifacts", "*", "f*"))
	if err != nil || len(files) != 2 {
		t.Errorf("kept are %q, %v\n%s", files, err, r.report)
	}
	if left, err := os.ReadDir(r.dir.ArtifactsUnderWay()); err != nil || len(left) > 0 {
		t.Errorf("under way still: %v, %v", left, err)
	}
}

func TestNamesOfWhatIsKept(t *testing.T) {
	b := newBench(t)
	b.cfg.Secrets = map[string]config.Secret{"tok": {Name: "tok", Value: "s3cr3t-t0ken-value"}}
	r := b.run(head+`
(ci.job :names [:quire/push]
  (fn []
    (runtime.secret :tok)
    (each [_ name (ipairs ["a\nb" "a\027[31mb" "\255\254" "-rf" "../x" "/etc/passwd" "x/../../y" "a\u{202e}b" (.. "s3cr3t-t0ken" "-value")
                           (string.rep "n" 300) (string.rep "a/" 100) (string.rep "long/" 300) "." ""])]
      (pcall runtime.write-file name "x")
      (let [(ok err) (pcall runtime.artifact name)]
        (when ok (error (.. "kept: " name)))
        (runtime.log (tostring err))))
    (runtime.write-file "ok/žluť file.txt" "fine")
    (runtime.artifact "./ok//žluť file.txt")))`, nil)
	if r.State == event.RunFailed {
		t.Fatalf("%s: %s\n%s", r.State, r.Reason, r.report)
	}
	var kept []string
	filepath.WalkDir(filepath.Join(string(r.dir), "artifacts"), func(path string, e fs.DirEntry, err error) error {
		if err == nil && e.Type().IsRegular() {
			kept = append(kept, path)
		}
		return err
	})
	if len(kept) != 1 || !strings.HasSuffix(kept[0], "/artifacts/names/ok/žluť file.txt") {
		t.Errorf("kept are %q", kept)
	}
	log, err := os.ReadFile(r.dir.JobLog("names"))
	if err != nil || strings.ContainsAny(strings.ReplaceAll(string(log), "\n", ""), "\x1b\x7f") || strings.Contains(string(log), "s3cr3t") || strings.Contains(string(log), "\u202e") {
		t.Errorf("the log: %q, %v", log, err)
	}
}

// Copying a file ends with the run, and half a file is not there afterwards.
func TestCopyingEndsWithTheRun(t *testing.T) {
	b := newBench(t)
	r := b.queue(head+`
(ci.job :a [:quire/push]
  (fn []
    (runtime.run "mkdir slow; echo > made; while [ ! -e go ]; do sleep 0.02; done")
    (runtime.artifact "slow/x")))`, nil)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- Run(ctx, b.cfg, r.ID) }()
	dir := runlog.RunDir(b.cfg.StateDir, r.ID)
	appears(t, filepath.Join(dir.Workspace(), "made"))
	slow := hungfs.MountSlow(t, filepath.Join(dir.Workspace(), "slow"))
	if err := os.WriteFile(filepath.Join(dir.Workspace(), "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	<-slow.Asked() // for the file's bytes, after it was opened
	cancel()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	if got := b.result(r.ID); got.State != event.RunCanceled {
		t.Errorf("%s: %s\n%s", got.State, got.Reason, got.report)
	}
	if left, err := os.ReadDir(dir.ArtifactsUnderWay()); err != nil || len(left) > 0 {
		t.Errorf("under way still: %v, %v", left, err)
	}
	if _, err := os.Stat(dir.Artifacts("a")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("half a file was kept: %v", err)
	}
}
