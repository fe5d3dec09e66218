package runlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

type memory struct {
	bytes.Buffer
	fail error
}

func (m *memory) Write(p []byte) (int, error) {
	if m.fail != nil {
		return 0, m.fail
	}
	return m.Buffer.Write(p)
}
func (m *memory) Close() error { return nil }

func testLog(m *memory, max int64) *Log {
	l := newLog(m, max)
	l.now = func() time.Time { return time.Unix(1795449845, 123456789) }
	return l
}

func TestLogFormat(t *testing.T) {
	var m memory
	l := testLog(&m, 1<<20)
	out, errw := l.stream(Stdout), l.stream(Stderr)
	io.WriteString(out, "one\ntwo")
	io.WriteString(errw, "oops\n")
	io.WriteString(out, "\n\n")
	l.Note(said("a\nnote"))
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	const stamp = "2026-11-23T16:04:05.123456789Z "
	want := stamp + "stdout F one\n" + stamp + "stdout P two\n" + stamp + "stderr F oops\n" +
		stamp + "stdout F \n" + stamp + "stdout F \n" + stamp + "stderr F:quire a note\n"
	if got := m.String(); got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
}

// Whatever a command writes, in whatever portions, comes back byte for byte.
func TestOutputComesBackExactly(t *testing.T) {
	seed := time.Now().UnixNano()
	rnd := rand.New(rand.NewSource(seed))
	for range 100 {
		data := make([]byte, rnd.Intn(80<<10))
		switch rnd.Intn(3) {
		case 0:
			rnd.Read(data)
		case 1: // lines
			for i := range data {
				data[i] = "ab\n"[rnd.Intn(3)]
			}
		case 2: // one long line
		}
		var m memory
		l := testLog(&m, 1<<30)
		for rest := data; len(rest) > 0; {
			n := 1 + rnd.Intn(len(rest))
			l.stream(Stdout).Write(rest[:n])
			rest = rest[n:]
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		for line := range bytes.Lines(m.Bytes()) {
			if len(line) > maxLine {
				t.Fatalf("seed %d: line of %d bytes", seed, len(line))
			}
		}
		var got bytes.Buffer
		if err := WriteOutput(&got, chunked{&m.Buffer, rnd}); err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got.Bytes(), data) {
			t.Fatalf("seed %d: %d bytes became %d others", seed, len(data), got.Len())
		}
	}
}

// chunked reads in portions of random length.
type chunked struct {
	r   io.Reader
	rnd *rand.Rand
}

func (c chunked) Read(p []byte) (int, error) { return c.r.Read(p[:1+c.rnd.Intn(len(p))]) }

func TestAFullLogSaysHowMuchIsMissing(t *testing.T) {
	var m memory
	l := testLog(&m, 51)
	out := l.stream(Stdout)
	for range 1000 {
		io.WriteString(out, "123456789\n")
	}
	io.WriteString(out, "")
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	var notes []string
	d := Decoder{Entry: func(e Entry) error {
		got.Write(e.AppendOutput(nil))
		if e.Note {
			notes = append(notes, string(e.Text))
		}
		return nil
	}}
	d.Write(m.Bytes())
	if got.String() != "123456789\n" {
		t.Errorf("kept %q", got.String())
	}
	want := []string{"log is full at 51 bytes; what follows is counted and dropped", "9990 bytes were dropped"}
	if fmt.Sprint(notes) != fmt.Sprint(want) {
		t.Errorf("notes %q", notes)
	}
}

func TestACutInTheMiddleOfAWrite(t *testing.T) {
	var m memory
	l := testLog(&m, 3+41+1+41)
	io.WriteString(l.stream(Stderr), "abc\ndefgh\n")
	l.Close()
	var got bytes.Buffer
	WriteOutput(&got, &m.Buffer)
	if got.String() != "abc\nd" || l.Dropped() != 5 {
		t.Errorf("kept %q, dropped %d", got.String(), l.Dropped())
	}
}

func TestAFullDiskDoesNotStopTheCommand(t *testing.T) {
	full := errors.New("no space")
	m := memory{fail: full}
	l := testLog(&m, 100)
	if n, err := io.WriteString(l.stream(Stdout), "abc"); n != 3 || err != nil {
		t.Errorf("Write = %d, %v", n, err)
	}
	io.WriteString(l.stream(Stdout), "abc")
	if err := l.Close(); !errors.Is(err, full) {
		t.Errorf("Close: %v", err)
	}
}

func TestTornAndForeignLinesAreSkipped(t *testing.T) {
	var got []string
	d := Decoder{Entry: func(e Entry) error { got = append(got, string(e.Text)); return nil }}
	d.Write([]byte("2026-11-23T16:04:05Z stdout F good\n2026-11-23T16:0\n\nx y z w\n2026-11-23T16:04:05Z stdin F no\n" +
		"2026-11-23T16:04:05Z stdout Q no\n2026-11-23T16:04:05Z stdout P:later:tags some words\n2026-11-23T16:04:05Z stdout F torn"))
	if fmt.Sprint(got) != "[good some words]" || d.Skipped != 5 {
		t.Errorf("got %q, skipped %d", got, d.Skipped)
	}
}

func TestALineWithoutEndTakesNoMemory(t *testing.T) {
	d := Decoder{Entry: func(Entry) error { return nil }}
	block := make([]byte, 32<<10)
	for range 1000 {
		d.Write(block)
	}
	if cap(d.rest) > 1<<20 {
		t.Errorf("holds %d bytes", cap(d.rest))
	}
	d.Write([]byte("\n2026-11-23T16:04:05Z stdout F after\n"))
	if d.Skipped != 1 {
		t.Errorf("skipped %d", d.Skipped)
	}
}

func TestCreateLogMakesItsDirectory(t *testing.T) {
	d := Dir(t.TempDir())
	for range 2 { // a second attempt appends
		l, err := CreateLog(d.CommandLog("quire/mirror", 1), 100, nil)
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(l.stream(Stdout), "x\n")
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	data, err := os.ReadFile(filepath.Join(string(d), "jobs", "quire%2Fmirror", "sh-1.log"))
	if err != nil || strings.Count(string(data), " stdout F x\n") != 2 {
		t.Errorf("%q, %v", data, err)
	}
}

func FuzzParseEntry(f *testing.F) {
	f.Add([]byte("2026-11-23T16:04:05.1Z stdout F words"))
	f.Add([]byte("2026-11-23T16:04:05Z stderr P:quire:x "))
	f.Add([]byte("  "))
	f.Fuzz(func(t *testing.T, line []byte) {
		e, err := ParseEntry(line)
		if err == nil && !bytes.HasSuffix(line, e.Text) {
			t.Errorf("%q became %q", line, e.Text)
		}
	})
}

func BenchmarkLogWrite(b *testing.B) {
	l, err := CreateLog(filepath.Join(b.TempDir(), "l"), 1<<60, nil)
	if err != nil {
		b.Fatal(err)
	}
	data := bytes.Repeat([]byte("a line of some sixty characters, as compilers write them...\n"), 500)
	b.SetBytes(int64(len(data)))
	b.ReportAllocs()
	for b.Loop() {
		l.stream(Stdout).Write(data)
	}
	l.Close()
}

// What a log may take is what it takes on disk: lines without content have times
// too.
func TestALogIsBoundedOnDisk(t *testing.T) {
	for _, c := range []struct{ name, line string }{
		{"line ends", "\n"}, {"letters", "a"}, {"short lines", "ab\n"}, {"long lines", strings.Repeat("x", 3*maxPiece) + "\n"},
	} {
		const most = 64 << 10
		var m memory
		l := testLog(&m, most)
		out := l.stream(Stderr)
		written := 0
		for written < 4*most {
			n, _ := io.WriteString(out, c.line)
			written += n
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if size := m.Len(); size > most+256 || size < most-2*maxPiece {
			t.Errorf("%s: %d bytes on disk of %d", c.name, size, most)
		}
		var kept bytes.Buffer
		WriteOutput(&kept, &m.Buffer)
		if int64(kept.Len())+l.Dropped() != int64(written) {
			t.Errorf("%s: %d kept and %d dropped of %d", c.name, kept.Len(), l.Dropped(), written)
		}
	}
}

// The logs of a run have a bound together, however many write at once.
func TestTheLogsOfARunAreBoundedTogether(t *testing.T) {
	const most, own = 64 << 10, 16 << 10
	budget := NewBudget(most)
	var files [10]memory
	var writing sync.WaitGroup
	for i := range files {
		l := testLog(&files[i], own)
		l.budget = budget
		writing.Go(func() {
			for range 2000 {
				io.WriteString(l.stream(Stdout), "some text\n")
			}
			if err := l.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	writing.Wait()
	sum, marked := 0, 0
	for i := range files {
		sum += files[i].Len()
		if strings.Contains(files[i].String(), "the run's logs are full at 65536 bytes together ([log] max_run_bytes)") {
			marked++
		}
	}
	if sum > most+len(files)*512 || sum < most-len(files)*512 || marked == 0 {
		t.Errorf("%d bytes of %d, and %d logs say that they were cut", sum, most, marked)
	}
}
