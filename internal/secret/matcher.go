package secret

// matcher is everything revealed so far, compiled. It does not change.
type matcher struct {
	plain, encoded *automaton
	filter         *filter
}

// newMatcher compiles the forms of the secrets; nil if there is nothing to look for.
func newMatcher(secrets []pattern) *matcher {
	var plain, encoded []pattern
	for _, s := range secrets {
		f := formsOf(s.text)
		for _, text := range f.plain {
			plain = append(plain, pattern{text, s.name})
		}
		for _, text := range f.encoded {
			encoded = append(encoded, pattern{folded(text), s.name})
		}
	}
	if len(plain) == 0 {
		return nil
	}
	m := &matcher{plain: newAutomaton(plain), encoded: newAutomaton(encoded)}
	heads := map[string]bool{}
	for _, p := range plain {
		heads[p.text[:MinLength]] = true
	}
	for _, p := range encoded {
		for _, h := range brokenHeads(p.text) {
			heads[h] = true
		}
	}
	m.filter = newFilter(stride * len(heads))
	for h := range heads {
		m.filter.add(h)
	}
	return m
}

// brokenHeads lists what the first MinLength bytes of an encoded form may be in
// a stream: in either base64 alphabet, and with a line end anywhere in it.
func brokenHeads(text string) []string {
	var out []string
	for _, t := range []string{text, urlSafe(text)} {
		t = t[:MinLength]
		out = append(out, t)
		for k := 1; k < MinLength; k++ {
			out = append(out, (t[:k] + "\n" + t[k:])[:MinLength], (t[:k] + "\r\n" + t[k:])[:MinLength])
		}
		if t == text[:MinLength] && urlSafe(t) == t {
			break
		}
	}
	return out
}

// The bytes of encoded text, as the encoded automaton reads them.
const (
	notEncoded = 0 // ends any candidate
	lineSpace  = 1 // skipped, if it is a line end or follows one
)

// foldTable makes both alphabets of base64 (RFC 4648 sections 4 and 5) one.
var foldTable = func() (t [256]byte) {
	for c := range 256 {
		switch b := byte(c); {
		case b >= '0' && b <= '9' || b >= 'A' && b <= 'Z' || b >= 'a' && b <= 'z' || b == '+' || b == '/':
			t[c] = b
		case b == '-':
			t[c] = '+'
		case b == '_':
			t[c] = '/'
		case b == '\n' || b == '\r' || b == ' ' || b == '\t':
			t[c] = lineSpace
		}
	}
	return t
}()

func folded(text string) string {
	b := []byte(text)
	for i := range b {
		b[i] = foldTable[b[i]]
	}
	return string(b)
}

func urlSafe(text string) string {
	b := []byte(text)
	for i, c := range b {
		switch c {
		case '+':
			b[i] = '-'
		case '/':
			b[i] = '_'
		}
	}
	return string(b)
}
