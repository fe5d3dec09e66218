package config

import "path"

// globs reports malformed patterns. The rules of matching are event.MatchRef
// and event.MatchRepo; this package imports nothing of ours, so it checks only
// what both refuse: an empty pattern, or an unclosed bracket.
func (f *faults) globs(key string, patterns []string) {
	for _, p := range patterns {
		if _, err := path.Match(p, ""); err != nil || p == "" {
			f.add(key, "%s: malformed pattern %q", stripIndex(key), p)
		}
	}
}
