package secret

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestEveryFormAtEverySplit(t *testing.T) {
	secrets := hardSecrets()
	r, o := redactorOf(secrets), oracleOf(secrets)
	for _, s := range secrets {
		t.Run(s.name, func(t *testing.T) {
			for _, text := range shapes(s) {
				want := o.redact(text)
				if got := r.String(text); got != want {
					t.Fatalf("String(%q)\n got %q\nwant %q", text, got, want)
				}
				if strings.Contains(want, s.text) {
					t.Fatalf("%q still holds the secret", want)
				}
				for cut := 1; cut < len(text); cut += 1 + len(text)/100 {
					if got := pieces(r, text, cut); got != want && !cutAtBreak(text, cut) {
						t.Fatalf("%q cut at %d\n got %q\nwant %q", text, cut, got, want)
					}
				}
			}
		})
	}
}

// TestLargeKey cuts the forms of a whole 4 KB key, in two and in many pieces.
func TestLargeKey(t *testing.T) {
	rnd := rand.New(rand.NewPCG(25, 26))
	secrets := []pattern{{pem(rnd, 4000), "key"}, {"ababSECRET", "tok"}}
	r, o := redactorOf(secrets), oracleOf(secrets)
	f := formsOf(secrets[0].text)
	for _, form := range append(f.plain, f.joined...) {
		if len(form) < 3000 {
			continue
		}
		for _, text := range []string{"x" + form + "y", form[:len(form)-1] + "?", wrap(form, 76, "\n")} {
			want := o.redact(text)
			for range 12 {
				cut := 1 + rnd.IntN(len(text)-1)
				if got := pieces(r, text, cut); got != want && !cutAtBreak(text, cut) {
					t.Fatalf("%.80q… cut at %d\n got %.300q\nwant %.300q", text, cut, got, want)
				}
			}
			var cuts []int
			for at := 1 + rnd.IntN(50); at < len(text); at += 1 + rnd.IntN(50) {
				if !cutAtBreak(text, at) {
					cuts = append(cuts, at)
				}
			}
			if got := pieces(r, text, cuts...); got != want {
				d := common(got, want)
				t.Fatalf("%.80q… in %d pieces\n got …%.300q\nwant …%.300q", text, len(cuts), got[max(0, d-100):], want[max(0, d-100):])
			}
		}
	}
}

func TestManyPieces(t *testing.T) {
	secrets := hardSecrets()
	r, o := redactorOf(secrets), oracleOf(secrets)
	rnd := rand.New(rand.NewPCG(13, 14))
	for range 300 {
		text := mixed(rnd, secrets)
		want := o.redact(text)
		var cuts []int
		for at := 0; at < len(text); {
			at += 1 + rnd.IntN(1+rnd.IntN(40))
			if at < len(text) && !cutAtBreak(text, at) {
				cuts = append(cuts, at)
			}
		}
		if got := pieces(r, text, cuts...); got != want {
			t.Fatalf("%q cut at %v\n got %q\nwant %q", text, cuts, got, want)
		}
	}
}

func TestOtherBytesAreUntouched(t *testing.T) {
	r := redactorOf(hardSecrets())
	rnd := rand.New(rand.NewPCG(15, 16))
	for _, text := range []string{
		string(logText(200 << 10)),
		random(rnd, 200<<10, string(allBytes())),
		strings.Repeat(" ", 200<<10) + "\n",
		strings.Repeat("aaaaaaa ", 20<<10),
	} {
		if got := pieces(r, text, 1, 77, 4096, 70000); got != text {
			t.Errorf("changed %.40q…", text)
		}
	}
}

func TestLongestNameWins(t *testing.T) {
	for _, test := range []struct {
		secrets []pattern
		in, out string
	}{
		{[]pattern{{"ababSECRET", "b"}, {"ababSECRET", "a"}}, "ababSECRET", "{{ a }}"},
		{[]pattern{{"ababSECRET", "long"}, {"ababSECRETab", "x"}}, "ababSECRETab", "{{ long }}"},
		{[]pattern{{"ababSECRET", "x"}, {"SECRETabab", "long"}}, "ababSECRETabab", "{{ long }}"},
		{[]pattern{{"ababSECRET", "x"}, {"SECRETabab", "y"}}, "ababSECRETababSECRET", "{{ x }}"},
		{[]pattern{{"ababSECRET", "x"}, {"12345678", "y"}}, "ababSECRET12345678", "{{ x }}{{ y }}"},
	} {
		for i := range len(test.in) {
			if got := pieces(redactorOf(test.secrets), test.in, i); got != test.out {
				t.Errorf("%v: %q cut at %d gives %q, want %q", test.secrets, test.in, i, got, test.out)
			}
		}
	}
}

func TestShortAndBlankValuesAreNotLookedFor(t *testing.T) {
	r := redactorOf([]pattern{{"", "empty"}, {"a", "one"}, {"1234567", "seven"}, {"         ", "blank"}})
	if in := "a 1234567           1234567"; r.String(in) != in {
		t.Errorf("%q became %q", in, r.String(in))
	}
}

func TestBytesLeavesItsInputAlone(t *testing.T) {
	r := redactorOf([]pattern{{"ababSECRET", "tok"}})
	in := []byte("x ababSECRET y")
	if got := string(r.Bytes(in)); got != "x {{ tok }} y" || string(in) != "x ababSECRET y" {
		t.Errorf("got %q, input is %q", got, in)
	}
}

func FuzzRedact(f *testing.F) {
	f.Add([]byte("ababSECRET\x00SECRETab12"), []byte("xx ababSECRETab12 YWJhYlNFQ1JFVA=="), uint64(3))
	f.Add([]byte("aaaaaaaa\x00aaaaaaaab"), []byte("aaaaaaaaaaaaaaaaaaaaaaab"), uint64(1))
	f.Add([]byte("line one\nb\nline three"), []byte("line one\r\nb\r\nline three"), uint64(2))
	f.Fuzz(func(t *testing.T, values, text []byte, seed uint64) {
		if len(values) > 300 || len(text) > 2000 {
			return
		}
		var secrets []pattern
		for i, v := range strings.Split(string(values), "\x00") {
			if redactable(v) && len(secrets) < 5 {
				secrets = append(secrets, pattern{v, fmt.Sprintf("n%0*d", i+1, i)})
			}
		}
		r, o := redactorOf(secrets), oracleOf(secrets)
		rnd := rand.New(rand.NewPCG(seed, 1))
		// The fuzzer does not find forms by itself: give it some.
		all := string(text)
		if len(secrets) > 0 {
			all += mixed(rnd, secrets)
		}
		want := o.redact(all)
		if got := r.String(all); got != want {
			t.Fatalf("secrets %q, text %q\n got %q\nwant %q", secrets, all, got, want)
		}
		var cuts []int
		for at := 1 + rnd.IntN(7); at < len(all); at += 1 + rnd.IntN(1+rnd.IntN(64)) {
			if !cutAtBreak(all, at) {
				cuts = append(cuts, at)
			}
		}
		if got := pieces(r, all, cuts...); got != want {
			t.Fatalf("secrets %q, text %q cut at %v\n got %q\nwant %q", secrets, all, cuts, got, want)
		}
	})
}

// A text that is shown without its colours, or on one line, holds no secret then
// either.
func TestMaskedTextStaysMaskedWhenItIsMadePlain(t *testing.T) {
	r := NewRedactor()
	r.Add("tok", "ghp_1A2b3C4d5E6f7G8h")
	r.Add("words", "correct horse battery")
	for _, text := range []string{
		"a ghp_1A\x1b[31m2b3C4d5E\x1b[0m6f7G8h b", "correct\thorse\nbattery", "ghp_1A2b3C4d5E6f7G8h\x1b[1m", "\x1b[1mplain\x1b[0m", "two\nlines",
	} {
		got := r.Mask(text)
		if p := got.Plain(); r.Again(p) != p || strings.Contains(text, "1A") && strings.Contains(p.String(), "1A") {
			t.Errorf("%q became %q, and plain %q", text, got, p)
		}
	}
	if got := r.Mask("\x1b[1mplain\x1b[0m").String(); got != "\x1b[1mplain\x1b[0m" {
		t.Errorf("a text without a secret became %q", got)
	}
}

// Of a text that is too long the beginning is left, and of a secret that the cut
// goes through nothing.
func TestMaskOfALongTextLeavesNoHalfSecret(t *testing.T) {
	const token = "ghp_1A2b3C4d5E6f7G8h9I0jK1l2M3n4O5p6Q7r8"
	r := NewRedactor()
	r.Add("tok", token)
	for in := range len(token) + 2 {
		text := strings.Repeat("x", MaxText-in) + token + "yyy"
		got := r.Mask(text).String()
		if n := strings.Count(got, "x"); n != MaxText-in || len(got) > MaxText+32 || strings.Contains(got, "ghp_") {
			t.Errorf("cut %d bytes into the token: %d bytes, %q", in, len(got), got[n:])
		}
	}
}
