package secret

// matcher is everything revealed so far, compiled. It does not change.
type matcher struct {
	plain, joined index
}

// index is what finds one set of patterns.
type index struct {
	*automaton
	filter *filter
	fold   *[256]byte // what the automaton reads for each byte
}

// newMatcher compiles the forms of the secrets; nil if there is nothing to look for.
func newMatcher(secrets []pattern) *matcher {
	var plain, joined []pattern
	for _, s := range secrets {
		f := formsOf(s.text)
		for _, text := range f.plain {
			plain = append(plain, pattern{text, s.name})
		}
		for _, text := range f.joined {
			joined = append(joined, pattern{text, s.name})
		}
	}
	if len(plain) == 0 {
		return nil
	}
	plainHeads, joinedHeads := map[string]bool{}, map[string]bool{}
	for _, p := range plain {
		plainHeads[p.text[:MinLength]] = true
	}
	for i, p := range joined {
		joinedHeads[p.text[:MinLength]] = true
		joinedHeads[urlSafe(p.text[:MinLength])] = true
		joined[i].text = folded(p.text)
	}
	return &matcher{
		plain:  index{newAutomaton(plain), newFilter(plainHeads), &unchanged},
		joined: index{newAutomaton(joined), newFilter(joinedHeads), &oneAlphabet},
	}
}

// unchanged folds nothing.
var unchanged = func() (t [256]byte) {
	for c := range t {
		t[c] = byte(c)
	}
	return t
}()

// oneAlphabet makes both alphabets of base64 (RFC 4648 sections 4 and 5) one.
var oneAlphabet = func() [256]byte {
	t := unchanged
	t['-'], t['_'] = '+', '/'
	return t
}()

func folded(text string) string {
	b := []byte(text)
	for i := range b {
		b[i] = oneAlphabet[b[i]]
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
