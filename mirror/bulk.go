package mirror

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Git compares every ref of a remote with every refspec and with every lease that
// stands on its command line: 5,000 refs that move take it 9 seconds, before it
// has sent a byte, and their leases 5 more. So what is to be pushed of many refs,
// and what is expected of them, is written into the session's own git directory,
// as refs of its own, and named by one pattern: refs are then looked up.
//
//	refs/want/heads/main   what refs/heads/main is to be
//	refs/lease/heads/main  what it must be before; without one it may only be created
//
// Over HTTP git has a helper do the talking, tells it each ref and each lease one
// by one, and the helper compares every one with every ref of this directory and
// of the remote. So there, refs that move go in pushes of some hundreds, which
// keeps the directory small; and refs without a lease, as the thousands of a first
// push are, stand on the command line, with nothing in the directory at all.
//
// The objects are the same, and the lease is (git-push(1), --force-with-lease
// without a value). A pattern names what is in the directory, and no other ref of
// the remote.

// few is up to how many refs are named on the command line.
const few = 100

// bulkRemote is what the session's configuration calls the remote whose refs it
// expects to be as refs/lease has them.
const bulkRemote = "to"

// refspecs are the part of git push's argv that says what is pushed where, under
// which leases.
func (s *session) refspecs(moves []*move) ([]string, error) {
	leased := slices.ContainsFunc(moves, func(m *move) bool { return m.lease != nil })
	if len(moves) > few && (leased || s.to.kind != "http") {
		return s.bulk(moves)
	}
	var leases, specs []string
	for _, m := range moves {
		lease, spec := m.args()
		if lease != "" {
			leases = append(leases, lease)
		}
		specs = append(specs, spec)
	}
	return append(append(leases, "--", s.to.url), specs...), nil
}

func (s *session) bulk(moves []*move) ([]string, error) {
	own := filepath.Join(s.dir, "git")
	// What git noted of an earlier push would come before what is written here.
	if err := os.RemoveAll(filepath.Join(own, "refs", "lease")); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	args := []string{"--force-with-lease", "--", bulkRemote}
	var names []string
	ids := map[string]string{}
	note := func(kind string, m *move, oid string) {
		name := "refs/" + kind + strings.TrimPrefix(m.d.Ref, "refs")
		names = append(names, name)
		ids[name] = oid
	}
	wanted := false
	for _, m := range moves {
		if m.lease != nil && *m.lease != "" {
			note("lease", m, *m.lease)
		}
		if m.deletes() {
			args = append(args, ":"+m.d.Ref)
			continue
		}
		note("want", m, m.d.Want)
		wanted = true
	}
	if wanted {
		args = append(args, "refs/want/*:refs/*")
	}
	slices.Sort(names)
	var text strings.Builder
	text.WriteString("# pack-refs with: peeled fully-peeled sorted \n")
	for _, name := range names {
		text.WriteString(ids[name] + " " + name + "\n")
	}
	if err := os.WriteFile(filepath.Join(own, "packed-refs"), []byte(text.String()), 0o600); err != nil {
		return nil, fmt.Errorf("mirror: %w", err)
	}
	return args, nil
}
