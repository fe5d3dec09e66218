package masked

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCutNeverCutsAPlaceholderOrACharacter(t *testing.T) {
	s := "größe {{ github_token }} and {{ b }} {{ not closed"
	text := Text{s}
	for n := range len(s) + 2 {
		for name, got := range map[string]string{"Cut": text.Cut(n).String(), "Clip": text.Clip(n).String()} {
			if name == "Cut" && len(got) > max(n, len(ellipsis)) || name == "Clip" && utf8.RuneCountInString(got) > max(n, 1) {
				t.Errorf("%s(%d) = %q is too long", name, n, got)
			}
			if !utf8.ValidString(got) {
				t.Errorf("%s(%d) = %q", name, n, got)
			}
			body := strings.TrimSuffix(got, ellipsis)
			if !strings.HasPrefix(s, body) {
				t.Errorf("%s(%d) = %q is no beginning", name, n, got)
			}
			for _, p := range []string{"{{ github_token }}", "{{ b }}"} {
				at := strings.Index(s, p)
				if len(body) > at && len(body) < at+len(p) {
					t.Errorf("%s(%d) = %q ends in a placeholder", name, n, got)
				}
			}
		}
	}
	if got := text.Cut(len(s)); got != text {
		t.Errorf("a text that fits became %q", got)
	}
}

func TestStoredTextComesBack(t *testing.T) {
	type row struct {
		A Text `json:"a"`
		B Text `json:"b,omitzero"`
	}
	b, err := json.Marshal(row{A: Const("a \"<\n")})
	if err != nil || strings.Contains(string(b), `"b"`) {
		t.Fatalf("%s, %v", b, err)
	}
	var got row
	if err := json.Unmarshal(b, &got); err != nil || got.A != Const("a \"<\n") {
		t.Errorf("%q, %v", got.A, err)
	}
	for _, stored := range []any{"x", []byte("x")} {
		var text Text
		if err := text.Scan(stored); err != nil || text.String() != "x" {
			t.Errorf("%q, %v", text, err)
		}
	}
	var text Text
	if err := text.Scan(7); err == nil {
		t.Error("a number was taken for text")
	}
}

func TestFormat(t *testing.T) {
	got := Format("run %d  %s %.1fs", Int(12), Const("main"), Float(1.25))
	if got.String() != "run 12  main 1.2s" {
		t.Errorf("%q", got)
	}
}
