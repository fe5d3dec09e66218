package main

import (
	"bufio"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// build builds the binaries as install.sh does.
func (b *bench) build() error {
	empty := filepath.Join(b.dir, "empty")
	if err := os.MkdirAll(empty, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(empty, "main.go"), []byte("package main\n\nfunc main() {}\n"), 0o644); err != nil {
		return err
	}
	for _, p := range []struct{ out, pkg string }{
		{"libexec/quire/post-receive", "./hooks/post-receive"},
		{"bin/quire", "./cmd/quire"},
		{"libexec/quire/noop", filepath.Join(empty, "main.go")},
	} {
		cmd := exec.Command("go", "build", "-trimpath", "-ldflags", "-s -w", "-o", filepath.Join(b.dir, p.out), p.pkg)
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("build %s: %w\n%s", p.pkg, err, out)
		}
	}
	return nil
}

const pipeline = `(local ci (require :quire.ci))
(ci.job :test [:quire/push] (fn [rt] (rt.run "echo")))
`

// repositories makes plain.git and hooked.git alike, and a client of them.
func (b *bench) repositories(objects int) error {
	plain := filepath.Join(b.repos, "plain.git")
	if _, err := b.output(b.dir, "git", "init", "-q", "--bare", "-b", "main", plain); err != nil {
		return err
	}
	if err := b.history(plain, objects); err != nil {
		return err
	}
	for _, args := range [][]string{
		{"clone", "-q", "--bare", plain, filepath.Join(b.repos, "hooked.git")},
		{"clone", "-q", plain, b.client()},
		// As quire install has it.
		{"-C", filepath.Join(b.repos, "hooked.git"), "config", "transfer.hideRefs", "refs/quire/"},
	} {
		if _, err := b.output(b.dir, "git", args...); err != nil {
			return err
		}
	}
	return nil
}

// history fills a repository with commits of one changed file each, three
// objects a commit, in one pack, as git fast-import leaves them.
func (b *bench) history(repo string, objects int) error {
	cmd := exec.Command("git", "fast-import", "--quiet")
	cmd.Dir = repo
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "HOME="+b.dir)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return err
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	w := bufio.NewWriterSize(in, 1<<20)
	for i := range max(1, objects/3) {
		fmt.Fprintf(w, "commit refs/heads/main\ncommitter b <b@b> %d +0000\ndata 2\nc\n", 1_600_000_000+i)
		if i == 0 {
			fmt.Fprintf(w, "M 644 inline .quire/ci.fnl\ndata %d\n%s\n", len(pipeline), pipeline)
		}
		text := fmt.Sprintf("%d\n", i)
		fmt.Fprintf(w, "M 644 inline file\ndata %d\n%s\n", len(text), text)
	}
	err = w.Flush()
	if cerr := in.Close(); err == nil {
		err = cerr
	}
	if werr := cmd.Wait(); err == nil {
		err = werr
	}
	return err
}

// install puts the hook into the second copy.
func (b *bench) install(h hook) error {
	target := "post-receive"
	if h == noop {
		target = "noop"
	}
	path := filepath.Join(b.repos, "hooked.git", "hooks", "post-receive")
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Symlink(filepath.Join(b.dir, "libexec", "quire", target), path); err != nil {
		return err
	}
	// As quire install writes it.
	record := fmt.Sprintf("runner = \"bench\"\nuid = %d\nconfig = %q\nstate_dir = %q\nsocket = %q\n", os.Geteuid(), filepath.Join(b.dir, "config.toml"), b.stateDir(), b.socket())
	return os.WriteFile(filepath.Join(b.repos, "hooked.git", "quire.toml"), []byte(record), 0o644)
}

func (b *bench) socket() string { return filepath.Join(b.dir, "socket") }

// otherUser is a user id that no account of the machine has.
const otherUser = 61960

// openToOther lets the other user push to both copies, from a client of that
// user's.
func (b *bench) openToOther() error {
	client := b.client()
	b.other = false
	defer func() { b.other = true }()
	if err := os.Chmod(b.dir, 0o755); err != nil {
		return err
	}
	home := filepath.Join(b.dir, "other")
	if err := os.MkdirAll(home, 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(home, ".gitconfig"), []byte("[safe]\n\tdirectory = *\n"), 0o644); err != nil {
		return err
	}
	commands := [][]string{
		{"chmod", "-R", "a+rwX", filepath.Join(b.repos, "plain.git"), filepath.Join(b.repos, "hooked.git")},
		{"chmod", "go-w", filepath.Join(b.repos, "hooked.git", "quire.toml")},
	}
	if _, err := os.Stat(client); errors.Is(err, fs.ErrNotExist) {
		commands = append(commands, []string{"git", "clone", "-q", filepath.Join(b.repos, "plain.git"), client}, []string{"chown", "-R", fmt.Sprint(otherUser), client, home})
	}
	for _, c := range commands {
		if _, err := b.output(b.dir, c[0], c[1:]...); err != nil {
			return err
		}
	}
	return nil
}

// listen starts the runner's listener; what it returns ends it.
func (b *bench) listen() (end func(), err error) {
	cmd := exec.Command(filepath.Join(b.dir, "bin", "quire"), "worker", "--listen", "--socket", b.socket())
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "QUIRE_CONFIG=" + filepath.Join(b.dir, "config.toml")}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	end = func() { cmd.Process.Signal(syscall.SIGTERM); cmd.Wait() }
	err = await("the listener", func() bool {
		st, err := os.Stat(b.socket())
		return err == nil && st.Mode().Perm() == 0o666
	})
	if err != nil {
		end()
	}
	return end, err
}

// configure says how long an idle worker stays: through a whole row of pushes,
// or not at all.
func (b *bench) configure(h hook) error {
	linger := "10m"
	if h == cold || h == watched {
		linger = "1ms"
	}
	wait := "none"
	if h == watched {
		wait = "finish"
	}
	config := fmt.Sprintf("state_dir = %q\nlinger = %q\n[retention]\nruns = 0\n[hook]\nwait = %q\n", b.stateDir(), linger, wait)
	return os.WriteFile(filepath.Join(b.dir, "config.toml"), []byte(config), 0o644)
}

// startWorker starts one, idle; SIGTERM ends it.
func (b *bench) startWorker() (*exec.Cmd, error) {
	cmd := exec.Command(filepath.Join(b.dir, "bin", "quire"), "worker")
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "QUIRE_CONFIG=" + filepath.Join(b.dir, "config.toml")}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	return cmd, await("the worker to start", b.workerRuns)
}

// settle waits until no worker runs.
func (b *bench) settle() error {
	return await("the worker to leave", func() bool { return !b.workerRuns() })
}

func (b *bench) workerRuns() bool {
	f, err := os.Open(filepath.Join(b.stateDir(), "locks", "worker.lock"))
	if err != nil {
		return false
	}
	defer f.Close()
	return errors.Is(syscall.Flock(int(f.Fd()), syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK)
}

// drained waits until all pushes so far are run to their outcomes, and returns
// when the first byte of the last one's command was logged.
func (b *bench) drained() (first time.Time, err error) {
	b.pushes++
	runs := filepath.Join(b.stateDir(), "runs")
	err = await("the run to end", func() bool {
		outcomes, _ := filepath.Glob(filepath.Join(runs, "*", "outcome"))
		return len(outcomes) == b.pushes
	})
	if err != nil {
		return first, err
	}
	logs, err := filepath.Glob(filepath.Join(runs, "*", "jobs", "*", "sh-1.log"))
	if err != nil || len(logs) == 0 {
		return first, errors.New("the run's command logged nothing")
	}
	text, err := os.ReadFile(logs[len(logs)-1]) // runs' names sort by time
	if err != nil {
		return first, err
	}
	stamp, _, _ := strings.Cut(string(text), " ") // the format of Kubernetes' CRI logs
	if first, err = time.Parse(time.RFC3339Nano, stamp); err != nil {
		return first, fmt.Errorf("read %s: %w", logs[len(logs)-1], err)
	}
	return first, nil
}

func await(what string, done func() bool) error {
	for end := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			return errors.New("waited a minute for " + what)
		}
	}
	return nil
}
