package intake

import (
	"io"
	"iter"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"quire/internal/handover"

	"golang.org/x/sys/unix"
)

// turns are the files of a drop directory that one call of Take looks at, by
// their owners. Nothing else of the directory is kept in memory.
type turns struct {
	of   map[int][]string // by user id, in the order of the directory
	n    int
	over bool // there were more
}

// read goes on reading a directory, some limit names of it. whole says that its end was
// reached. A directory in it is none of a hook's: an empty one is removed, and
// one with something in it stays, since what is in there is its owner's.
func (t *turns) read(dir *os.File, limit int) (whole bool, stuck int, err error) {
	t.of = map[int][]string{}
	temporary := map[int]int{}
	now := time.Now()
	for seen := 0; seen < limit; {
		batch, err := dir.ReadDir(min(500, limit))
		for _, e := range batch {
			var st unix.Stat_t
			if unix.Fstatat(int(dir.Fd()), e.Name(), &st, unix.AT_SYMLINK_NOFOLLOW) != nil {
				continue // its owner has renamed it meanwhile
			}
			uid := int(st.Uid)
			switch {
			case st.Mode&unix.S_IFMT == unix.S_IFDIR:
				if unix.Unlinkat(int(dir.Fd()), e.Name(), unix.AT_REMOVEDIR) != nil {
					stuck++
				}
				continue
			case strings.HasPrefix(e.Name(), handover.DropTemporary) && young(&st, now):
				if temporary[uid]++; temporary[uid] <= maxTemporary {
					continue // somebody is writing it
				}
			}
			t.add(uid, e.Name())
		}
		seen += len(batch)
		switch {
		case err == io.EOF:
			return true, stuck, nil
		case err != nil:
			return false, stuck, err
		}
	}
	return false, stuck, nil
}

// add gives a file its place. When all places are taken, who has most makes room
// for who has fewer.
func (t *turns) add(uid int, name string) {
	if t.n >= maxEntries {
		t.over = true
		most := uid
		for other, names := range t.of {
			if len(names) > len(t.of[most])+1 {
				most = other
			}
		}
		if most == uid {
			return
		}
		t.of[most] = t.of[most][:len(t.of[most])-1]
		t.n--
	}
	t.of[uid] = append(t.of[uid], name)
	t.n++
}

// all yields the files, one of each owner and then the next of each. first says
// that it is the owner's first.
func (t *turns) all() iter.Seq2[string, bool] {
	return func(yield func(string, bool) bool) {
		uids := slices.Sorted(maps.Keys(t.of))
		for i, left := 0, t.n; left > 0; i++ {
			for _, uid := range uids {
				if i >= len(t.of[uid]) {
					continue
				}
				left--
				if !yield(t.of[uid][i], i == 0) {
					return
				}
			}
		}
	}
}

// young reports whether a file may still be written by a living hook. The time is
// that of the inode's last change, which its owner cannot set.
func young(st *unix.Stat_t, now time.Time) bool {
	changed := time.Unix(st.Ctim.Unix())
	return st.Mode&unix.S_IFMT == unix.S_IFREG && now.Sub(changed).Abs() < handover.DropPatience*time.Second
}
