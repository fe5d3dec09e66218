package gitrepo

import (
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// RunRefs is where the refs stand that keep the commits of runs: a queued run
// would find its commit gone if its branch were deleted and the repository pruned
// meanwhile, and so would a retry. `quire install` hides them from clients
// (transfer.hideRefs), who can neither see nor change them.
const RunRefs = "refs/quire/runs/"

// KeepRuns makes a ref for each run, by number, that names its commit or tag.
// What one names already it goes on to name if its commit is given again.
func (r *Repo) KeepRuns(oids map[int64]string) error {
	commands := map[int64]string{}
	var all strings.Builder
	for number, oid := range oids {
		if err := checkOID(oid); err != nil {
			return fmt.Errorf("keep the commit of run %d: %w", number, err)
		}
		commands[number] = fmt.Sprintf("update %s%d %s\n", RunRefs, number, oid)
		all.WriteString(commands[number])
	}
	if err := r.updateRefs(all.String()); err == nil || r.ended() != nil || errors.Is(err, errSilent) {
		return err
	}
	// One object that is gone fails the whole transaction.
	var errs []error
	for number, command := range commands {
		if err := r.updateRefs(command); err != nil {
			errs = append(errs, fmt.Errorf("keep the commit of run %d: %w", number, err))
		}
	}
	return errors.Join(errs...)
}

// ForgetRuns removes the refs of those runs for which kept says no.
func (r *Repo) ForgetRuns(kept func(number int64) bool) error {
	var commands strings.Builder
	err := r.EachRef(RunRefs, func(ref Ref) error {
		// Nobody else makes refs here, so what has no number is of no run.
		number, err := strconv.ParseInt(strings.TrimPrefix(ref.Name, RunRefs), 10, 64)
		if (err != nil || !kept(number)) && commands.Len() < MaxPathBytes {
			fmt.Fprintf(&commands, "delete %s %s\n", ref.Name, ref.OID)
		}
		return nil
	})
	if err == nil && commands.Len() > 0 {
		err = r.updateRefs(commands.String())
	}
	if err != nil {
		return fmt.Errorf("forget the commits of runs: %w", err)
	}
	return nil
}

// updateRefs changes refs by git, whichever way they are kept, and none of the
// repository's hooks is told: what moves is nobody's.
func (r *Repo) updateRefs(commands string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ended(); err != nil {
		return err
	}
	src, err := openPlumbing(r.ctx, r.gitDir)
	if err != nil {
		return err
	}
	_, err = src.(*gitPlumbing).run(commands, func(out io.Reader) error {
		_, err := io.Copy(io.Discard, out)
		return err
	}, "-c", "core.hooksPath=/dev/null", "update-ref", "--no-deref", "--stdin")
	if ended := r.ended(); err != nil && ended != nil {
		return ended
	}
	return err
}
