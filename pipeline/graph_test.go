package pipeline

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// registeredJobs makes jobs of lines such as "a: quire/push b".
func registeredJobs(lines ...string) []*registered {
	var regs []*registered
	for i, l := range lines {
		id, inputs, _ := strings.Cut(l, ":")
		regs = append(regs, &registered{
			job: &Job{ID: id, Inputs: strings.Fields(inputs), Line: i + 1}, at: call{line: i + 1}, sound: true,
		})
	}
	return regs
}

func TestDiamondIsNoCycle(t *testing.T) {
	jobs, _, findings := arrange(registeredJobs("d: b c", "a: quire/push", "b: a", "c: a"))
	if findings != nil {
		t.Fatal(findings)
	}
	var ids []string
	for _, j := range jobs {
		ids = append(ids, j.ID)
	}
	if fmt.Sprint(ids) != "[a b c d]" {
		t.Error(ids)
	}
}

// A faulty registration is told once: what waits for it is not reported too.
func TestFaultyJobsAreNodes(t *testing.T) {
	regs := registeredJobs("broken:", "behind: broken", "far: behind")
	regs[0].sound = false
	if _, _, findings := arrange(regs); findings != nil {
		t.Errorf("%+v", findings)
	}
}

// Random graphs, against the definition: two jobs are in one cycle if each can
// be reached from the other, and a job is reachable if a path leads to the
// source.
func TestGraphsAgainstTheDefinition(t *testing.T) {
	for seed := range uint64(2000) {
		rng := rand.New(rand.NewPCG(seed, 1))
		n := 1 + rng.IntN(9)
		lines := make([]string, n)
		reach := make([][]bool, n) // over one or more inputs
		source := make([]bool, n)
		for i := range lines {
			reach[i] = make([]bool, n)
			lines[i] = fmt.Sprintf("j%d:", i)
			for k := range n {
				if rng.IntN(n*2) == 0 {
					lines[i] += fmt.Sprintf(" j%d", k)
					reach[i][k] = true
				}
			}
			if rng.IntN(3) == 0 || strings.HasSuffix(lines[i], ":") {
				lines[i] += " quire/push"
				source[i] = true
			}
		}
		for k := range n {
			for i := range n {
				for j := range n {
					reach[i][j] = reach[i][j] || reach[i][k] && reach[k][j]
				}
			}
		}
		var want []string
		for i := range n {
			if reach[i][i] {
				var names []string
				first := true
				for k := range n {
					if reach[i][k] && reach[k][i] {
						names = append(names, fmt.Sprintf("j%d", k))
						first = first && k >= i
					}
				}
				if first {
					want = append(want, "Cycle detected among jobs: "+strings.Join(names, ", "))
				}
				continue
			}
			reached := source[i]
			for k := range n {
				reached = reached || reach[i][k] && source[k]
			}
			if !reached {
				want = append(want, fmt.Sprintf("Job 'j%d' is not reachable from any trigger (e.g. :quire/push).", i))
			}
		}
		jobs, g, findings := arrange(registeredJobs(lines...))
		var got []string
		for _, f := range findings {
			got = append(got, f.message)
		}
		slices.Sort(want)
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Fatalf("seed %d\n%s\ngot  %q\nwant %q", seed, strings.Join(lines, "\n"), got, want)
		}
		if findings != nil {
			continue
		}
		for i, j := range jobs {
			if j.index != i || g.index[j.ID] != i {
				t.Fatalf("seed %d: job %s is at %d, not %d", seed, j.ID, i, j.index)
			}
			var old int
			fmt.Sscanf(j.ID, "j%d", &old)
			for k, o := range jobs {
				var other int
				fmt.Sscanf(o.ID, "j%d", &other)
				if g.ancestors[i].has(k) != reach[old][other] {
					t.Fatalf("seed %d: %s behind %s: %v", seed, j.ID, o.ID, reach[old][other])
				}
				if reach[old][other] && k >= i {
					t.Fatalf("seed %d: %s comes before its input %s", seed, j.ID, o.ID)
				}
			}
		}
	}
}
