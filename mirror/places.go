package mirror

// kind is a way of work, and for whom it is done: for a pipeline, or by the
// operator's own order.
type kind struct {
	way   string
	asked bool
}

// The ways.
const (
	pushing  = "push"
	auditing = "audit"
	telling  = "api"
)

// width is how much of a kind may go on at once: in all, for one repository, and
// at one host. 0: no bound of its own. Of what pipelines asked for, the places at
// a host are each repository's own.
type width struct{ total, repository, host int }

// What many targets need at the same moment (after an outage; once a day) must
// flood neither this machine nor a host, and a host that gives no answer must keep
// no other waiting. Whoever may push a branch chooses the targets of pipelines and
// how many hosts they are at, so these have a bound for each repository too, and
// none of their places is one of the operator's.
var widths = map[kind]width{
	{pushing, false}:  {total: 32, host: 4},
	{auditing, false}: {total: 8, host: 2},
	{telling, false}:  {total: 8, host: 2},
	{pushing, true}:   {total: 12, repository: 4, host: 2},
	{auditing, true}:  {total: 4, repository: 2, host: 1},
}

// places counts what goes on of each kind: in all, by repository and by host. All
// the places that a piece of work needs are taken at once or not at all, so that
// none is held while another is waited for.
type places map[place]int

type place struct {
	kind
	gitDir, host string // "": of all
}

func (k kind) all() place                     { return place{k, "", ""} }
func (k kind) repository(gitDir string) place { return place{k, gitDir, ""} }

func (k kind) host(gitDir, host string) place {
	if !k.asked {
		gitDir = ""
	}
	return place{k, gitDir, "host " + host}
}

// take reports whether there was a place.
func (p places) take(k kind, gitDir, host string) bool {
	w := widths[k]
	full := func(at place, most int) bool { return most > 0 && p[at] >= most }
	if full(k.all(), w.total) || full(k.repository(gitDir), w.repository) || full(k.host(gitDir, host), w.host) {
		return false
	}
	for _, at := range []place{k.all(), k.repository(gitDir), k.host(gitDir, host)} {
		p[at]++
	}
	return true
}

func (p places) give(k kind, gitDir, host string) {
	for _, at := range []place{k.all(), k.repository(gitDir), k.host(gitDir, host)} {
		if p[at]--; p[at] <= 0 {
			delete(p, at)
		}
	}
}
