package secret

import (
	"io"
	"math/rand/v2"
	"regexp"
	"strings"
	"testing"
)

func TestColoursInASecretHideNothing(t *testing.T) {
	const token = "ghp_1A2b3C4d5E6f7G8h"
	r := redactorOf([]pattern{{token, "tok"}})
	bold, underlined := "", ""
	for _, c := range token {
		bold += string(c) + "\b" + string(c)
		underlined += "_\b" + string(c)
	}
	for _, test := range []struct{ name, in, out string }{
		{"grep --color", "a ghp_\x1b[01;31m\x1b[K1A2b\x1b[m\x1b[K3C4d5E6f7G8h b", "a {{ tok }}\x1b[01;31m\x1b[K\x1b[m\x1b[K b"},
		{"a diff's highlight", "\x1b[32m+ghp_1A2b\x1b[7m3C4d\x1b[27m5E6f7G8h\x1b[m", "\x1b[32m+{{ tok }}\x1b[7m\x1b[27m\x1b[m"},
		{"every letter", "\x1b[38;2;1;22;255m" + strings.Join(strings.Split(token, ""), "\x1b[38;2;1;22;255m") + "\x1b[39m", "\x1b[38;2;1;22;255m{{ tok }}" + strings.Repeat("\x1b[38;2;1;22;255m", len(token)-1) + "\x1b[39m"},
		{"tput sgr0", "ghp_1A2b\x1b(B\x1b[m3C4d5E6f\x1b[m\x0f7G8h", "{{ tok }}\x1b(B\x1b[m\x1b[m\x0f"},
		{"bold by overstriking", "N\bNA\bAM\bME\bE " + bold + ".", "N\bNA\bAM\bME\bE {{ tok }}."},
		{"underlined by overstriking", "_\ba " + underlined + " b", "_\ba _\b{{ tok }} b"},
		{"a spinner", "|\b/\b-\b\\\b" + token, "|\b/\b-\b\\\b{{ tok }}"},
		{"a sequence that ends nowhere", "\x1b[31" + token, "\x1b[31{{ tok }}"},
		{"no secret", "\x1b[1mplain\x1b[0m\n", "\x1b[1mplain\x1b[0m\n"},
		{"a title", "\x1b]0;" + token + "\x07", "\x1b]0;{{ tok }}\x07"},
	} {
		if got := r.String(test.in); got != test.out {
			t.Errorf("%s: %q became %q", test.name, test.in, got)
		}
		for cut := 1; cut < len(test.in); cut++ {
			got := pieces(r, test.in, cut)
			if strings.Contains(test.name, "overstriking") { // where a piece ends at a backspace, it stays one
				if strings.Contains(got, "A2b") || strings.Contains(test.name, "bold") && got != test.out {
					t.Errorf("%s: %q cut at %d became %q", test.name, test.in, cut, got)
				}
				continue
			}
			if got != test.out {
				t.Errorf("%s: %q cut at %d became %q", test.name, test.in, cut, got)
			}
		}
	}
	digits := redactorOf([]pattern{{"12345678", "pin"}})
	if got := digits.String("\x1b[12345678m"); got != "\x1b[{{ pin }}m" {
		t.Errorf("a number in a sequence became %q", got)
	}
}

var anySequence = regexp.MustCompile("\x1b\\[[0-9;]*[mK]")

// Wherever colours stand, the text is masked as it is without them, and they stay.
func TestColoursAnywhere(t *testing.T) {
	secrets := hardSecrets()
	r := redactorOf(secrets)
	rnd := rand.New(rand.NewPCG(41, 42))
	colours := []string{"\x1b[31m", "\x1b[K", "\x1b[m", "\x1b[38;5;208m", "\x1b[1;4m"}
	for range 1500 {
		text := mixed(rnd, secrets)
		var b strings.Builder
		for at := 0; at < len(text); {
			n := min(len(text)-at, rnd.IntN(1+rnd.IntN(20)))
			b.WriteString(text[at : at+n])
			at += n
			if b.WriteString(colours[rnd.IntN(len(colours))]); n == 0 {
				b.WriteString(text[at : at+1])
				at++
			}
		}
		drawn, want := b.String(), r.String(text)
		got := r.String(drawn)
		if plain := anySequence.ReplaceAllString(got, ""); plain != want {
			t.Fatalf("%q\nbecame %q\nwant %q", drawn, plain, want)
		}
		if a, b := anySequence.FindAllString(drawn, -1), anySequence.FindAllString(got, -1); strings.Join(a, "") != strings.Join(b, "") {
			t.Fatalf("the sequences %q became %q", a, b)
		}
	}
}

// However much there is to draw with, nothing waits for it.
func TestAFloodOfColoursHoldsNothing(t *testing.T) {
	r := redactorOf([]pattern{{"ababSECRETxyz", "tok"}})
	w := newWritten(r)
	io.WriteString(w, "ababSEC")
	for range 1 << 15 {
		io.WriteString(w, "\x1b[31m")
		if n := len(w.drawn.left); n > maxRun {
			t.Fatalf("%d sequences are held", n)
		}
	}
	io.WriteString(w, "RETxyz")
	if got := w.out.String(); strings.Count(got, "\x1b[31m") != 1<<15 || !strings.HasPrefix(got, "ababSEC\x1b") {
		t.Errorf("%.100q", got)
	}
}
