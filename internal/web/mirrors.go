package web

import (
	"context"
	"net/http"
	"time"

	"quire/mirror"
)

// Mirrors tells what is recorded of the mirrors of a repository, or with "" of
// all (mirror.Engine.Status, with the configuration's orders).
type Mirrors func(ctx context.Context, gitDir string) ([]mirror.TargetStatus, error)

type mirrorsPage struct {
	Mirrors   []mirrorView
	Repo      string
	Drifted   bool // only those that are not in step are shown
	All, Away int  // how many there are, and how many are not in step
	Live      bool
}

type mirrorView struct {
	mirror.TargetStatus
	Behind []mirror.RefStatus // refs that are not in step
	State  string             // in step, new, not in step, not known, retired
	Now    time.Time
}

// fewBehind is how many refs of one mirror a page lists.
const fewBehind = 100

// More is how many refs that are not in step are not listed.
func (v mirrorView) More() int { return max(len(v.Behind)-fewBehind, 0) }

// Listed are the refs that are.
func (v mirrorView) Listed() []mirror.RefStatus { return v.Behind[:min(len(v.Behind), fewBehind)] }

// EndsSoon reports whether the credential ends within two weeks, or has ended.
func (v mirrorView) EndsSoon() bool { return v.TargetStatus.EndsSoon(v.Now) }

func (s *site) mirrorsPage(w http.ResponseWriter, r *http.Request) error {
	q := r.URL.Query()
	p := mirrorsPage{Repo: q.Get("repo"), Drifted: q.Get("state") == "drift"}
	list, err := s.mirrors(r.Context(), p.Repo)
	if err != nil {
		return err
	}
	p.All = len(list)
	for _, t := range list {
		v := mirrorView{TargetStatus: t, State: "in step", Now: s.now()}
		for _, ref := range t.Refs {
			if ref.Drift {
				v.Behind = append(v.Behind, ref)
			}
			p.Live = p.Live || ref.State.Open() && t.Retired == ""
		}
		switch {
		case t.Retired != "":
			v.State, v.Behind = "retired", nil
		case t.New:
			v.State = "new"
		case len(v.Behind) > 0:
			v.State = "not in step"
		case t.LookClass != "":
			v.State = "not known"
		}
		if t.Drift() {
			p.Away++
		} else if p.Drifted {
			continue
		}
		p.Mirrors = append(p.Mirrors, v)
	}
	return s.show(w, "mirrors", p)
}
