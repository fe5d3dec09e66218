package mirror

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"quire/internal/event"
	"quire/internal/secret/masked"
)

// pusher makes the pushes of one delivery.
type pusher struct {
	*planner
	sess     *session
	attempts int                      // git pushes started
	progress func(*move)              // records that a part of a move's history landed
	there    func() ([]string, error) // the objects that the target's refs were put on, the latest first
	size     int64                    // of the repository's objects, in bytes; 0: not looked at
}

// rounds bounds how often one push is made again because the remote moved
// meanwhile and the new state allows it.
const rounds = 4

// push makes one git push of moves and gives each a result, with a second look
// at the remote where the first word was no clear one. Transient results are
// Pending. What the remote took as a whole amiss is pushed in parts.
func (p *pusher) push(ctx context.Context, moves []*move) {
	moves = p.ahead(ctx, moves)
	p.settle(ctx, moves)
	p.inParts(ctx, moves)
}

// settle makes one git push, and again while the remote moves under it.
func (p *pusher) settle(ctx context.Context, moves []*move) {
	for round := 1; len(moves) > 0; round++ {
		again := p.once(ctx, moves)
		if round == rounds {
			for _, m := range again {
				p.refuse(m, Pending, ClassServer, "the remote keeps changing")
			}
			return
		}
		moves = again
	}
}

// once makes one git push and returns the moves that are to be made again, with
// other leases.
func (p *pusher) once(ctx context.Context, moves []*move) (again []*move) {
	args := []string{"push", "--porcelain", "--no-verify", "--no-signed", "--no-progress"}
	args = append(args, p.sess.remoteGit("--receive-pack=", "receive-pack")...)
	refspecs, err := p.sess.refspecs(moves)
	if err != nil {
		for _, m := range moves {
			p.refuse(m, Pending, ClassLocal, err.Error())
		}
		return nil
	}
	args = append(args, refspecs...)
	p.attempts++
	out := p.sess.git(ctx, args...)
	said := parsePorcelain(out.stdout)
	if out.err != nil {
		for _, m := range moves {
			p.interrupted(m, out.err)
		}
		return nil
	}
	class := ClassNone
	if len(said) == 0 && out.exit != 0 {
		class = p.classify(out.stderr)
		if class == ClassObjectMissing {
			if rest := p.dropMissing(moves, out.stderr); len(rest) < len(moves) {
				return rest
			}
		}
		if class == ClassLength && p.wholePack() {
			return moves
		}
		if !class.Transient() {
			for _, m := range moves {
				p.refuse(m, Refused, class, cause(out.stderr))
			}
			return nil
		}
	}
	// A good word counts if nothing broke after it: exit 0, or some ref refused,
	// which is what makes exit 1.
	refusals := 0
	for _, v := range said {
		if !v.ok() {
			refusals++
		}
	}
	trusted := out.exit == 0 || refusals > 0
	var doubtful []*move
	for _, m := range moves {
		v, ok := said[m.d.Ref]
		switch {
		case ok && v.ok() && trusted:
			p.landed(m, v)
		case ok && !v.ok() && !v.conflict() && !v.unclear():
			c, detail := p.refusal(m, v, out.stderr)
			p.refuse(m, refusedOrPending(c), c, detail)
			// Another part of the push may fare better, whatever the words beside the
			// refusal sound like; not where they speak of the target as a whole.
			m.whole = v.reason == "pre-receive hook declined" && (c.Transient() || !ofTarget[c]) || v.reason == "unpacker error" && c == ClassDeclined
		default:
			doubtful = append(doubtful, m)
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	there, err := p.sess.refs(ctx, refsOf(doubtful))
	if err != nil {
		for _, m := range doubtful {
			p.unsettled(m, class, out, err)
		}
		return nil
	}
	for _, m := range doubtful {
		if p.judge(m, said[m.d.Ref], there[m.d.Ref], out) {
			again = append(again, m)
		}
	}
	return again
}

// wholePack has git tell a pack's length before it sends it, which it does of one that
// fits into http.postBuffer: the next push of the session goes with a buffer for
// everything that is here, since a pack is hardly larger. git allocates all of it, and uses what
// the pack takes. It reports whether that is new.
func (p *pusher) wholePack() bool {
	if p.to.kind != "http" || p.sess.postBuffer > 0 {
		return false
	}
	p.large() // measures
	p.sess.postBuffer = min(max(2*p.size, 64<<20), p.limits.pack)
	return true
}

func refusedOrPending(c Class) Status {
	if c.Transient() {
		return Pending
	}
	return Refused
}

// landed records a good verdict.
func (p *pusher) landed(m *move, v verdict) {
	r := &Result{Status: Updated}
	switch v.flag {
	case '*':
		r.Status = Created
		m.d.Ours = true
	case '=':
		r.Status = UpToDate
	case '-':
		r.Status = Deleted
	}
	p.arrived(m, r)
}

func (p *pusher) arrived(m *move, r *Result) {
	m.d.Put, m.d.Sent = m.d.Want, ""
	if m.deletes() {
		m.d.Put, m.d.Ours = "", false
		r.Status = Deleted
	}
	m.result = r
}

// judge decides by what the remote has now, there, "" for nothing. It reports
// whether the move is to be made again, under the lease it set.
func (p *pusher) judge(m *move, v verdict, there string, out output) (again bool) {
	want := m.d.Want
	switch {
	case m.deletes() && there == "", !m.deletes() && there == want:
		// It landed, though nobody said so; or somebody else put the very same.
		// Who made it cannot be told, so it does not become ours to delete.
		p.arrived(m, &Result{Status: Updated})
		return false
	case m.expects(there):
		// As before the push: it did not arrive, or the refusal was one.
		c, detail := p.refusal(m, v, out.stderr)
		if v.flag == 0 || v.unclear() {
			c = orServer(p.classify(out.stderr))
		}
		p.refuse(m, refusedOrPending(c), c, detail)
		return false
	case there != "" && sent(m.d, there):
		// An earlier attempt landed and was not recorded: what is there is ours.
		m.d.Put, m.d.Sent = there, ""
		if p.target.Force == "never" && !m.deletes() && !p.forward(m.d) {
			p.refuse(m, Refused, ClassNotForward, fmt.Sprintf("%s is not ahead of %s, which is there", event.ShortOID(want), event.ShortOID(there)))
			return false
		}
		m.lease = &there
		return true
	case m.deletes():
		p.diverged(m, there)
		return false
	case there == "":
		// Somebody deleted it. Creating it destroys nothing.
		m.lease = &there
		return true
	case strings.HasPrefix(m.d.Ref, "refs/heads/") && p.ancestor(there, want) && (m.d.Put == "" || p.ancestor(m.d.Put, there)):
		// Somebody else moved it along our own history, and we go on. (Had they
		// moved it back, Put would not be behind it: that is left alone.)
		m.lease = &there
		return true
	case strings.HasPrefix(m.d.Ref, "refs/tags/") && m.d.Put == "":
		p.refuse(m, Refused, ClassTagElsewhere, fmt.Sprintf("the tag exists there on %s", event.ShortOID(there)))
		m.result.There = there
		return false
	}
	p.diverged(m, there)
	return false
}

// expects reports whether the remote's state is one that the push was good for,
// so that a refusal cannot be a conflict.
func (m *move) expects(there string) bool {
	return m.lease != nil && *m.lease == there || m.lease == nil && there == ""
}

func orServer(c Class) Class {
	if c == ClassUnknown {
		return ClassServer
	}
	return c
}

func (p *pusher) diverged(m *move, there string) {
	p.refuse(m, Diverged, ClassDiverged, "somebody else moved it to "+event.ShortOID(there)+"; left alone")
	m.result.There = there
}

// refusal is why the remote refused one ref: its own reason, if that says
// something, else what the remote printed beside it, less the lines that are
// about other refs of the push.
func (p *pusher) refusal(m *move, v verdict, stderr string) (Class, string) {
	var mine strings.Builder
	for line := range strings.Lines(stderr) {
		if about := refsIn.FindAllString(line, -1); len(about) == 0 || slices.Contains(about, m.d.Ref) {
			mine.WriteString(line)
		}
	}
	said := cause(mine.String())
	switch c := p.classifyRef(m.d.Ref, v.reason); {
	case v.reason == "" || c == ClassUnknown || c == ClassDeclined || c == ClassServer:
	case c == ClassProtected && strings.Contains(v.reason, "hook declined"):
		// GitHub says so of rulesets and of push protection too.
	default:
		return c, both(v.reason, said)
	}
	c := p.classifyRef(m.d.Ref, mine.String()+"\n"+v.reason)
	switch {
	case c == ClassUnknown && v.flag == '!':
		c = ClassDeclined
	case v.reason == "unpacker error" && fsckError.MatchString(mine.String()):
		c = ClassDeclined // an object is what the remote does not take (receive.fsckObjects)
	}
	return c, both(v.reason, said)
}

// fsckError is git's word for an object that is refused by a check of its content.
var fsckError = regexp.MustCompile(`(?i)fsck error|error in object|error: object [0-9a-f]+: `)

// refsIn finds full ref names in what a remote prints.
var refsIn = regexp.MustCompile(`refs/[^\s'"\x60:,;()]*[^\s'"\x60:,;().]`)

// both puts the ref's reason before what was printed, where it adds anything.
func both(reason, said string) string {
	switch {
	case said == "":
		return reason
	case reason == "" || strings.Contains(said, reason) || strings.HasSuffix(reason, "hook declined"):
		return said
	}
	return reason + ": " + said
}

// dropMissing gives up the moves whose object is not in the repository, which
// would keep all others back, and returns the others.
func (p *pusher) dropMissing(moves []*move, stderr string) (rest []*move) {
	for _, m := range moves {
		if !m.deletes() && strings.Contains(stderr, m.d.Want) {
			p.refuse(m, Refused, ClassObjectMissing, "the object "+event.ShortOID(m.d.Want)+" is not in the repository here")
			continue
		}
		rest = append(rest, m)
	}
	return rest
}

// interrupted is for a push that was ended from here: by the run's end, or for
// taking too long. What it did is not known, and the next attempt finds out.
func (p *pusher) interrupted(m *move, err error) {
	c := ClassLocal
	if errors.Is(err, errTooLong) {
		c = ClassStalled
	}
	p.refuse(m, Pending, c, err.Error())
}

// unsettled is for a push whose end was unclear, with a remote that could not
// be read afterwards either.
func (p *pusher) unsettled(m *move, class Class, out output, readErr error) {
	detail := cause(out.stderr)
	if class == ClassNone {
		class = orServer(p.classify(out.stderr))
	}
	var ce *commandError
	if errors.As(readErr, &ce) && !p.classify(ce.stderr).Transient() {
		class, detail = p.classify(ce.stderr), cause(ce.stderr)
	}
	if detail == "" {
		detail = readErr.Error()
	}
	p.refuse(m, refusedOrPending(class), class, detail)
}

// unheard decides about deletions of refs that were sent to the target, if it is
// not known whether they arrived. Nothing is deleted: who created what is there
// cannot be told.
func (p *pusher) unheard(ctx context.Context, moves []*move) {
	moves = slices.DeleteFunc(slices.Clone(moves), func(m *move) bool { return m.result != nil || !m.deletes() || !m.unheard() })
	if len(moves) == 0 {
		return
	}
	there, err := p.sess.refs(ctx, refsOf(moves))
	for _, m := range moves {
		is := there[m.d.Ref]
		switch {
		case err != nil:
			p.unsettled(m, ClassNone, output{}, err)
			continue
		case is == "":
			m.result = &Result{Status: Deleted, Detail: masked.Const("it did not get there")}
		case sent(m.d, is):
			m.d.Put = is
			m.result = &Result{Status: Kept, Class: ClassForeign, There: is, Detail: masked.Const("the connection broke while it was created there, so it cannot be known who did")}
		default:
			m.result = &Result{Status: Deleted, Detail: masked.Const("what is there is not from here")}
		}
		m.d.Sent = ""
	}
}

func refsOf(moves []*move) []string {
	var out []string
	for _, m := range moves {
		out = append(out, m.d.Ref)
	}
	return out
}

// commandError is a git command that failed.
type commandError struct {
	what   string
	stderr string
}

func (e *commandError) Error() string { return e.what + ": " + cause(e.stderr) }

// fewRefs is up to how many refs the remote is asked for by name.
const fewRefs = 100

// refs reads what the remote has of the named refs, or of all for nil.
func (s *session) refs(ctx context.Context, names []string) (map[string]string, error) {
	args := append([]string{"ls-remote", "--quiet"}, s.remoteGit("--upload-pack=", "upload-pack")...)
	args = append(args, "--", s.to.url)
	if len(names) > 0 && len(names) <= fewRefs {
		args = append(args, names...) // a full name matches itself, and x/refs/… which is dropped below
	}
	out := s.git(ctx, args...)
	if out.err != nil {
		return nil, out.err
	}
	if out.exit != 0 {
		return nil, &commandError{"read the remote's refs", out.stderr}
	}
	all := map[string]string{}
	for line := range strings.Lines(out.stdout) {
		oid, name, ok := strings.Cut(strings.TrimSpace(line), "\t")
		if ok && !strings.HasSuffix(name, "^{}") {
			all[name] = oid
		}
	}
	return all, nil
}
