package procs

import "time"

// backoff spaces out looks at something the kernel gives no notice of: the
// first at once, then 1 ms, doubling to 50 ms, for half a minute in all. A
// process that a SIGKILL does not end for that long hangs in the kernel (a
// dead network file system, mostly), and waiting more would not help.
type backoff struct {
	next  time.Duration
	total time.Duration
}

const patience = 30 * time.Second

// more waits and says true, or says false when patience has run out.
func (b *backoff) more() bool {
	if b.total >= patience {
		return false
	}
	switch {
	case b.next == 0:
		b.next = time.Millisecond
	case b.next < 50*time.Millisecond:
		b.next *= 2
	}
	time.Sleep(b.next)
	b.total += b.next
	return true
}
