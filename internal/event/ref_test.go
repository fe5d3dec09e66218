package event

import (
	"testing"
	"unicode/utf8"
)

func TestARefIsTextAndComesBack(t *testing.T) {
	for ref, text := range map[string]string{
		"refs/heads/main":           "refs/heads/main",
		"refs/heads/größe":          "refs/heads/größe",
		"refs/heads/caf\xe9":        `refs/heads/caf\xe9`,
		"refs/heads/\xff\xfe/é\x80": `refs/heads/\xff\xfe/é\x80`,
		"refs/heads/\xed\xa0\x80":   `refs/heads/\xed\xa0\x80`, // a surrogate is no character of UTF-8
		"refs/heads/a\ufffdb":       "refs/heads/a\ufffdb",
		"refs/heads/x41":            "refs/heads/x41",
		"refs/tags/a$(b)'\"c%d":     "refs/tags/a$(b)'\"c%d",
	} {
		got := EscapeRef(ref)
		if got != text || !utf8.ValidString(got) {
			t.Errorf("EscapeRef(%q) = %q, want %q", ref, got, text)
		}
		if back := UnescapeRef(got); back != ref {
			t.Errorf("UnescapeRef(%q) = %q, want %q", got, back, ref)
		}
		if again := EscapeRef(got); again != got {
			t.Errorf("text %q is escaped again: %q", got, again)
		}
	}
	if got := UnescapeRef(`refs/heads/\x4`); got != `refs/heads/\x4` {
		t.Errorf("%q", got)
	}
}

func FuzzARefIsTextAndComesBack(f *testing.F) {
	f.Add("refs/heads/caf\xe9")
	f.Fuzz(func(t *testing.T, ref string) {
		if CheckRef(ref) != nil {
			return
		}
		text := EscapeRef(ref)
		if !utf8.ValidString(text) || UnescapeRef(text) != ref {
			t.Errorf("%q as %q comes back as %q", ref, text, UnescapeRef(text))
		}
	})
}

func TestWhichRefsCount(t *testing.T) {
	for ref, ok := range map[string]bool{
		"refs/heads/main": true, "refs/notes/x": true, "refs/heads/caf\xe9": true, "refs/heads/日本": true,
		"HEAD": false, "refs/": false, "refs/heads/a\nb": false, `refs/heads/a\xe9`: false, "": false,
	} {
		if err := CheckRef(ref); (err == nil) != ok {
			t.Errorf("CheckRef(%q): %v", ref, err)
		}
	}
}
