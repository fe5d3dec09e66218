package secret

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
)

func TestCutAtBreakLeaksAtMostThreeCharacters(t *testing.T) {
	secrets := []pattern{{"ababSECRET-token", "tok"}}
	r, o := redactorOf(secrets), oracleOf(secrets)
	encoded := base64.StdEncoding.EncodeToString([]byte("ababSECRET-token"))
	for k := 1; k < 12; k++ {
		text := encoded[:k] + "\n" + encoded[k:]
		if got, want := r.String(text), o.redact(text); got != want {
			t.Errorf("break after %d: got %q, want %q", k, got, want)
		}
		got := pieces(r, text, k+1)
		if want := "{{ tok }}"; k < breakDepth {
			if rest, ok := strings.CutPrefix(got, encoded[:k]+"\n"); !ok || !strings.HasPrefix(rest, want) {
				t.Errorf("break after %d: got %q", k, got)
			}
		} else if !strings.HasPrefix(got, want) {
			t.Errorf("break after %d: got %q", k, got)
		}
	}
}

// TestInterleavedStreams writes two streams of one command in turns: each must
// come out as if it were alone.
func TestInterleavedStreams(t *testing.T) {
	secrets := hardSecrets()
	r, o := redactorOf(secrets), oracleOf(secrets)
	rnd := rand.New(rand.NewPCG(17, 18))
	for range 100 {
		texts := [2]string{mixed(rnd, secrets), mixed(rnd, secrets)}
		var out [2]bytes.Buffer
		writers := [2]*Writer{r.Writer(&out[0]), r.Writer(&out[1])}
		rest := texts
		for rest[0] != "" || rest[1] != "" {
			i := rnd.IntN(2)
			n := min(1+rnd.IntN(9), len(rest[i]))
			done := len(texts[i]) - len(rest[i])
			for n < len(rest[i]) && cutAtBreak(texts[i], done+n) {
				n++
			}
			io.WriteString(writers[i], rest[i][:n])
			rest[i] = rest[i][n:]
		}
		for i, w := range writers {
			w.Close()
			if want := o.redact(texts[i]); out[i].String() != want {
				t.Fatalf("stream %d of %q\n got %q\nwant %q", i, texts, out[i].String(), want)
			}
		}
	}
}

// written is a stream's output so far.
type written struct {
	*Writer
	out bytes.Buffer
}

func newWritten(r *Redactor) *written {
	w := &written{}
	w.Writer = r.Writer(&w.out)
	return w
}

func TestHeldBack(t *testing.T) {
	secrets := []pattern{{"ababSECRET", "tok"}, {"first line is long\nx\nlast line is long", "lines"}}
	r, o := redactorOf(secrets), oracleOf(secrets)
	for _, test := range []struct {
		name, in, now string
	}{
		{"a prompt", "Continue? [Y/n] ", "Continue? [Y/n] "},
		{"a line", "Starting server on port 80\n", "Starting server on port 80\n"},
		{"a line that ends like a secret begins, encoded", "the YWJ\n", "the YWJ\n"},
		{"the start of a secret", "is abab", "is "},
		{"a start that cannot go on", "is ababS ", "is ababS "},
		{"the later of two starts", "ababab", "ab"},
		{"a whole secret", "is ababSECRET.", "is {{ tok }}."},
		{"a secret that ends as another begins", "is ababSECRET", "is "},
		{"a line of a secret", "first line is long", ""},
		{"white space after a line of a secret", "first line is long" + strings.Repeat(" ", 40), "{{ lines }}" + strings.Repeat(" ", 40)},
		{"white space after a part of a secret", "ababSEC" + strings.Repeat(" ", 40), "ababSEC" + strings.Repeat(" ", 40)},
	} {
		w := newWritten(r)
		io.WriteString(w, test.in)
		if got := w.out.String(); got != test.now {
			t.Errorf("%s: %q shows %q at once, want %q", test.name, test.in, got, test.now)
		}
		w.Close()
		if got, want := w.out.String(), o.redact(test.in); got != want {
			t.Errorf("%s: %q is %q at the end, want %q", test.name, test.in, got, want)
		}
	}
}

// TestFloodsHoldNothing writes what could make a redactor wait for ever, and
// looks at what it holds.
func TestFloodsHoldNothing(t *testing.T) {
	rnd := rand.New(rand.NewPCG(19, 20))
	key := pem(rnd, 4096)
	r := redactorOf([]pattern{{key, "key"}, {"ababSECRET", "tok"}, {strings.Repeat("a", 4096), "a"}})
	encoded := base64.StdEncoding.EncodeToString([]byte(key))
	longest := 0
	for _, f := range append(formsOf(key).plain, formsOf(key).joined...) {
		longest = max(longest, len(f))
	}
	for name, text := range map[string]string{
		"blanks":                           " ",
		"blanks after a part":              "ababSEC" + strings.Repeat(" ", 5000),
		"newlines":                         "\n",
		"newlines in base64":               "Y\n",
		"newlines after a part of base64":  encoded[:100] + strings.Repeat("\n", 5000),
		"indented newlines after a part":   encoded[:100] + strings.Repeat("\n  ", 5000),
		"broken base64 that never ends so": wrap(encoded[:len(encoded)-9], 1, "\n"),
		"one letter":                       "a",
		"nearly a key":                     key[:len(key)-40],
	} {
		w := newWritten(r)
		for range 1 << 20 / len(text) / 16 {
			io.WriteString(w, strings.Repeat(text, 16))
			if held := len(w.held); held > (1+maxGap)*longest || !strings.Contains(name, "broken") && held > 2*longest {
				t.Fatalf("%s: %d bytes held, and the longest form has %d", name, held, longest)
			}
			w.out.Reset()
		}
		if n := cap(w.held) + cap(w.Writer.out) + 32*(cap(w.scan.marks)+cap(w.scan.spare)); n > 4<<20 {
			t.Errorf("%s: %d bytes of buffers", name, n)
		}
	}
}

func TestRevealedLater(t *testing.T) {
	r := redactorOf([]pattern{{"ababSECRETxyz", "first"}})
	w := newWritten(r)
	io.WriteString(w, "is ababSECR") // held back for the first secret
	r.Add("later", "SECRET-token")
	io.WriteString(w, "ET-token and SECRET-token")
	w.Close()
	if got, want := w.out.String(), "is abab{{ later }} and {{ later }}"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}

	w = newWritten(r)
	io.WriteString(w, "ababSECRET12345678")
	r.Add("much_later", "12345678")
	io.WriteString(w, "12345678")
	w.Close()
	if got, want := w.out.String(), "ababSECRET12345678{{ much_later }}"; got != want {
		t.Errorf("got %q, want %q: what has been written is gone", got, want)
	}

	w = newWritten(r)
	io.WriteString(w, "ababSECRET")
	r.Add("held", "SECRET"+"abcdef")
	r.Add("all", "ababSECRET")
	if err := w.Flush(); err != nil || w.out.String() != "{{ all }}" {
		t.Errorf("flush gives %q, %v", w.out.String(), err)
	}
}

func TestFlushEndsAStream(t *testing.T) {
	w := newWritten(redactorOf([]pattern{{"ababSECRET", "tok"}}))
	io.WriteString(w, "abab")
	w.Flush()
	io.WriteString(w, "SECRET ababSECRET")
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if got, want := w.out.String(), "ababSECRET {{ tok }}"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if err := w.Close(); err != nil {
		t.Errorf("second Close: %v", err)
	}
	if _, err := io.WriteString(w, "x"); err == nil {
		t.Error("a closed writer takes more")
	}
}

type failing struct{ after int }

var errFull = errors.New("no space left on device")

func (f *failing) Write(p []byte) (int, error) {
	if f.after -= len(p); f.after < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriteErrorIsKept(t *testing.T) {
	r := redactorOf([]pattern{{"ababSECRET", "tok"}})
	w := r.Writer(&failing{after: 5})
	if _, err := io.WriteString(w, "hello"); err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if _, err := io.WriteString(w, "hello"); !errors.Is(err, errFull) {
			t.Errorf("Write after a full disk: %v", err)
		}
	}
	if err := w.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close after a full disk: %v", err)
	}
}

// TestConcurrentUse is for the race detector, and checks that a secret is
// redacted in everything written after Add has returned.
func TestConcurrentUse(t *testing.T) {
	r := NewRedactor()
	var wg sync.WaitGroup
	for i := range 4 {
		wg.Go(func() {
			name, value := fmt.Sprintf("name%d", i), fmt.Sprintf("value-%d-value", i)
			w := newWritten(r)
			io.WriteString(w, "before ")
			r.Add(name, value)
			for range 200 {
				io.WriteString(w, value+" ")
				if r.String(value) != "{{ "+name+" }}" {
					t.Errorf("%s is not redacted", value)
				}
			}
			w.Close()
			if want := "before " + strings.Repeat("{{ "+name+" }} ", 200); w.out.String() != want {
				t.Errorf("got %.100q", w.out.String())
			}
		})
	}
	wg.Wait()
}
