package config

import (
	"fmt"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/BurntSushi/toml"
)

// Error is everything that is wrong with a configuration file.
type Error struct {
	Path   string
	Faults []Fault
}

// Fault is one thing wrong. Line is 0 where no line can be named.
type Fault struct {
	Line    int
	Text    string
	Excerpt string // the line itself; "" if it could hold a secret
}

func (e *Error) Error() string {
	var b strings.Builder
	for i, f := range e.Faults {
		if i > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(e.Path)
		if f.Line > 0 {
			fmt.Fprintf(&b, ":%d", f.Line)
		}
		b.WriteString(": " + f.Text)
		if f.Excerpt != "" {
			fmt.Fprintf(&b, "\n%5d | %s", f.Line, f.Excerpt)
		}
	}
	return b.String()
}

type faults struct {
	text     string
	list     []Fault
	misreads []string // keys that have the wrong type, and so no value to judge
}

// misread records that a key has a value of the wrong type.
func (f *faults) misread(key, why string) {
	f.add(key, "%s: %s", stripIndex(key), why)
	f.misreads = append(f.misreads, key)
}

// follows reports whether a fault of key may only be the consequence of one that
// is told: of the same key, of one in it, or of the table around it.
func (f *faults) follows(key string) bool {
	return slices.ContainsFunc(f.misreads, func(m string) bool {
		return key == m || strings.HasPrefix(key, m+".") || strings.HasPrefix(m, key+".")
	})
}

// add records a fault at the line that sets key (dotted; table arrays by
// "mirror#2.url" for the second).
func (f *faults) add(key, format string, args ...any) {
	if f.follows(key) {
		return
	}
	f.list = append(f.list, Fault{Line: lineOfKey(f.text, key), Text: fmt.Sprintf(format, args...)})
}

func (f *faults) unknown(key toml.Key) {
	// A table that is unknown is reported once, not for each of its keys.
	name := key.String()
	for _, seen := range f.list {
		if p, ok := strings.CutPrefix(seen.Text, "unknown key "); ok {
			p, _, _ = strings.Cut(p, ";")
			if strings.HasPrefix(name, p+".") {
				return
			}
		}
	}
	text := "unknown key " + name
	if near := nearest(name, knownKeys()); near != "" {
		text += "; did you mean " + near + "?"
	}
	f.list = append(f.list, Fault{Line: lineOfKey(f.text, name), Text: text})
}

func lineOf(text string, n int) string {
	lines := strings.Split(text, "\n")
	if n < 1 || n > len(lines) || strings.Contains(lines[n-1], "value") {
		return ""
	}
	return strings.TrimRight(lines[n-1], "\r")
}

// Compiled at the first fault: the hook would pay for them at every push.
var (
	tableLine = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\s*(\[\[?)\s*([^\]]+?)\s*\]\]?`) })
	keyLine   = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^\s*([A-Za-z0-9_."' -]+?)\s*=`) })
)

// lineOfKey finds the line that sets a dotted key, since the TOML library does
// not tell where a key it decoded stood. It reads line by line, so a key inside
// a multi-line string can mislead it; the fault's text names the key anyway.
func lineOfKey(text, key string) int {
	table, best := "", 0
	seen := map[string]int{}
	for i, line := range strings.Split(text, "\n") {
		if m := tableLine().FindStringSubmatch(line); m != nil {
			table = unquoteKey(m[2])
			if m[1] == "[[" {
				seen[table]++
				table = fmt.Sprintf("%s#%d", table, seen[table])
			}
			if table == key || stripIndex(table) == key {
				return i + 1
			}
			continue
		}
		m := keyLine().FindStringSubmatch(line)
		if m == nil {
			continue
		}
		full := unquoteKey(m[1])
		if table != "" {
			full = table + "." + full
		}
		if full == key {
			return i + 1
		}
		// A table array's key without its index: the first that fits.
		if best == 0 && (stripIndex(full) == key || strings.HasPrefix(key, full+".")) {
			best = i + 1
		}
	}
	if best == 0 {
		if parent, _, ok := cutLast(key); ok {
			return lineOfKey(text, parent)
		}
	}
	return best
}

func cutLast(key string) (before, after string, ok bool) {
	i := strings.LastIndexByte(key, '.')
	if i < 0 {
		return key, "", false
	}
	return key[:i], key[i+1:], true
}

func unquoteKey(k string) string { return strings.NewReplacer(`"`, "", `'`, "", " ", "").Replace(k) }

var index = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`#\d+`) })

func stripIndex(k string) string {
	if !strings.Contains(k, "#") {
		return k
	}
	return index().ReplaceAllString(k, "")
}

// knownKeys lists every key a file may hold, from the types themselves.
func knownKeys() []string {
	var keys []string
	var walk func(prefix string, t reflect.Type)
	walk = func(prefix string, t reflect.Type) {
		for t.Kind() == reflect.Slice || t.Kind() == reflect.Pointer {
			t = t.Elem()
		}
		if t.Kind() != reflect.Struct {
			return
		}
		for i := range t.NumField() {
			name := t.Field(i).Tag.Get("toml")
			if name == "" || name == "-" {
				continue
			}
			keys = append(keys, prefix+name)
			walk(prefix+name+".", t.Field(i).Type)
		}
	}
	walk("", reflect.TypeFor[Config]())
	return append(keys, "secrets")
}

// nearest is the candidate at the smallest edit distance from name, if that is
// small enough to be a typing error.
func nearest(name string, candidates []string) string {
	best, bestAt := "", max(2, len(name)/4)+1
	for _, c := range candidates {
		if d := distance(name, c); d < bestAt {
			best, bestAt = c, d
		}
	}
	return best
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		prev := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			prev, row[j] = row[j], min(row[j]+1, row[j-1]+1, prev+cost)
		}
	}
	return row[len(b)]
}
