package event

import (
	"slices"
	"strings"
)

// Moves are the updates that lead from where refs stood to where they stand, by
// name. Of names that fail CheckRef, of quire's own refs, and of what unread says
// cannot be read now it knows nothing; and where anything cannot be read, nothing
// counts as deleted.
func Moves[U any](before, after map[string]string, unread map[string]U) []Update {
	var out []Update
	add := func(ref, from, to string) {
		if _, not := unread[ref]; not || CheckRef(ref) != nil || strings.HasPrefix(ref, OwnRefs) {
			return
		}
		size := max(len(from), len(to))
		out = append(out, Update{Old: orZeros(from, size), New: orZeros(to, size), Ref: ref})
	}
	for ref, to := range after {
		if before[ref] != to {
			add(ref, before[ref], to)
		}
	}
	for ref, from := range before {
		if _, there := after[ref]; !there && len(unread) == 0 {
			add(ref, from, "")
		}
	}
	slices.SortFunc(out, func(a, b Update) int { return strings.Compare(a.Ref, b.Ref) })
	return out
}

func orZeros(oid string, size int) string {
	if oid == "" {
		return strings.Repeat("0", size)
	}
	return oid
}
