package runlog

import (
	"math"
	"sync"
)

// Budget bounds what the logs of a run take together. Each log has a bound of its
// own; a pipeline decides how many there are.
type Budget struct {
	mu   sync.Mutex
	max  int64 // bytes on disk, times and all, as for one log
	left int64
}

// NewBudget is a budget of so many bytes.
func NewBudget(max int64) *Budget { return &Budget{max: max, left: max} }

// hold keeps other logs from the budget until spend, and is what is left of it. A
// log without a budget has no end of it.
func (b *Budget) hold() int64 {
	if b == nil {
		return math.MaxInt64
	}
	b.mu.Lock()
	return max(b.left, 0)
}

func (b *Budget) spend(n int64) {
	if b == nil {
		return
	}
	b.left -= n
	b.mu.Unlock()
}
