package mirror

import (
	"fmt"
	"slices"
	"sort"
	"strings"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/secret/masked"
	"quire/internal/store"
)

// move is one ref of a git push.
type move struct {
	d store.Delivery

	// lease is what the remote must have; "" that it must have nothing. nil: no
	// lease; git itself then only creates or fast-forwards, and leaves tags.
	lease *string

	earlier bool // not of this request
	revived bool // was refused for a reason that was the target's
	result  *Result
	whole   bool // refused together with all others of its push
	counted bool // among the attempts
}

func (m *move) deletes() bool { return event.IsZero(m.d.Want) }

// unheard reports whether something may be there that was put there from here,
// for all that is known.
func (m *move) unheard() bool {
	return m.d.Put == "" && slices.ContainsFunc(strings.Fields(m.d.Sent), func(oid string) bool { return !event.IsZero(oid) })
}

// args are the move's part of git push's argv.
func (m *move) args() (lease, spec string) {
	if m.lease != nil {
		lease = "--force-with-lease=" + m.d.Ref + ":" + *m.lease
	}
	if m.deletes() {
		return lease, ":" + m.d.Ref
	}
	return lease, m.d.Want + ":" + m.d.Ref
}

func (m *move) size() int {
	lease, spec := m.args()
	return len(lease) + len(spec) + 2
}

// planner decides for each delivery whether and how it may be pushed.
type planner struct {
	target Target
	to     remote
	repo   func() (*gitrepo.Repo, error) // opened when first needed
	known  func() (int, error)           // how many refs this target has from here
	cred   *credential                   // nil: there is none to redact

	confirmed bool
	limits    limits
}

// admit gives moves their leases, and results to those that must not be made.
func (p *planner) admit(moves []*move) error {
	var deletes []*move
	for _, m := range moves {
		if m.deletes() {
			deletes = append(deletes, m)
			continue
		}
		if m.d.Put == "" {
			continue
		}
		m.lease = &m.d.Put
		if p.target.Force == "never" && m.d.Put != m.d.Want && !p.forward(m.d) {
			p.refuse(m, Refused, ClassNotForward, fmt.Sprintf("%s is not ahead of %s, which is there", event.ShortOID(m.d.Want), event.ShortOID(m.d.Put)))
		}
	}
	return p.admitDeletes(deletes)
}

// forward reports whether the delivery is a fast-forward of a branch.
func (p *planner) forward(d store.Delivery) bool {
	return strings.HasPrefix(d.Ref, "refs/heads/") && p.ancestor(d.Put, d.Want)
}

// ancestor is false also where it cannot be told: an object that is not here is
// somebody else's.
func (p *planner) ancestor(a, b string) bool {
	r, err := p.repo()
	if err != nil {
		return false
	}
	yes, err := r.IsAncestor(a, b)
	return yes && err == nil
}

// admitDeletes lets through the deletions that are ours to make, from a
// repository that is in order, and not too many at once.
func (p *planner) admitDeletes(moves []*move) error {
	var ours []*move
	for _, m := range moves {
		switch {
		case m.unheard(): // see pusher.unheard
		case m.d.Put == "":
			m.result = &Result{Status: Deleted, Detail: masked.Const("it was never there from here")}
		case p.target.Delete == "never":
			m.result = &Result{Status: Kept, Class: ClassForeign, Detail: masked.Const("this mirror deletes nothing (delete = \"never\")")}
		case !m.d.Ours:
			m.result = &Result{Status: Kept, Class: ClassForeign, Detail: masked.Const("quire did not create it there")}
		default:
			m.lease = &m.d.Put
			ours = append(ours, m)
		}
	}
	if len(ours) == 0 {
		return nil
	}
	refs, err := p.localRefs()
	if err != nil || len(refs) == 0 {
		detail := "the repository here reads as empty, so nothing is deleted there"
		if err != nil {
			detail = fmt.Sprintf("the repository here cannot be read, so nothing is deleted there: %v", err)
		}
		for _, m := range ours {
			p.refuse(m, Refused, ClassBroken, detail)
		}
		return nil
	}
	known, err := p.known()
	if err != nil {
		return err
	}
	if !p.confirmed && len(ours) > 1 && 2*len(ours) > known {
		for _, m := range ours {
			p.refuse(m, Refused, ClassManyDeletes, fmt.Sprintf("%d of the %d refs there would be deleted at once", len(ours), known))
		}
		return nil
	}
	for _, m := range ours {
		if _, back := refs[m.d.Ref]; back {
			m.result = &Result{Status: Superseded, OID: refs[m.d.Ref], Detail: masked.Const("the ref is back")}
		}
	}
	return nil
}

func (p *planner) localRefs() (map[string]string, error) {
	r, err := p.repo()
	if err != nil {
		return nil, err
	}
	list, err := r.Refs("refs/")
	out := make(map[string]string, len(list))
	for _, ref := range list {
		out[ref.Name] = ref.OID
	}
	return out, err
}

// refuse gives a move its result. What the detail holds of the credential is
// redacted.
func (p *planner) refuse(m *move, s Status, c Class, detail string) {
	cred := p.cred
	if cred == nil {
		cred = &credential{}
	}
	m.result = &Result{Status: s, Class: c, Detail: cred.mask(detail),
		Advice: c.advice(p.to, p.target.Name, p.target.Secret, event.ShortRef(m.d.Ref))}
}

// groups orders the moves and cuts them into single pushes.
//
// HEAD's branch comes first: the first branch that an empty repository gets is
// its default branch at most forges. A deletion that a new ref stands in the way
// of (a and a/b) goes in a push before. Few new tags go a few at a time, as
// forges start nothing for a push of many.
func (p *planner) groups(moves []*move, head string) [][]*move {
	moves = slices.DeleteFunc(slices.Clone(moves), func(m *move) bool { return m.result != nil })
	sort.SliceStable(moves, func(i, j int) bool { return rank(moves[i], head) < rank(moves[j], head) })
	before, rest := splitConflicts(moves)
	out := p.cut(before)
	leased, free := p.leasedFirst(rest)
	out = append(out, p.cut(leased)...)
	return append(out, p.cut(p.pace(free))...)
}

func rank(m *move, head string) int {
	switch {
	case m.d.Ref == head:
		return 0
	case strings.HasPrefix(m.d.Ref, "refs/heads/"):
		return 1
	case isNewTag(m):
		return 3
	}
	return 2
}

func isNewTag(m *move) bool { return m.d.Put == "" && strings.HasPrefix(m.d.Ref, "refs/tags/") }

// splitConflicts takes out the deletions that must come first.
func splitConflicts(moves []*move) (before, rest []*move) {
	made := map[string]bool{} // refs that will be, and the directories above them
	whole := map[string]bool{}
	for _, m := range moves {
		if m.deletes() {
			continue
		}
		whole[m.d.Ref] = true
		for dir := m.d.Ref; strings.Contains(dir, "/"); {
			dir = dir[:strings.LastIndexByte(dir, '/')]
			made[dir] = true
		}
	}
	for _, m := range moves {
		clash := m.deletes() && made[m.d.Ref]
		for dir := m.d.Ref; m.deletes() && !clash && strings.Contains(dir, "/"); {
			dir = dir[:strings.LastIndexByte(dir, '/')]
			clash = whole[dir]
		}
		if clash {
			before = append(before, m)
		} else {
			rest = append(rest, m)
		}
	}
	return before, rest
}

// pace puts a marker (nil) where a push must end because of tags.
func (p *planner) pace(moves []*move) []*move {
	n := 0
	for _, m := range moves {
		if isNewTag(m) {
			n++
		}
	}
	if n <= p.limits.tags || n > p.limits.few {
		return moves
	}
	var out []*move
	n = 0
	for _, m := range moves {
		if isNewTag(m) {
			if n == p.limits.tags {
				out = append(out, nil)
				n = 0
			}
			n++
		}
		out = append(out, m)
	}
	return out
}

// refsAtOnce is how many refs go in one push that begins with a move.
func (p *planner) refsAtOnce(first *move) int {
	if p.to.kind == "http" && first.lease != nil {
		return p.limits.http
	}
	return p.limits.refs
}

// leasedFirst puts the moves that have a lease before those that have none, where
// there are so many that each kind has its own best way; see bulk.go.
func (p *planner) leasedFirst(moves []*move) (leased, free []*move) {
	if p.to.kind != "http" || len(moves) <= few {
		return nil, moves
	}
	for _, m := range moves {
		if m.lease != nil {
			leased = append(leased, m)
		} else {
			free = append(free, m)
		}
	}
	return leased, free
}

// cut makes pushes of bounded size.
func (p *planner) cut(moves []*move) [][]*move {
	var out [][]*move
	var at []*move
	argv := 0
	flush := func() {
		if len(at) > 0 {
			out = append(out, at)
		}
		at, argv = nil, 0
	}
	for _, m := range moves {
		if m == nil {
			flush()
			continue
		}
		if len(at) > 0 && len(at) == p.refsAtOnce(at[0]) || argv+m.size() > p.limits.argv {
			flush()
		}
		at = append(at, m)
		argv += m.size()
	}
	flush()
	return out
}
