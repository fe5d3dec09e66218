package pipeline

import (
	"container/heap"
	"fmt"
	"slices"
	"strings"
)

// graph is how the jobs of a pipeline depend on one another. Jobs are known by
// their index in Pipeline.Jobs, which is a topological order.
type graph struct {
	index      map[string]int
	inputs     [][]int // without the source
	dependents [][]int

	// ancestors holds, for each job, the jobs that it depends on directly or
	// not; bit len(inputs) stands for the source.
	ancestors []bitset
}

func (g *graph) readsSource(i int) bool { return g.ancestors[i].has(len(g.inputs)) }

// bitset is a set of small numbers.
type bitset []uint64

func newBitset(n int) bitset    { return make(bitset, (n+63)/64) }
func (b bitset) has(i int) bool { return b[i/64]&(1<<(i%64)) != 0 }
func (b bitset) add(i int)      { b[i/64] |= 1 << (i % 64) }
func (b bitset) union(other bitset) {
	for i, w := range other {
		b[i] |= w
	}
}

// finding is a fault of the graph, or only something odd in it; element, if not
// empty, is the input of the job that it is about.
type finding struct {
	job     *registered
	element string
	message string
	advice  string
	odd     bool // the graph is sound
}

// arrange checks how the registered jobs depend on one another. Without faults
// it returns the jobs in topological order and their graph, and among the
// findings is only what is odd.
//
// A job whose own registration is faulty (r.sound is false) takes part as a
// node, so that one mistake is not told a second time by every job behind it.
func arrange(regs []*registered) ([]*Job, *graph, []finding) {
	a := arrangement{regs: regs, byID: make(map[string]int, len(regs))}
	for i, r := range regs {
		a.byID[r.job.ID] = i
	}
	a.resolve()
	a.judgeUnknown()
	inCycle := a.cycles()
	a.unreachable(inCycle)
	if slices.ContainsFunc(a.findings, func(f finding) bool { return !f.odd }) {
		return nil, nil, a.findings
	}
	jobs, g := a.sorted()
	return jobs, g, a.findings
}

type arrangement struct {
	regs     []*registered
	byID     map[string]int
	inputs   [][]int // edges that resolved, by registration index
	starts   []bool  // lists the source, or is broken in a way already reported
	unknown  []int   // jobs with an input that nothing has the name of, by finding
	findings []finding
}

// judgeUnknown decides of each input that is neither a job nor a source whether
// it is a fault. The Rust forge ignores it where the job runs by another input;
// but what a mirror waits for is no such list there, and a typing mistake would
// have it push what was never tested.
func (a *arrangement) judgeUnknown() {
	reached := a.reached()
	for k, i := range a.unknown {
		f := &a.findings[k]
		if f.odd = reached[i] && a.regs[i].job.Mirror == nil; !f.odd {
			a.starts[i] = true // told already
		}
	}
}

// resolve finds what each input names.
func (a *arrangement) resolve() {
	a.inputs = make([][]int, len(a.regs))
	a.starts = make([]bool, len(a.regs))
	var known []string // only built when a name is not found
	for i, r := range a.regs {
		a.starts[i] = !r.sound
		for _, in := range r.job.Inputs {
			if in == PushSource {
				a.starts[i] = true
				continue
			}
			if k, ok := a.byID[in]; ok {
				a.inputs[i] = append(a.inputs[i], k)
				continue
			}
			if known == nil {
				known = append(known, PushSource)
				for _, o := range a.regs {
					known = append(known, o.job.ID)
				}
			}
			advice := ""
			if n := nearest(in, known); n != "" && n != r.job.ID {
				advice = "Did you mean :" + n + "?"
			}
			a.unknown = append(a.unknown, i)
			a.findings = append(a.findings, finding{job: r, element: in, advice: advice,
				message: fmt.Sprintf("Job '%s' has the input '%s', which is neither a job nor a source.", r.job.ID, printable(in))})
		}
	}
}

// cycles reports each set of jobs that wait for one another, once, and returns
// which jobs are in one. (Tarjan's strongly connected components.)
func (a *arrangement) cycles() []bool {
	n := len(a.regs)
	order, low := make([]int, n), make([]int, n) // 0: not visited
	onStack, inCycle := make([]bool, n), make([]bool, n)
	var stack []int
	counter := 0
	var visit func(v int)
	visit = func(v int) {
		counter++
		order[v], low[v] = counter, counter
		stack = append(stack, v)
		onStack[v] = true
		for _, w := range a.inputs[v] {
			if order[w] == 0 {
				visit(w)
				low[v] = min(low[v], low[w])
			} else if onStack[w] {
				low[v] = min(low[v], order[w])
			}
		}
		if low[v] != order[v] {
			return
		}
		at := slices.Index(stack, v)
		members := slices.Clone(stack[at:])
		stack = stack[:at]
		for _, m := range members {
			onStack[m] = false
		}
		if len(members) > 1 || slices.Contains(a.inputs[v], v) {
			for _, m := range members {
				inCycle[m] = true
			}
			a.reportCycle(members)
		}
	}
	for v := range a.regs {
		if order[v] == 0 {
			visit(v)
		}
	}
	return inCycle
}

// reportCycle puts the finding at the member that was registered first, on the
// input that leads on round the cycle.
func (a *arrangement) reportCycle(members []int) {
	slices.Sort(members)
	names := make([]string, len(members))
	var waits []string
	element := ""
	for i, m := range members {
		r := a.regs[m]
		names[i] = r.job.ID
		for _, in := range a.inputs[m] {
			if !slices.Contains(members, in) {
				continue
			}
			if element == "" {
				element = a.regs[in].job.ID
			}
			waits = append(waits, fmt.Sprintf("'%s' (line %d) waits for '%s'", r.job.ID, r.job.Line, a.regs[in].job.ID))
		}
	}
	const few = 6
	if len(waits) > few {
		waits = append(waits[:few], "…")
	}
	slices.Sort(names)
	a.findings = append(a.findings, finding{job: a.regs[members[0]], element: element,
		message: "Cycle detected among jobs: " + strings.Join(names, ", "),
		advice:  strings.Join(waits, ", ") + "."})
}

// unreachable reports jobs that no source leads to. Members of a cycle are left
// out: that they cannot start has been said.
func (a *arrangement) unreachable(inCycle []bool) {
	reached := a.reached()
	for i, r := range a.regs {
		if !reached[i] && !inCycle[i] {
			a.findings = append(a.findings, finding{job: r,
				message: fmt.Sprintf("Job '%s' is not reachable from any trigger (e.g. :quire/push).", r.job.ID)})
		}
	}
}

// reached tells which jobs a start leads to.
func (a *arrangement) reached() []bool {
	dependents := make([][]int, len(a.regs))
	for i, ins := range a.inputs {
		for _, in := range ins {
			dependents[in] = append(dependents[in], i)
		}
	}
	reached := slices.Clone(a.starts)
	var queue []int
	for i, r := range reached {
		if r {
			queue = append(queue, i)
		}
	}
	for len(queue) > 0 {
		v := queue[0]
		queue = queue[1:]
		for _, d := range dependents[v] {
			if !reached[d] {
				reached[d] = true
				queue = append(queue, d)
			}
		}
	}
	return reached
}

// sorted numbers the jobs topologically, the one registered first going first
// where there is a choice, and builds the graph over those numbers.
func (a *arrangement) sorted() ([]*Job, *graph) {
	n := len(a.regs)
	waiting := make([]int, n)
	dependents := make([][]int, n)
	ready := &intHeap{}
	for i, ins := range a.inputs {
		waiting[i] = len(ins)
		for _, in := range ins {
			dependents[in] = append(dependents[in], i)
		}
		if len(ins) == 0 {
			heap.Push(ready, i)
		}
	}
	jobs := make([]*Job, 0, n)
	number := make([]int, n) // registration index → topological
	for ready.Len() > 0 {
		i := heap.Pop(ready).(int)
		number[i] = len(jobs)
		a.regs[i].job.index = len(jobs)
		jobs = append(jobs, a.regs[i].job)
		for _, d := range dependents[i] {
			if waiting[d]--; waiting[d] == 0 {
				heap.Push(ready, d)
			}
		}
	}

	g := &graph{
		index:      make(map[string]int, n),
		inputs:     make([][]int, n),
		dependents: make([][]int, n),
		ancestors:  make([]bitset, n),
	}
	old := make([]int, n)
	for i, t := range number {
		old[t] = i
	}
	for t, j := range jobs {
		g.index[j.ID] = t
		up := newBitset(n + 1)
		if slices.Contains(j.Inputs, PushSource) {
			up.add(n)
		}
		for _, in := range a.inputs[old[t]] {
			k := number[in]
			g.inputs[t] = append(g.inputs[t], k)
			g.dependents[k] = append(g.dependents[k], t)
			up.add(k)
			up.union(g.ancestors[k])
		}
		g.ancestors[t] = up
	}
	return jobs, g
}

type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}
