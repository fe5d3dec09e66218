package secret

import (
	"encoding/base64"
	"encoding/hex"
	"math/rand/v2"
	"net/url"
	"slices"
	"strings"
	"testing"
)

// TestForms says by hand what some forms are.
func TestForms(t *testing.T) {
	for _, test := range []struct {
		value string
		plain []string
	}{
		{`a"b'c\d/e f`, []string{
			`a%22b%27c%5Cd%2Fe+f`, `a%22b%27c%5Cd%2Fe%20f`, `a%22b%27c%5cd%2fe%20f`, `a%22b%27c%5Cd/e%20f`, `a%22b'c%5Cd%2Fe%20f`, // URL
			`a\"b'c\\d/e f`, `a\"b'c\\d\/e f`, // JSON
			`a"b'\''c\d/e f`, `a"b'"'"'c\d/e f`, `a\"b'c\\d/e f`, `a"b\'c\\d/e f`, `a\"b\'c\\d/e\ f`, // shell
			`a&#34;b&#39;c\d/e f`, `a&quot;b&apos;c\d/e f`, `a&quot;b'c\d/e f`, `a&quot;b&#x27;c\d/e f`, // XML
			`a""b'c\d/e f`, `a"b''c\d/e f`, // SQL
		}},
		{"käse-brot", []string{`k%C3%A4se-brot`, `k%c3%a4se-brot`, `k\u00e4se-brot`, `k\303\244se-brot`}},
		{"key-🔑-key", []string{`key-\ud83d\udd11-key`, `key-\U0001f511-key`, `key-%F0%9F%94%91-key`}},
		{"not-\xff-utf8", []string{`not-\xff-utf8`, `not-\377-utf8`, `not-%FF-utf8`, "not-\xff-utf8"}},
		{"<a&b>=1234", []string{`\u003ca\u0026b\u003e=1234`, `&lt;a&amp;b&gt;=1234`, `%3Ca%26b%3E%3D1234`, `%3ca%26b%3e%3d1234`}},
		{"first line\nx\nlast line\n", []string{
			"first line\nx\nlast line\n", "first line\nx\nlast line", "first line", "last line", "first line\r\nx\r\nlast line", "first line x last line",
			"first line\n    x\n    last line", "first line\r\n\tx\r\n\tlast line", "first linexlast line", `first line\nx\nlast line\n`,
			"first%20line%0Ax%0Alast%20line%0A", "first line&#xA;x&#xA;last line&#xA;",
		}},
	} {
		got := formsOf(test.value).plain
		for _, want := range test.plain {
			if !slices.Contains(got, want) {
				t.Errorf("%q: no form %q", test.value, want)
			}
		}
	}
}

// TestShortLinesAreNotForms: a brace by itself is nobody's secret.
func TestShortLinesAreNotForms(t *testing.T) {
	f := formsOf("{\n  \"a\": 1,\n  \"private\": \"abcdefgh\"\n}\n")
	for _, form := range append(f.plain, f.joined...) {
		if len(form) < MinLength {
			t.Errorf("form %q", form)
		}
	}
}

// TestEncodedInCompany encodes a value with every number of bytes before and
// after it, and looks for what is left of it.
func TestEncodedInCompany(t *testing.T) {
	rnd := rand.New(rand.NewPCG(23, 24))
	for n := MinLength; n < 40; n++ {
		value := random(rnd, n, string(allBytes()[1:]))
		if !redactable(value) {
			continue
		}
		r := redactorOf([]pattern{{value, "s"}})
		for before := range 7 {
			for after := range 5 {
				text := random(rnd, before, alnum) + value + random(rnd, after, alnum)
				for name, encoded := range map[string]string{
					"base64":       base64.StdEncoding.EncodeToString([]byte(text)),
					"base64 raw":   base64.RawStdEncoding.EncodeToString([]byte(text)),
					"base64url":    base64.URLEncoding.EncodeToString([]byte(text)),
					"hex":          hex.EncodeToString([]byte(text)),
					"hex in upper": strings.ToUpper(hex.EncodeToString([]byte(text))),
				} {
					rest := strings.Replace(r.String(encoded), "{{ s }}", "", 1)
					room := (before + after) * 2
					if strings.HasPrefix(name, "base64") {
						// What the neighbours need, a shared character on each
						// side, and padding.
						room = (before+2)/3*4 + (after+2)/3*4 + 2 + 2
					}
					if rest == encoded || len(rest) > room {
						t.Fatalf("%s of %q in %q leaves %q", name, value, text, rest)
					}
				}
			}
		}
	}
}

func TestPercentIsWhatURLTakes(t *testing.T) {
	all := string(allBytes())
	for _, e := range bothCases(percent(all, "-_.~"), percent(all, "-_.!~*'()")) {
		if got, err := url.PathUnescape(e); err != nil || got != all {
			t.Errorf("%s is %q, %v", e, got, err)
		}
	}
}
