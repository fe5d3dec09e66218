package checked

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestOneLine(t *testing.T) {
	for in, want := range map[string]string{
		"plain text":             "plain text",
		"tab\tnewline\nreturn\r": "tab newline return ",
		"\x1b[31mred\x1b[0m":     "red",
		"\x1b]0;title\x07x":      "\ufffd]0;title\ufffdx",
		"\x1b[2J\x1b[6n":         "",
		"\x1bP+q544e\x1b\\":      "\ufffdP+q544e\ufffd\\",
		"\u009b6n":               "\ufffd6n",
		"\x9b6n":                 "\ufffd6n",
		"main\u202egnp.exe":      "main\ufffdgnp.exe",
		"a\u200bb\ufeffc\u00add": "a\ufffdb\ufffdc\ufffdd",
		"flag\U000e0041":         "flag\ufffd",
		"line\u2028end":          "line\ufffdend",
		"größe 漢字 🙂":             "größe 漢字 🙂",
		"\xff\xfe":               "\ufffd\ufffd",
		"back\bspace\x7f":        "back\ufffdspace\ufffd",
	} {
		if got := OneLine(in); got != want {
			t.Errorf("OneLine(%q) = %q, want %q", in, got, want)
		}
	}
}

// What passes a check never holds what the destination would take for more than
// text.
func FuzzText(f *testing.F) {
	for _, s := range []string{"/c\x00--bind\x00/\x00/host", "a\n!b", "../x", "-v", "\u202eabc", "/proc/../c", "a//b/./c", strings.Repeat("a/", 600), "localhost", "[::1]:5000/x"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := OneLine(s)
		if !utf8.ValidString(line) || strings.ContainsFunc(line, unprintable) {
			t.Errorf("OneLine(%q) = %q", s, line)
		}
		if OneLine(line) != line {
			t.Errorf("OneLine twice: %q, %q", line, OneLine(line))
		}
		if p, err := NewCachePath(s); err == nil {
			clean := p.String()
			again, err := NewCachePath(clean)
			if err != nil || again != p {
				t.Errorf("%q made %q, which is refused: %v", s, clean, err)
			}
			if strings.ContainsAny(clean, "\x00\n") || clean == "/" || strings.HasPrefix(clean, "..") && (len(clean) == 2 || clean[2] == '/') ||
				strings.HasPrefix(clean, "/proc/") || clean == ".git" || strings.HasPrefix(clean, ".git/") {
				t.Errorf("%q passed as %q", s, clean)
			}
			if !p.Overlaps(p) {
				t.Errorf("%q does not overlap itself", p)
			}
		}
		if i, err := NewImage(s); err == nil && (strings.HasPrefix(i.String(), "-") || strings.ContainsAny(i.String(), "\x00\n ")) {
			t.Errorf("image %q passed", s)
		}
		if h, err := NewHost(s); err == nil && (strings.HasPrefix(h.String(), "-") || strings.ContainsAny(h.String(), "\x00\n /")) {
			t.Errorf("service %q passed", s)
		}
		if err := Variable(s); err == nil && (strings.IndexByte(s, 0) >= 0 || strings.HasPrefix(s, "=") || !strings.Contains(s, "=")) {
			t.Errorf("variable %q passed", s)
		}
		if FileName(s, 100) == nil && (strings.Contains(s, "/") || s == "" || s == "." || s == ".." || len(s) > 100) {
			t.Errorf("file name %q passed", s)
		}
	})
}
