package jobfile

import (
	"context"
	"errors"
	"io"
	"os"
)

// File is a plain file that is read under a context.
type File struct {
	ctx       context.Context
	f         *os.File
	size      int64
	buf       []byte // only a read under way uses it
	abandoned bool   // a read is under way that nobody waits for; it closes f
}

// Size is how many bytes the file held when it was opened.
func (f *File) Size() int64 { return f.size }

var errAbandoned = errors.New("the file was abandoned")

// Read reads like any io.Reader, and returns the cause of the context's end when
// that comes first. After that the file can only be closed.
func (f *File) Read(p []byte) (int, error) {
	if f.abandoned {
		return 0, errAbandoned
	}
	if f.ctx.Err() != nil {
		return 0, context.Cause(f.ctx)
	}
	if len(p) == 0 {
		return 0, nil
	}
	// Into a buffer of its own: p is the caller's again when we return.
	want := min(len(p), 256<<10)
	if len(f.buf) < want {
		f.buf = make([]byte, want)
	}
	type got struct {
		n   int
		err error
	}
	buf := f.buf[:want]
	g, err := Within(f.ctx, func() (got, error) {
		n, err := f.f.Read(buf)
		return got{n, err}, nil
	}, func(got) { f.f.Close() })
	if err != nil {
		f.abandoned = true
		return 0, err
	}
	if g.err != nil && !errors.Is(g.err, io.EOF) {
		g.err = reason(g.err)
	}
	return copy(p, buf[:g.n]), g.err
}

// Close closes the file, without waiting for a file system that does not
// answer: closing can take a request, too.
func (f *File) Close() error {
	if f.abandoned {
		return nil
	}
	f.abandoned = true
	done := make(chan error, 1)
	go func() { done <- f.f.Close() }()
	select {
	case err := <-done:
		return err
	case <-f.ctx.Done():
		return nil
	}
}
