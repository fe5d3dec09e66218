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

func TestOutput(t *testing.T) {
	for in, want := range map[string]string{
		"plain\n\ttext\r\n":                 "plain\n\ttext\r\n",
		"10%\r20%\n":                        "10%\r20%\n",
		"\x1b[31mred\x1b[0m\n":              "\x1b[31mred\x1b[0m\n",
		"\x1b[1;38;5;8mgrey\x1b[m":          "\x1b[1;38;5;8mgrey\x1b[m",
		"\x1b[38;2;8;8;8mrgb\n":             "\x1b[38;2;8;8;8mrgb\n\x1b[0m",
		"\x1b[8mhidden\n":                   "^[[8mhidden\n",
		"\x1b]0;title\x07\n":                "^[]0;title^G\n",
		"\x1b]52;c;cm0gLXJm\x1b\\":          "^[]52;c;cm0gLXJm^[\\",
		"\x1b[6n\x1b[c\x1b[2J\x1b[?1049h":   "^[[6n^[[c^[[2J^[[?1049h",
		"\x1bP+q544e\x1b\\":                 "^[P+q544e^[\\",
		"\x1bc\x1b7\x0e\x08\x7f":            "^[c^[7^N^H^?",
		"\u009b6n\u0090x\u009c":             "<U+009B>6n<U+0090>x<U+009C>",
		"\x9b6n":                            "\ufffd6n",
		"a\u202eb\u2066c\ufeff":             "a<U+202E>b<U+2066>c<U+FEFF>",
		"größe 漢字 🙂\n":                      "größe 漢字 🙂\n",
		"\x1b[" + strings.Repeat("1;", 100): "^[[" + strings.Repeat("1;", 100),
		"cut \x1b[3":                        "cut ^[[3",
		"cut \xe6\xbc":                      "cut \ufffd\ufffd",
	} {
		var whole Output
		if got := string(whole.End(whole.Append(nil, []byte(in)))); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
		var bytewise Output // however it comes
		var got []byte
		for i := range len(in) {
			got = bytewise.Append(got, []byte{in[i]})
		}
		if got = bytewise.End(got); string(got) != want {
			t.Errorf("%q byte by byte is shown as %q, want %q", in, got, want)
		}
	}
}

// No terminal finds in it anything to obey but colours.
func FuzzOutput(f *testing.F) {
	f.Add([]byte("\x1b]0;x\x07\x1b[31m\u202e\x9b6n"), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		cut = max(0, min(cut, len(in)))
		var o Output
		out := o.End(o.Append(o.Append(nil, in[:cut]), in[cut:]))
		for rest := out; len(rest) > 0; {
			if n, _ := colourSequence(rest); n > 0 {
				rest = rest[n:]
				continue
			}
			c, n := utf8.DecodeRune(rest)
			if unprintable(c) && c != '\n' && c != '\t' && c != '\r' || c == utf8.RuneError && n == 1 {
				t.Fatalf("%q is shown as %q", in, out)
			}
			rest = rest[n:]
		}
	})
}
