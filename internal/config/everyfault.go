package config

import (
	"errors"
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"
)

// The TOML library stops at the first thing that it cannot read. What stands here
// goes on, so that whoever edited a file is told of everything in it at once. It
// is reached only after that library has failed: the hook reads a sound file at
// every push.

// decodeRest decodes a document key by key into c, and records a fault for each
// that does not fit. It returns the table of secrets, undecoded.
func (c *Config) decodeRest(text string, f *faults) (toml.MetaData, map[string]toml.Primitive) {
	var document map[string]toml.Primitive
	md, err := toml.Decode(text, &document)
	if err != nil {
		return md, nil // syntaxFaults has left nothing like it
	}
	secrets := map[string]toml.Primitive{}
	if raw, ok := document["secrets"]; ok {
		if err := md.PrimitiveDecode(raw, &secrets); err != nil {
			f.add("secrets", "secrets: want tables such as [secrets.NAME]")
		}
		delete(document, "secrets")
	}
	decodeTable(md, document, "", reflect.ValueOf(c).Elem(), f)
	return md, secrets
}

func decodeTable(md toml.MetaData, table map[string]toml.Primitive, prefix string, into reflect.Value, f *faults) {
	names := make([]string, 0, len(table))
	for name := range table {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		field, ok := fieldOf(into, name)
		if !ok {
			f.unknown(toml.Key(strings.Split(stripIndex(prefix)+name, ".")))
			continue
		}
		decodeValue(md, table[name], prefix+name, field, f)
	}
}

func decodeValue(md toml.MetaData, value toml.Primitive, key string, into reflect.Value, f *faults) {
	_, own := into.Addr().Interface().(toml.Unmarshaler)
	switch kind := into.Kind(); {
	case own:
	case kind == reflect.Struct:
		var table map[string]toml.Primitive
		if md.PrimitiveDecode(value, &table) != nil {
			f.misread(key, "want "+kindOf(into.Type()))
			return
		}
		decodeTable(md, table, key+".", into, f)
		return
	case kind == reflect.Slice && into.Type().Elem().Kind() == reflect.Struct:
		var tables []map[string]toml.Primitive
		if md.PrimitiveDecode(value, &tables) != nil {
			f.misread(key, "want "+kindOf(into.Type()))
			return
		}
		into.Set(reflect.MakeSlice(into.Type(), len(tables), len(tables)))
		for i, table := range tables {
			decodeTable(md, table, fmt.Sprintf("%s#%d.", key, i+1), into.Index(i), f)
		}
		return
	}
	// Into a value of its own: what is read of a list before its fault is not kept.
	got := reflect.New(into.Type())
	err := md.PrimitiveDecode(value, got.Interface())
	if err == nil {
		into.Set(got.Elem())
		return
	}
	var pe toml.ParseError
	if own && errors.As(err, &pe) {
		f.misread(key, pe.Message)
		return
	}
	f.misread(key, "want "+kindOf(into.Type()))
}

// fieldOf is the field of a struct for a key.
func fieldOf(v reflect.Value, key string) (reflect.Value, bool) {
	for i := range v.NumField() {
		if tag := v.Type().Field(i).Tag.Get("toml"); tag != "-" && tag != "" && strings.EqualFold(tag, key) {
			return v.Field(i), true
		}
	}
	return reflect.Value{}, false
}

// kindOf is what a key of this type takes, in words.
func kindOf(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number such as 1.5"
	case reflect.Slice:
		if t.Elem().Kind() == reflect.Struct {
			return "tables, each under its own [[…]]"
		}
		return "a list of strings such as [\"a\", \"b\"]"
	case reflect.Struct, reflect.Map:
		return "a table"
	}
	return "a string in quotes"
}

// maxSyntaxFaults bounds how many places of one file are told that are no TOML.
const maxSyntaxFaults = 20

// syntaxFaults records where a document is no TOML, at most one fault for each of
// its tables: what follows an error in one table may be a consequence of it, while
// the next header is a new beginning. It returns the text with those tables
// blanked, which is TOML, and how many there were.
func syntaxFaults(in source, f *faults) (rest string, found int) {
	rest = in.text
	for found < maxSyntaxFaults {
		var document map[string]any
		_, err := toml.Decode(rest, &document)
		if err == nil {
			return rest, found
		}
		found++
		fault := syntaxFault(in, err)
		f.list = append(f.list, fault)
		blanked, ok := blankTable(rest, fault.Line)
		if !ok {
			break
		}
		rest = blanked
	}
	return "", found
}

// blankTable empties the lines of the table in which a line stands. ok is false
// if that changes nothing.
func blankTable(text string, line int) (string, bool) {
	lines := strings.Split(text, "\n")
	if line < 1 || line > len(lines) {
		return "", false
	}
	from := headerBefore(lines, line)
	changed := false
	for i := from; i < len(lines) && (i == from || i < line || !isHeader(lines[i])); i++ {
		changed = changed || lines[i] != ""
		lines[i] = ""
	}
	return strings.Join(lines, "\n"), changed
}

// isHeader reports whether a line begins a table, or is meant to.
func isHeader(line string) bool { return strings.HasPrefix(strings.TrimSpace(line), "[") }

// headerBefore is the index of the line that begins the table of a line; 0 if none
// does. A header that is not closed is noticed only on the line after it.
func headerBefore(lines []string, line int) int {
	i := min(line, len(lines)) - 1
	for i > 0 && !isHeader(lines[i]) {
		i--
	}
	return max(i, 0)
}

// inSecrets reports whether a line stands in a table of secrets.
func inSecrets(text string, line int) bool {
	lines := strings.Split(text, "\n")
	header := strings.TrimLeft(lines[headerBefore(lines, line)], " \t[")
	return strings.HasPrefix(header, "secrets") || strings.HasPrefix(header, `"secrets`) || strings.HasPrefix(header, "'secrets")
}
