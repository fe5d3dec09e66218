package supervise

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"

	"quire/internal/config"
	"quire/internal/event"
)

// domain says among which runs something is shared that outlives a run: caches,
// and images that were built. State flows from the default branch to the others
// and never back: only runs of the default branch itself write what it reads.
// That is more than any protection of a secret asks for, since a branch with an
// unchanged pipeline still runs its own Makefile.
type domain struct {
	own     string // of this run; what it writes
	trusted string // of the default branch; what it may read, too; "" none
}

// domainOf is the domain of a run. The runs of another ref share one only as far
// as the same protections hold for them: what a run wrote that was refused a
// secret is not read by the ref's next run, which is given it.
func domainOf(cfg *config.Config, r event.Run, s *standing) domain {
	var d domain
	if s.tip != "" {
		d.trusted = domainName("default", r.GitDir, s.branch)
	}
	switch {
	case s.commit == "":
		d.own = domainName("local", r.GitDir, r.Ref)
	case s.isDefault():
		d.own = d.trusted
	default:
		d.own = domainName("ref", r.GitDir, r.Ref, append(s.holds(cfg), givenTo(cfg, r.Pusher)...)...)
	}
	return d
}

// givenTo names the rules of pushers, of all that the secrets of the configuration
// have, that admit a pusher: each once, in order. What a run of another pusher wrote is not
// read by one that is given what that was refused.
func givenTo(cfg *config.Config, pusher string) []string {
	var out []string
	for _, name := range cfg.SecretNames() {
		patterns := cfg.Secrets[name].Pushers
		if slices.ContainsFunc(patterns, func(p string) bool { ok, err := event.MatchName(p, pusher); return ok && err == nil }) {
			out = append(out, "pushers\x00"+strings.Join(patterns, "\x00"))
		}
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// all are the domains that the run may read, its own first.
func (d domain) all() []string {
	if d.trusted == "" || d.trusted == d.own {
		return []string{d.own}
	}
	return []string{d.own, d.trusted}
}

// domainName is a name for a file or a hash; it says the kind to a person.
func domainName(kind, gitDir, ref string, more ...string) string {
	h := sha256.New()
	for _, s := range append([]string{kind, gitDir, ref}, more...) {
		h.Write([]byte(strings.ReplaceAll(s, "\n", "\n\n") + "\n \n")) // no two lists are one text
	}
	return kind + "-" + hex.EncodeToString(h.Sum(nil)[:16])
}
