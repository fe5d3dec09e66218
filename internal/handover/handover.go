// Package handover carries a push from the hook of one user to the listener of
// another: the runner of the repository (docs/users.md). The hook connects to
// the runner's Unix socket and sends one push event; the listener answers
// whether it is recorded, and then sends the report of the push.
//
// The package is the conversation and nothing else: what the listener believes
// of a push is the business of internal/intake. The hook links it, so it needs
// only the standard library.
//
// Both directions are frames: a kind (one byte), a length (four bytes, big
// endian), and so many bytes.
//
//	hook → listener   'P'  the push, as a spool file has it
//	                  'Q'  would a push be taken? the payload is the repository's path
//	listener → hook   'A'  recorded; the payload is the push's id. Or: it would be
//	                  'N'  not recorded; the payload says why, for the pusher
//	                  'R'  a piece of the report
//	                  'E'  the report ends early; the payload says why
//	                  'D'  the report is complete
//
// The listener closes the connection after N, E and D, and the A of a question; the hook may close it at
// any time.
package handover

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
)

// Kind says what a frame holds.
type Kind byte

// The kinds of frames.
const (
	Push     Kind = 'P'
	Question Kind = 'Q'
	Accepted Kind = 'A'
	Refused  Kind = 'N'
	Piece    Kind = 'R'
	Broken   Kind = 'E'
	Done     Kind = 'D'
)

// MaxPush bounds a push event, in bytes: some 150,000 refs.
const MaxPush = 32 << 20

// maxAnswer bounds what a listener sends in one frame.
const maxAnswer = 1 << 20

// Write sends one frame.
func Write(w io.Writer, kind Kind, payload []byte) error {
	frame := make([]byte, 5, 5+len(payload))
	frame[0] = byte(kind)
	binary.BigEndian.PutUint32(frame[1:], uint32(len(payload)))
	_, err := w.Write(append(frame, payload...))
	return err
}

// ErrTooLong is the error of a frame that says it is longer than its reader
// takes.
var ErrTooLong = errors.New("the frame is too long")

// Read receives one frame of at most limit bytes. The length is looked at before
// anything of it is read. io.EOF means that the other end closed the connection
// between two frames.
func Read(r io.Reader, limit int) (Kind, []byte, error) {
	var head [5]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return 0, nil, err
	}
	n := binary.BigEndian.Uint32(head[1:])
	if int64(n) > int64(limit) {
		return 0, nil, fmt.Errorf("%w: %d bytes, of %d", ErrTooLong, n, limit)
	}
	payload, err := io.ReadAll(io.LimitReader(r, int64(n))) // grows with what comes, not with what was promised
	if err == nil && len(payload) < int(n) {
		err = io.ErrUnexpectedEOF
	}
	return Kind(head[0]), payload, err
}
