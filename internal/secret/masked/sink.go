package masked

import (
	"io"

	"quire/internal/secret/internal/right"
)

// Sink is a recorder that takes nothing but bytes which have been masked: only a
// secret.Redactor can write to one. It is for streams, as Text is for single
// texts.
type Sink struct{ to []io.Writer }

// NewSink makes a sink of what records, in the order given. All are written to,
// whatever errors there are.
func NewSink(to ...io.Writer) Sink { return Sink{to} }

// And is a sink that writes to both.
func (s Sink) And(more Sink) Sink {
	return Sink{append(s.to[:len(s.to):len(s.to)], more.to...)}
}

// Open is for package secret, which has the right to it.
func (s Sink) Open(_ right.Masking) io.Writer {
	if len(s.to) == 1 {
		return s.to[0]
	}
	return all(s.to)
}

type all []io.Writer

// Write returns the first error.
func (a all) Write(p []byte) (int, error) {
	var first error
	for _, w := range a {
		if _, err := w.Write(p); err != nil && first == nil {
			first = err
		}
	}
	return len(p), first
}
