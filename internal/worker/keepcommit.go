package worker

import (
	"context"
	"errors"

	"quire/internal/event"
	"quire/internal/gitrepo"
	"quire/internal/store"
)

// keepCommits makes refs that keep the commits of runs in their repository until
// the runs are past keeping: meanwhile their branches may be deleted, and what
// nothing names is pruned. It may be called again. A repository that takes no refs
// (its disk is full, say) has its runs all the same.
func keepCommits(ctx context.Context, gitDir string, runs ...event.Run) error {
	if len(runs) == 0 || gitrepo.Gone(gitDir) {
		return nil
	}
	repo, err := gitrepo.Open(ctx, gitDir)
	if err != nil {
		return err
	}
	defer repo.Close()
	oids := map[int64]string{}
	for _, r := range runs {
		oids[r.Number] = r.New
	}
	return repo.KeepRuns(oids)
}

// forgetCommits removes the refs of the repository's runs that are in the store no
// more, whoever removed them.
func forgetCommits(ctx context.Context, st *store.Store, gitDir string) error {
	if gitrepo.Gone(gitDir) {
		return nil
	}
	repo, err := gitrepo.Open(ctx, gitDir)
	if err != nil {
		return err
	}
	defer repo.Close()
	// One look at the store for all: their number is what retention keeps.
	var known map[int64]bool
	var unknown error
	err = repo.ForgetRuns(func(number int64) bool {
		if known == nil && unknown == nil {
			known, unknown = st.Numbers(ctx, gitDir)
		}
		return known[number] || unknown != nil
	})
	return errors.Join(unknown, err)
}
