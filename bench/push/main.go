// Command push measures what quire's hook adds to `git push`: the same commit is
// pushed to two copies of a repository, one with the hook and one without, turn
// and turn about, and the ratio of the two times is taken pair by pair.
//
// The push ends when git does. What the worker then does with it is awaited
// outside the timed part, so that one push's run does not slow the next push.
// From the same pushes comes the time from the start of the push to the first
// byte of the first command of its run.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	n := flag.Int("n", 60, "pairs of pushes per row")
	objects := flag.Int("objects", 300_000, "objects of the big repository")
	keep := flag.Bool("keep", false, "leave the repositories")
	flag.Parse()
	if err := run(*n, *objects, *keep); err != nil {
		fmt.Fprintln(os.Stderr, "bench/push:", err)
		os.Exit(1)
	}
}

func run(n, objects int, keep bool) error {
	dir, err := os.MkdirTemp("", "quire-bench-push-")
	if err != nil {
		return err
	}
	if keep {
		fmt.Println("in", dir)
	} else {
		defer os.RemoveAll(dir)
	}
	b := &bench{dir: dir}
	if err := b.build(); err != nil {
		return err
	}
	defer b.settle() // no worker may be left when its files go
	version, err := b.output(dir, "git", "version")
	if err != nil {
		return err
	}
	fmt.Printf("%s, %s, %d CPUs; medians of %d pairs, wait=none\n\n", strings.TrimSpace(version), runtime.Version(), runtime.NumCPU(), n)
	fmt.Println("| repository | hook | without | with | ratio (middle half) | of the fastest tenths | first byte of sh |")
	fmt.Println("|---|---|---|---|---|---|---|")
	for _, repo := range []struct {
		name    string
		objects int
	}{{"tiny", 0}, {fmt.Sprintf("%d objects, one pack", objects), objects}} {
		b.repos = filepath.Join(dir, fmt.Sprintf("repos-%d", repo.objects))
		if err := b.repositories(repo.objects); err != nil {
			return err
		}
		for _, hook := range []hook{noop, held, warm, cold, watched, heldOther, warmOther} {
			if hook.byOther() && os.Geteuid() != 0 {
				continue // only root can be somebody else
			}
			if err := b.row(repo.name, hook, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// hook is what stands in the second copy's hooks directory.
type hook string

const (
	noop hook = "an empty Go program"
	held hook = "quire, the run held until the push is over" // the hook's own cost
	warm hook = "quire, worker running"                      // on a small machine the run's start competes with git's end
	cold hook = "quire, no worker running"

	watched hook = "quire, no worker running, wait=finish" // the push lasts as long as its run

	// Both pushes of a pair are another user's than the runner; the hook hands the
	// push over.
	heldOther hook = "quire, another user over the socket, the run held"
	warmOther hook = "quire, another user over the socket, worker running"
)

func (h hook) byOther() bool { return h == heldOther || h == warmOther }
func (h hook) holds() bool   { return h == held || h == heldOther }
func (h hook) warm() bool    { return h == warm || h == warmOther }

// row measures one hook at one repository and prints the result.
func (b *bench) row(repo string, h hook, n int) (err error) {
	if err := errors.Join(b.install(h), b.configure(h)); err != nil {
		return err
	}
	if b.other = h.byOther(); b.other {
		if err := b.openToOther(); err != nil {
			return err
		}
		end, err := b.listen()
		if err != nil {
			return err
		}
		defer end()
		defer func() { b.other = false }()
	}
	if h.warm() || h.holds() {
		if b.worker, err = b.startWorker(); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, b.worker.Process.Signal(syscall.SIGTERM), b.worker.Wait()) }()
	}
	var without, with, ratio, first []float64
	const warmUp = 3
	for i := range warmUp + n {
		if _, err := b.output(b.client(), "git", "commit", "-q", "--allow-empty", "-m", fmt.Sprint(repo, h, i)); err != nil {
			return err
		}
		var plain, hooked, byteAt float64
		turns := []func() error{
			func() (err error) { plain, err = b.push("plain.git"); return err },
			func() (err error) { hooked, byteAt, err = b.pushHooked(h); return err },
		}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := turn(); err != nil {
				return err
			}
		}
		if i >= warmUp {
			without, with, ratio = append(without, plain), append(with, hooked), append(ratio, hooked/plain)
			first = append(first, byteAt)
		}
	}
	if h == watched {
		fmt.Printf("| %s | %s | %.1f ms | | | | %.1f ms |\n", repo, h, quantile(without, 0.5), quantile(first, 0.5))
		return nil
	}
	fmt.Printf("| %s | %s | %.1f ms | %.1f ms | %.3f (%.3f–%.3f) | %.3f |", repo, h, quantile(without, 0.5), quantile(with, 0.5),
		quantile(ratio, 0.5), quantile(ratio, 0.25), quantile(ratio, 0.75),
		quantile(with, 0.1)/quantile(without, 0.1)) // what a busy machine disturbs least
	if h.warm() || h == cold {
		fmt.Printf(" %.1f ms |\n", quantile(first, 0.5))
	} else {
		fmt.Println(" |")
	}
	return nil
}

// push is the time of one push, in milliseconds.
func (b *bench) push(repo string) (float64, error) {
	start := time.Now()
	_, err := b.output(b.client(), "git", "push", "-q", filepath.Join(b.repos, repo), "HEAD:refs/heads/main")
	return milliseconds(time.Since(start)), err
}

// pushHooked is the time of a push to the repository with the hook, and that
// from its start to the first byte of its run's command. When it returns the run
// is over.
func (b *bench) pushHooked(h hook) (took, first float64, err error) {
	switch {
	case h == cold || h == watched:
		err = b.settle()
	case h.holds():
		err = b.worker.Process.Signal(syscall.SIGSTOP)
	}
	if err != nil {
		return 0, 0, err
	}
	start := time.Now()
	if took, err = b.push("hooked.git"); err != nil || h == noop {
		return took, 0, err
	}
	if h.holds() {
		if err := b.worker.Process.Signal(syscall.SIGCONT); err != nil {
			return took, 0, err
		}
	}
	at, err := b.drained()
	return took, milliseconds(at.Sub(start)), err
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func quantile(values []float64, q float64) float64 {
	s := slices.Sorted(slices.Values(values))
	return s[int(q*float64(len(s)-1)+0.5)]
}

type bench struct {
	dir    string
	repos  string // plain.git, hooked.git and the client; others for each size, since quire remembers repositories
	pushes int    // that made a run
	worker *exec.Cmd
	other  bool // the commands are another user's
}

func (b *bench) client() string {
	if b.other {
		return filepath.Join(b.repos, "client-of-other")
	}
	return filepath.Join(b.repos, "client")
}

func (b *bench) home() string {
	if b.other {
		return filepath.Join(b.dir, "other")
	}
	return b.dir
}

func (b *bench) stateDir() string { return filepath.Join(b.dir, "state") }

// output runs a command in an environment without the caller's configuration.
func (b *bench) output(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.home(), "USER=bench", "QUIRE_CONFIG=" + filepath.Join(b.dir, "config.toml"),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=b", "GIT_AUTHOR_EMAIL=b@b", "GIT_COMMITTER_NAME=b", "GIT_COMMITTER_EMAIL=b@b",
	}
	if b.other {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: otherUser, Gid: otherUser}}
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
