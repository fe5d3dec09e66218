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
	fmt.Println("| repository | hook | without | with | ratio (middle half) | first byte of sh |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, repo := range []struct {
		name    string
		objects int
	}{{"tiny", 0}, {fmt.Sprintf("%d objects, one pack", objects), objects}} {
		b.repos = filepath.Join(dir, fmt.Sprintf("repos-%d", repo.objects))
		if err := b.repositories(repo.objects); err != nil {
			return err
		}
		for _, hook := range []hook{noop, warm, cold} {
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
	warm hook = "quire, worker running"
	cold hook = "quire, no worker running"
)

func (b *bench) row(repo string, h hook, n int) (err error) {
	if err := errors.Join(b.install(h), b.configure(h)); err != nil {
		return err
	}
	if h == warm {
		end, err := b.startWorker()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, end()) }()
	}
	var without, with, ratio, first []float64
	const warmUp = 3
	for i := range warmUp + n {
		if _, err := b.output(b.client(), "git", "commit", "-q", "--allow-empty", "-m", fmt.Sprint(repo, h, i)); err != nil {
			return err
		}
		if h == cold {
			if err := b.settle(); err != nil {
				return err
			}
		}
		times := map[string]float64{}
		order := []string{"plain.git", "hooked.git"}
		if i%2 == 1 {
			slices.Reverse(order)
		}
		for _, target := range order {
			start := time.Now()
			if _, err := b.output(b.client(), "git", "push", "-q", filepath.Join(b.repos, target), "HEAD:refs/heads/main"); err != nil {
				return err
			}
			times[target] = milliseconds(time.Since(start))
			if target == "hooked.git" && h != noop {
				at, err := b.drained()
				if err != nil {
					return err
				}
				if i >= warmUp {
					first = append(first, milliseconds(at.Sub(start)))
				}
			}
		}
		if i >= warmUp {
			without = append(without, times["plain.git"])
			with = append(with, times["hooked.git"])
			ratio = append(ratio, times["hooked.git"]/times["plain.git"])
		}
	}
	fmt.Printf("| %s | %s | %.1f ms | %.1f ms | %.3f (%.3f–%.3f) |", repo, h, quantile(without, 0.5), quantile(with, 0.5),
		quantile(ratio, 0.5), quantile(ratio, 0.25), quantile(ratio, 0.75))
	if len(first) > 0 {
		fmt.Printf(" %.1f ms |\n", quantile(first, 0.5))
	} else {
		fmt.Println(" |")
	}
	return nil
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
}

func (b *bench) client() string   { return filepath.Join(b.repos, "client") }
func (b *bench) stateDir() string { return filepath.Join(b.dir, "state") }

// output runs a command in an environment without the caller's configuration.
func (b *bench) output(dir, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + b.dir, "USER=bench", "QUIRE_CONFIG=" + filepath.Join(b.dir, "config.toml"),
		"GIT_CONFIG_NOSYSTEM=1", "GIT_AUTHOR_NAME=b", "GIT_AUTHOR_EMAIL=b@b", "GIT_COMMITTER_NAME=b", "GIT_COMMITTER_EMAIL=b@b",
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("%s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), nil
}
