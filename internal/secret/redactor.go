package secret

import (
	"bytes"
	"io"
	"slices"
	"sync"
	"sync/atomic"

	"quire/internal/secret/internal/right"
	"quire/internal/secret/masked"
)

// Redactor replaces the values it knows, in all their forms (see formsOf), by
// {{ name }}. One serves all that leaves a run. It may be used by several
// goroutines, and values may be added while its writers write: what they still
// hold back is looked at again.
//
// Finds that overlap become one, called by the longest of their names. Values
// shorter than MinLength are not looked for.
type Redactor struct {
	current atomic.Pointer[matcher] // nil: nothing to look for; stale: to be compiled

	mu      sync.Mutex
	secrets []pattern
}

// stale stands for a matcher that somebody has to compile. Compiling waits for
// the first use, so that secrets that are revealed one after the other are
// compiled once.
var stale = new(matcher)

// NewRedactor makes a Redactor that knows nothing yet.
func NewRedactor() *Redactor { return &Redactor{} }

// Add makes the value known as name, to everything written from now on. A value
// that is longer than a Vault gives is looked for piece by piece.
func (r *Redactor) Add(name, value string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for len(value) > MaxLength+MinLength {
		r.add(pattern{value[:MaxLength], name})
		value = value[MaxLength:]
	}
	r.add(pattern{value, name})
}

func (r *Redactor) add(p pattern) {
	if redactable(p.text) && !slices.Contains(r.secrets, p) {
		r.secrets = append(r.secrets, p)
		r.current.Store(stale)
	}
}

func (r *Redactor) matcher() *matcher {
	if m := r.current.Load(); m != stale {
		return m
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if m := r.current.Load(); m != stale {
		return m
	}
	m := newMatcher(r.secrets)
	r.current.Store(m)
	return m
}

// String redacts a text that is complete.
func (r *Redactor) String(text string) string {
	if r.matcher() == nil {
		return text
	}
	return string(r.Bytes([]byte(text)))
}

// Bytes redacts a text that is complete. It does not change text; without a
// secret in it, it is what is returned.
func (r *Redactor) Bytes(text []byte) []byte {
	m := r.matcher()
	if m == nil {
		return text
	}
	if !plainText(text) {
		return r.drawnBytes(text)
	}
	var s scanner
	s.use(m, 0)
	s.scan(text)
	if len(s.marks) == 0 {
		return text
	}
	var out []byte
	at := int64(0)
	for _, k := range s.marks {
		out = append(out, text[at:k.start]...)
		out = append(out, marker(k.name)...)
		at = k.end
	}
	return append(out, text[at:]...)
}

// drawnBytes is Bytes of a text with control sequences in it.
func (r *Redactor) drawnBytes(text []byte) []byte {
	var out bytes.Buffer
	w := r.Writer(&out)
	w.Write(text)
	w.Close() // into memory: neither fails
	if bytes.Equal(out.Bytes(), text) {
		return text
	}
	return out.Bytes()
}

func marker(name string) string { return "{{ " + name + " }}" }

// Writer redacts what is written to it on its way to w.
func (r *Redactor) Writer(w io.Writer) *Writer { return &Writer{redactor: r, to: w} }

// Into is a Writer into a recorder.
func (r *Redactor) Into(to masked.Sink) *Writer { return r.Writer(to.Open(right.Masking{})) }
