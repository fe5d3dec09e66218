package gitrepo

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
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
	err := r.updateRefs(all.String())
	if err == nil {
		return r.packRuns()
	}
	if r.ended() != nil || errors.Is(err, errSilent) {
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

// looseRuns is how many of the runs' refs may be files of their own. Each process of
// a push reads all of those: 150 cost a push 30 % (git 2.39).
const looseRuns = 16

// packRuns has git pack the refs when many of the runs' are loose. It does not where
// a ref cannot be read: git would write a new file of packed refs over one that a
// power cut emptied, and the refs that were in it would be deleted ones.
func (r *Repo) packRuns() error {
	loose, err := os.ReadDir(filepath.Join(commonDir(r.gitDir), filepath.FromSlash(RunRefs)))
	if err != nil || len(loose) < looseRuns {
		return nil // none, or they are not kept as files
	}
	if _, err := r.Standing(); err != nil {
		return nil // it is told elsewhere, and this can wait
	}
	return r.changeRefs("", "pack-refs", "--all")
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
	return r.changeRefs(commands, "update-ref", "--no-deref", "--stdin")
}

func (r *Repo) changeRefs(input string, args ...string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if err := r.ended(); err != nil {
		return err
	}
	src, err := openPlumbing(r.ctx, r.gitDir)
	if err != nil {
		return err
	}
	_, err = src.(*gitPlumbing).run(input, func(out io.Reader) error {
		_, err := io.Copy(io.Discard, out)
		return err
	}, append([]string{"-c", "core.hooksPath=/dev/null"}, args...)...)
	if ended := r.ended(); err != nil && ended != nil {
		return ended
	}
	return err
}
