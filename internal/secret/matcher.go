package secret

// matcher is everything revealed so far, compiled. It does not change.
type matcher struct {
	plain, encoded index
}

// index is what finds one set of patterns.
type index struct {
	*automaton
	filter *filter
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
			encoded = append(encoded, pattern{text, s.name})
		}
	}
	if len(plain) == 0 {
		return nil
	}
	plainHeads, encodedHeads := map[string]bool{}, map[string]bool{}
	for _, p := range plain {
		plainHeads[p.text[:MinLength]] = true
	}
	for i, p := range encoded {
		for _, h := range brokenHeads(p.text[:MinLength]) {
			encodedHeads[h] = true
		}
		encoded[i].text = folded(p.text)
	}
	return &matcher{
		plain:   index{newAutomaton(plain), newFilter(plainHeads)},
		encoded: index{newAutomaton(encoded), newFilter(encodedHeads)},
	}
}

// brokenHeads lists what the head of an encoded form may be in a stream: in
// either base64 alphabet, and with a line end anywhere in it.
func brokenHeads(head string) []string {
	var out []string
	for _, h := range []string{head, urlSafe(head)} {
		out = append(out, h)
		for k := 1; k < MinLength; k++ {
			out = append(out, (h[:k] + "\n" + h[k:])[:MinLength], (h[:k] + "\r\n" + h[k:])[:MinLength])
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
		default:
			t[c] = notEncoded
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
