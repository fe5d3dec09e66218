package mirror

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"quire/internal/secret"
	"quire/internal/store"
)

// The figures are ratios of medians, taken in turn in one run, to a `git push`
// of the same by hand. go test -run NONE -bench . -benchtime 30x ./mirror

func median(d []time.Duration) time.Duration {
	slices.Sort(d)
	return d[len(d)/2]
}

func report(b *testing.B, ours, plain []time.Duration) {
	b.ReportMetric(float64(median(ours))/float64(median(plain)), "ratio")
	b.ReportMetric(float64(median(ours).Microseconds())/1000, "ours-ms")
	b.ReportMetric(float64(median(plain).Microseconds())/1000, "git-ms")
	b.ReportMetric(0, "ns/op")
}

// fill gives a repository n objects on refs/heads/main, in one pack.
func fill(b *testing.B, dir string, n int) (tip string) {
	b.Helper()
	var in bytes.Buffer
	for i := range n {
		text := fmt.Sprintf("content %d\n", i)
		fmt.Fprintf(&in, "blob\nmark :%d\ndata %d\n%s", i+1, len(text), text)
	}
	in.WriteString("commit refs/heads/main\ncommitter A <a@example.org> 1700000000 +0000\ndata 3\nbig\n")
	for i := range n {
		fmt.Fprintf(&in, "M 100644 :%d d%d/%d\n", i+1, i/500, i)
	}
	gitIn(b, dir, in.String(), "fast-import", "--quiet")
	git(b, dir, "repack", "-adq")
	return git(b, dir, "rev-parse", "refs/heads/main")
}

// byHand is a `git push` as a hook's author writes it, with the token where it
// should not be.
func byHand(b *testing.B, src, url string, specs ...string) {
	b.Helper()
	args := append([]string{"-c", "http.extraHeader=" + basic("x", token), "push", "-q", url}, specs...)
	c := exec.Command("git", args...)
	c.Dir = src
	c.Env = append(os.Environ(), "GIT_CONFIG_GLOBAL=/dev/null", "GIT_CONFIG_NOSYSTEM=1")
	if out, err := c.CombinedOutput(); err != nil {
		b.Fatalf("git push: %v\n%s", err, out)
	}
}

func BenchmarkOneCommit(b *testing.B) {
	for _, size := range []int{10, 300_000} {
		for _, kind := range []string{"file", "http"} {
			b.Run(fmt.Sprintf("%s/objects=%d", kind, size), func(b *testing.B) {
				w := newWorld(b)
				tip := fill(b, w.src, size)
				other := filepath.Join(w.forge.Root, "me", "other.git")
				for _, dst := range []string{w.dst, other} {
					os.RemoveAll(dst)
					git(b, w.state, "clone", "-q", "--bare", w.src, dst)
				}
				url := w.forge.RepoURL("me/other.git")
				if kind == "file" {
					w.target.URL, url = w.dst, other
				}
				w.push(Want{"refs/heads/main", tip})
				var ours, plain []time.Duration
				tree := git(b, w.src, "rev-parse", tip+"^{tree}")
				for b.Loop() {
					tip = git(b, w.src, "commit-tree", "-m", w.next(), "-p", tip, tree)
					git(b, w.src, "update-ref", "refs/heads/main", tip)
					req := w.request(Want{"refs/heads/main", tip})
					// In turn, and who is first in turn.
					steps := []func(){func() {
						start := time.Now()
						if rep := w.deliver(req); !rep.OK() {
							b.Fatal(rep)
						}
						ours = append(ours, time.Since(start))
					}, func() {
						start := time.Now()
						byHand(b, w.src, url, tip+":refs/heads/main")
						plain = append(plain, time.Since(start))
					}}
					if len(ours)%2 == 1 {
						slices.Reverse(steps)
					}
					for _, step := range steps {
						step()
					}
				}
				report(b, ours, plain)
			})
		}
	}
}

// 5,000 refs in one delivery: refs that are there and move, and new ones.
func BenchmarkManyRefs(b *testing.B) {
	const n = 5000
	for _, c := range [][2]string{{"changed", "file"}, {"created", "file"}, {"changed", "http"}, {"created", "http"}} {
		kind, how := c[0], c[1]
		b.Run(kind+"/"+how, func(b *testing.B) {
			w := newWorld(b)
			other := w.forge.Repo("me/other.git")
			if how == "file" {
				w.target.URL = w.dst
			} else {
				other = w.forge.RepoURL("me/other.git")
			}
			var parents []string
			var ours, plain []time.Duration
			round := func() {
				tip := w.commit("", w.next(), parents...)
				parents = []string{tip}
				name := "b"
				if kind == "created" {
					name = "of-" + tip[:8] + "/b"
				}
				var wants []Want
				var specs []string
				for i := range n {
					ref := fmt.Sprintf("refs/heads/%s%d", name, i)
					wants = append(wants, Want{ref, tip})
					specs = append(specs, tip+":"+ref)
				}
				start := time.Now()
				byHand(b, w.src, other, specs...)
				plain = append(plain, time.Since(start))
				req := w.request(wants...)
				start = time.Now()
				if rep := w.deliver(req); !rep.OK() {
					b.Fatal("not delivered")
				}
				ours = append(ours, time.Since(start))
			}
			if kind == "changed" {
				round()
				ours, plain = nil, nil
			}
			for b.Loop() {
				round()
			}
			report(b, ours, plain)
		})
	}
}

// Status of 1,000 repositories with two targets each, from the ledger.
func BenchmarkStatus(b *testing.B) {
	w := newWorld(b)
	ctx := context.Background()
	oid := w.commit("", "one")
	for i := range 1000 {
		for _, host := range []string{"a", "b"} {
			t := store.MirrorTarget{GitDir: fmt.Sprintf("/srv/git/r%d.git", i), URL: "https://" + host + "/r.git", Name: host, Force: "lease", Delete: "owned"}
			owed := []store.Delivery{{Ref: "refs/heads/main", Want: oid, Seq: w.next()}, {Ref: "refs/tags/v1", Want: oid, Seq: w.next()}}
			if err := w.store.Owe(ctx, t, owed, time.Now(), false); err != nil {
				b.Fatal(err)
			}
		}
	}
	// Three orders, which each target is compared with.
	orders := []Order{{Target: Target{URL: "https://a/r.git"}, Repos: []string{"/srv/git/**"}},
		{Target: Target{URL: "https://c/{repo}.git"}, Repos: []string{"other/*"}}, {Target: Target{URL: "https://b/r.git"}, Repos: []string{"r*"}}}
	var took []time.Duration
	for b.Loop() {
		start := time.Now()
		list, err := w.engine.Status(ctx, "", orders)
		if err != nil || len(list) != 2000 || len(list[0].Refs) != 2 {
			b.Fatal(len(list), err)
		}
		took = append(took, time.Since(start))
	}
	b.ReportMetric(float64(median(took).Microseconds())/1000, "ms")
	b.ReportMetric(0, "ns/op")
}

// Twenty pushes at once: how many git pushes the forge sees.
func BenchmarkTwentyAtOnce(b *testing.B) {
	var pushes []time.Duration
	for b.Loop() {
		w := newWorld(b)
		var reqs []Request
		var parents []string
		tip := ""
		for range 20 {
			tip = w.commit("refs/heads/main", w.next(), parents...)
			parents = []string{tip}
			reqs = append(reqs, w.request(Want{"refs/heads/main", tip}))
		}
		done := make(chan error, len(reqs))
		for _, r := range reqs {
			r.Credential = secret.NewValue(token)
			go func() {
				rep, err := w.engine.Deliver(context.Background(), r)
				if err == nil {
					err = rep.Err()
				}
				done <- err
			}()
		}
		for range reqs {
			if err := <-done; err != nil {
				b.Fatal(err)
			}
		}
		w.wantThere("refs/heads/main", tip)
		pushes = append(pushes, time.Duration(w.forge.Pushes()))
	}
	b.ReportMetric(float64(median(pushes)), "pushes")
	b.ReportMetric(0, "ns/op")
}
