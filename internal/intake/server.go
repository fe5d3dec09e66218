package intake

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"sync"
	"time"

	"quire/internal/account"
	"quire/internal/event"
	"quire/internal/handover"
	"quire/internal/spool"
)

// Server takes pushes in over the runner's socket.
type Server struct {
	Check Checker
	Spool spool.Dir

	// Started sees to it that a worker is there, once a push is recorded.
	Started func() error

	// Busy reports whether what Started started is at work. A service manager ends
	// it together with the listener, which therefore stays; nil: it need not.
	Busy func() bool

	// Report writes the report of a push to w until it is complete, or ctx ends.
	Report func(ctx context.Context, pushID string, w io.Writer) error

	// Stall is how long a pusher may take no bytes of the report before the
	// connection is closed; 0: forever.
	Stall time.Duration

	Log *slog.Logger

	known known
}

// known are the accounts of users who pushed lately: to ask a directory service
// takes longer than all else that is done for a push.
type known struct {
	mu sync.Mutex
	of map[int]knownAccount
}

type knownAccount struct {
	account.Account
	until time.Time
}

const (
	knownFor = time.Minute
	maxKnown = 1000
)

func (k *known) account(uid int) account.Account {
	now := time.Now()
	k.mu.Lock()
	a, found := k.of[uid]
	k.mu.Unlock()
	if found && now.Before(a.until) {
		return a.Account
	}
	a.Account, _ = account.ByUID(uid) // one without an entry is a number
	a.until = now.Add(knownFor)
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.of == nil || len(k.of) >= maxKnown {
		k.of = map[int]knownAccount{}
	}
	k.of[uid] = a
	return a.Account
}

// Bounds on what strangers may hold of the listener.
const (
	requestLimit  = 30 * time.Second // a hook sends its push within that time
	maxOpen       = 256              // connections
	maxOpenOfUser = 32
)

// Serve accepts connections until ctx ends, or, with idle > 0, until there was
// none for so long and the server is not busy. It returns when every connection
// is closed.
func (s *Server) Serve(ctx context.Context, l *net.UnixListener, idle time.Duration) error {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	stop := context.AfterFunc(ctx, func() { l.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	open := &openConnections{of: map[int]int{}}
	for {
		if idle > 0 && ctx.Err() == nil {
			l.SetDeadline(time.Now().Add(idle))
		}
		c, err := l.AcceptUnix()
		var ne net.Error
		switch {
		case ctx.Err() != nil:
			if err == nil {
				c.Close()
			}
			return nil
		case errors.As(err, &ne) && ne.Timeout():
			// What a connection started a moment ago may not be seen to be busy yet.
			if open.noneFor(idle) && (s.Busy == nil || !s.Busy()) {
				return nil
			}
			continue
		case err != nil:
			return fmt.Errorf("accept a push: %w", err)
		}
		peer, err := peerOf(c)
		if err == nil && !open.enter(peer.UID) {
			err = errors.New("too many pushes are being handed over at once")
		}
		if err != nil {
			c.SetWriteDeadline(time.Now().Add(time.Second)) // the buffer of a new connection is empty
			handover.Write(c, handover.Refused, []byte(err.Error()))
			c.Close()
			continue
		}
		serving.Go(func() {
			defer open.leave(peer.UID)
			s.serve(ctx, c, peer)
		})
	}
}

// openConnections counts connections by user.
type openConnections struct {
	mu   sync.Mutex
	all  int
	of   map[int]int
	left time.Time // when one was closed last
}

func (o *openConnections) enter(uid int) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.all >= maxOpen || o.of[uid] >= maxOpenOfUser {
		return false
	}
	o.all++
	o.of[uid]++
	return true
}

func (o *openConnections) leave(uid int) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.all--
	o.left = time.Now()
	if o.of[uid]--; o.of[uid] == 0 {
		delete(o.of, uid)
	}
}

func (o *openConnections) noneFor(d time.Duration) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.all == 0 && time.Since(o.left) >= d
}

// serve is one connection.
func (s *Server) serve(ctx context.Context, c *net.UnixConn, peer handover.Peer) {
	defer c.Close()
	by := s.known.account(peer.UID)
	by.Groups = peer.Groups // the kernel's word, not the database's
	p, err := s.take(ctx, c, by)
	if err != nil {
		s.Log.Warn("a push that was handed over is not taken", "user", peer.UID, "error", err)
		s.refuse(c, err)
		return
	}
	if s.answer(c, handover.Accepted, []byte(p.ID)) != nil || p.ID == "" {
		return
	}
	if err := s.Started(); err != nil {
		s.answer(c, handover.Broken, []byte("the push is recorded and waits: "+err.Error()))
		return
	}
	if !p.Unwatched {
		s.report(ctx, c, p.ID)
	}
}

func peerOf(c *net.UnixConn) (p handover.Peer, err error) {
	raw, err := c.SyscallConn()
	if err != nil {
		return p, err
	}
	cerr := raw.Control(func(fd uintptr) { p, err = handover.PeerOf(int(fd)) })
	return p, errors.Join(cerr, err)
}

// take reads a push, checks it, and records it durably. Of a question whether one
// would be taken, the push that it returns is none, without an id.
func (s *Server) take(ctx context.Context, c *net.UnixConn, by account.Account) (event.Push, error) {
	if err := c.SetReadDeadline(time.Now().Add(requestLimit)); err != nil {
		return event.Push{}, err
	}
	kind, payload, err := handover.Read(c, handover.MaxPush)
	if err != nil {
		return event.Push{}, fmt.Errorf("read the push: %w", err)
	}
	if kind == handover.Question {
		return event.Push{}, s.Check.Admit(string(payload), by)
	}
	if kind != handover.Push {
		return event.Push{}, refuse("a frame of kind %q is no push", string(rune(kind)))
	}
	claimed, err := spool.Parse(payload)
	if err != nil {
		return event.Push{}, refuse("what was handed over is no push: %v", err)
	}
	return record(ctx, s.Check, s.Spool, claimed, by, false)
}

// record checks a push and puts it into the spool, under an id of its own: one
// that the pusher chose could be another push's. It is made of the pusher and
// the id that the hook gave, so that a push which comes twice, over the socket
// and, since the answer was lost, by the drop directory, is one push.
func record(ctx context.Context, check Checker, to spool.Dir, claimed event.Push, by account.Account, dropped bool) (event.Push, error) {
	p, err := check.Check(ctx, claimed, by)
	if err != nil {
		return p, err
	}
	p.At, p.Dropped = time.Now(), dropped
	p.ID = ownID(claimed.ID, by.UID, p.At)
	return p, to.Write(p)
}

// ownID is the id under which a push is recorded.
func ownID(claimed string, uid int, now time.Time) string {
	// Ids order pushes. One that says it is of another day would be out of order.
	stamp := claimed
	if event.CompareTimes(stamp, event.NewID(now.Add(-24*time.Hour))) < 0 || event.CompareTimes(stamp, event.NewID(now.Add(time.Hour))) > 0 {
		stamp = event.NewID(now)
	}
	return event.DerivedID(stamp, strconv.Itoa(uid)+" "+claimed)
}

// report sends the report until it ends or the pusher leaves.
func (s *Server) report(ctx context.Context, c *net.UnixConn, id string) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.SetReadDeadline(time.Time{})
	var watching sync.WaitGroup
	defer watching.Wait()
	defer c.CloseRead() // ends the goroutine
	watching.Go(func() {
		io.Copy(io.Discard, io.LimitReader(c, 1<<10)) // the hook sends nothing more: what comes is its end
		cancel()
	})
	err := s.Report(ctx, id, pieces{s, c})
	switch {
	case ctx.Err() != nil:
	case err != nil:
		s.answer(c, handover.Broken, []byte("the report cannot be read: "+err.Error()))
	default:
		s.answer(c, handover.Done, nil)
	}
}

// pieces is a writer that sends what it gets as pieces of the report.
type pieces struct {
	s *Server
	c *net.UnixConn
}

func (p pieces) Write(b []byte) (int, error) {
	const step = 32 << 10
	for sent := 0; sent < len(b); sent += step {
		if err := p.s.answer(p.c, handover.Piece, b[sent:min(len(b), sent+step)]); err != nil {
			return sent, err
		}
	}
	return len(b), nil
}

func (s *Server) refuse(c *net.UnixConn, err error) {
	s.answer(c, handover.Refused, []byte(err.Error()))
}

// answer sends one frame. A pusher who takes none for the stall limit is given up.
func (s *Server) answer(c *net.UnixConn, kind handover.Kind, payload []byte) error {
	if s.Stall > 0 {
		if err := c.SetWriteDeadline(time.Now().Add(s.Stall)); err != nil {
			return err
		}
	}
	return handover.Write(c, kind, payload)
}
