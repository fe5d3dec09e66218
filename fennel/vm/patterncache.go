package vm

import "sync"

// Programs use few patterns many times: compiled ones are kept, for all states
// together, since a pattern is never written after it is compiled. When the
// table is full it is dropped whole; a program that makes up patterns by the
// thousand pays for compiling them, as it would without.
var patternCache struct {
	sync.RWMutex
	table map[string]*pattern
}

const (
	patternCacheSize  = 512
	patternCacheBytes = 256 // longer patterns are not kept
)

func patternFor(src string) *pattern {
	patternCache.RLock()
	p := patternCache.table[src]
	patternCache.RUnlock()
	if p != nil {
		return p
	}
	p = compilePattern(src)
	if len(src) > patternCacheBytes {
		return p
	}
	patternCache.Lock()
	if patternCache.table == nil || len(patternCache.table) >= patternCacheSize {
		patternCache.table = make(map[string]*pattern, patternCacheSize)
	}
	patternCache.table[src] = p
	patternCache.Unlock()
	return p
}
