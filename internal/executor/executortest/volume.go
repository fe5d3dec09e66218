package executortest

import (
	"os"
	"runtime"
	"strconv"
	"testing"

	"quire/internal/executor"
)

// counter counts bytes and checks that they are all zero.
type counter struct {
	n     int64
	other bool
}

func (c *counter) Write(b []byte) (int, error) {
	c.n += int64(len(b))
	if b[0] != 0 || b[len(b)-1] != 0 {
		c.other = true
	}
	return len(b), nil
}

func (s *suite) volume(t *testing.T) {
	size := int64(1 << 30)
	if testing.Short() {
		size = 64 << 20
	}
	if v := os.Getenv("QUIRE_TEST_VOLUME"); v != "" {
		size, _ = strconv.ParseInt(v, 10, 64)
	}
	p := s.open(t)
	p.sh(t, "true")
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	var out, errs counter
	exit, err := p.Exec(t.Context(), executor.Command{
		Argv: []string{"sh", "-c", "head -c " + strconv.FormatInt(size, 10) + " /dev/zero; head -c 1000000 /dev/zero >&2"},
		Env:  []string{"PATH=" + s.traits.Path},
	}, &out, &errs)
	runtime.ReadMemStats(&after)
	if err != nil || exit.Code != 0 || out.n != size || out.other || errs.n != 1000000 {
		t.Errorf("%d and %d bytes came, want %d and 1000000: %+v, %v", out.n, errs.n, size, exit, err)
	}
	if grown := after.TotalAlloc - before.TotalAlloc; grown > uint64(size)/16 {
		t.Errorf("%d bytes were allocated for %d bytes of output", grown, size)
	}
}
