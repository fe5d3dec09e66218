package secret

import (
	"bytes"
	"io"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
)

// oracle is what redaction means, with nothing clever in it: every occurrence
// of every form is found by looking everywhere, overlaps become one, the
// longest name wins.
type oracle struct{ plain, joined []pattern }

func oracleOf(secrets []pattern) oracle {
	var o oracle
	for _, s := range secrets {
		f := formsOf(s.text)
		for _, form := range f.plain {
			o.plain = append(o.plain, pattern{form, s.name})
		}
		for _, form := range f.joined {
			o.joined = append(o.joined, pattern{folded(form), s.name})
		}
	}
	return o
}

func (o oracle) redact(text string) string {
	var marks []mark
	for _, p := range o.plain {
		for i := 0; ; i++ {
			n := strings.Index(text[i:], p.text)
			if n < 0 {
				break
			}
			i += n
			marks = append(marks, mark{int64(i), int64(i + len(p.text)), p.name})
		}
	}
	rest, places := withoutBreaks(text)
	for _, p := range o.joined {
		for i := 0; ; i++ {
			n := strings.Index(rest[i:], p.text)
			if n < 0 {
				break
			}
			i += n
			marks = append(marks, mark{int64(places[i]), int64(places[i+len(p.text)-1] + 1), p.name})
		}
	}
	slices.SortFunc(marks, func(a, b mark) int { return int(a.start - b.start) })
	var out strings.Builder
	at := int64(0)
	for i := 0; i < len(marks); {
		m := marks[i]
		for i++; i < len(marks) && marks[i].start < m.end; i++ {
			m.end = max(m.end, marks[i].end)
			m.name = betterName(m.name, marks[i].name)
		}
		out.WriteString(text[at:m.start] + "{{ " + m.name + " }}")
		at = m.end
	}
	return out.String() + text[at:]
}

var lineBreak = regexp.MustCompile(`=?([\n\r][\n\r\t ]*)`)

// withoutBreaks is the folded text without its line breaks, and where its bytes stand.
func withoutBreaks(text string) (rest string, places []int) {
	var b strings.Builder
	keep := func(from, to int) {
		for i := from; i < to; i++ {
			b.WriteByte(oneAlphabet[text[i]])
			places = append(places, i)
		}
	}
	at := 0
	for _, m := range lineBreak.FindAllStringSubmatchIndex(text, -1) {
		keep(at, m[0])
		if m[3]-m[2] > maxGap {
			keep(m[2]+maxGap, m[2]+maxGap+1)
		}
		at = m[1]
	}
	keep(at, len(text))
	return b.String(), places
}

// hardSecrets is a set in which everything is awkward.
func hardSecrets() []pattern {
	rnd := rand.New(rand.NewPCG(11, 12))
	return []pattern{
		{"ababSECRET", "abab"},
		{"ababSECRETabab", "abab_longer"},
		{"SECRETababSECRET", "other"},
		{"aaaaaaaa", "a8"},
		{"aaaaaaaaaaaaaaab", "a15b"},
		{"correct horse battery staple", "phrase"},
		{`p@ss"w'o\r$d<&>!%/+=?` + "`;|", "special"},
		{"пароль-тайна-🔑-ключ", "unicode"},
		{"\xff\xfe\x00\x01binary\x80\x81\n\xf0\x9f", "binary"},
		{"{\n  \"type\": \"account\",\n  \"key\": \"abcdefghijkl\"\n}\n", "json"},
		{"1234\n5678\n9012\n", "codes"},
		{"  indented value  ", "indented"},
		{"line one is long\r\nx\r\nline three is long", "crlf"},
		{pem(rnd, 400), "pem"},
		{"++++////++++////", "plus"},
	}
}

func redactorOf(secrets []pattern) *Redactor {
	r := NewRedactor()
	for _, s := range secrets {
		r.Add(s.name, s.text)
	}
	return r
}

// pieces writes text cut at the given places, and returns what came out.
func pieces(r *Redactor, text string, cuts ...int) string {
	var b bytes.Buffer
	w := r.Writer(&b)
	at := 0
	for _, c := range append(cuts, len(text)) {
		io.WriteString(w, text[at:c])
		at = c
	}
	w.Close()
	return b.String()
}

// shapes are all the forms of a secret, in the company a form has in a log.
func shapes(s pattern) []string {
	f := formsOf(s.text)
	var out []string
	for _, form := range append(f.plain, f.joined...) {
		out = append(out, form, "before "+form+" after", form+form, form[:len(form)-1]+form, form[1:]+form[:7])
	}
	for _, form := range f.joined {
		out = append(out, urlSafe(form), "x\n"+wrap(form, 5, "\n"), wrap(form, 8, "\r\n"), wrap("xy"+form, 19, "\n    "))
	}
	return out
}

// wrap breaks text after every n bytes.
func wrap(text string, n int, end string) string {
	var b strings.Builder
	for len(text) > n {
		b.WriteString(text[:n] + end)
		text = text[n:]
	}
	return b.String() + text
}

// cutAtBreak reports the one case in which what was written may differ: a write
// that ends right after a line break which fewer than breakDepth characters of
// an encoded secret precede (see scanner.undecided).
func cutAtBreak(text string, cut int) bool {
	head := strings.TrimRight(text[:cut], " \t\r\n")
	return head != text[:cut]
}

// mixed is a text of forms, parts of forms and ordinary words.
func mixed(rnd *rand.Rand, secrets []pattern) string {
	var b strings.Builder
	for range 1 + rnd.IntN(12) {
		f := formsOf(secrets[rnd.IntN(len(secrets))].text)
		forms := append(f.plain, f.joined...)
		form := forms[rnd.IntN(len(forms))]
		switch rnd.IntN(5) {
		case 0:
			b.WriteString(form)
		case 1:
			b.WriteString(form[:rnd.IntN(len(form))])
		case 2:
			b.WriteString(form[rnd.IntN(len(form)):])
		case 3:
			b.WriteString("ok  \tquire/internal/secret\t0.3s\n")
		case 4:
			b.WriteString(strings.Repeat([]string{"a", " ", "\n", "ab", "="}[rnd.IntN(5)], rnd.IntN(100)))
		}
	}
	return b.String()
}
