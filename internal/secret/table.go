package secret

// table is a hash table from a state and a byte (or keyFound) to a number, open
// and probed linearly. Go's map does the same in three times the time.
type table struct {
	slots []slot
	used  int
	finds []found
}

type slot struct {
	key   uint64 // 0: free
	value uint32
}

// keyFound is beside the bytes: what ends at the state.
const keyFound = 256

func keyOf(s uint32, c int) uint64 { return uint64(s)<<9 | uint64(c) + 1 }

func (t *table) start(key uint64) uint64 {
	return (key * 0x9e3779b97f4a7c15) >> 20 & uint64(len(t.slots)-1)
}

func (t *table) get(s uint32, c int) (uint32, bool) {
	if len(t.slots) == 0 {
		return 0, false
	}
	key := keyOf(s, c)
	for i := t.start(key); ; i = (i + 1) & uint64(len(t.slots)-1) {
		switch t.slots[i].key {
		case key:
			return t.slots[i].value, true
		case 0:
			return 0, false
		}
	}
}

func (t *table) put(s uint32, c int, value uint32) {
	if 2*(t.used+1) > len(t.slots) {
		old := t.slots
		t.slots = make([]slot, max(16, 2*len(old)))
		for _, e := range old {
			if e.key != 0 {
				t.place(e)
			}
		}
	}
	t.place(slot{keyOf(s, c), value})
	t.used++
}

func (t *table) place(e slot) {
	i := t.start(e.key)
	for t.slots[i].key != 0 {
		i = (i + 1) & uint64(len(t.slots)-1)
	}
	t.slots[i] = e
}
