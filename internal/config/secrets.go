package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"
)

// decodeSecrets reads [secrets]: tables are secrets by name, and the one string
// `identity` is the file of age identities, so a secret cannot bear that name.
func (c *Config) decodeSecrets(md toml.MetaData, raw map[string]toml.Primitive, path string, f *faults) {
	names := make([]string, 0, len(raw))
	for name := range raw {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		if name == "identity" {
			if c.Identity != "" {
				f.add("secrets.identity", "secrets.identity is in both files: keep one")
			}
			if err := md.PrimitiveDecode(raw[name], &c.Identity); err != nil {
				f.add("secrets.identity", "secrets.identity wants the path of an age identity file (no secret can be called identity)")
			}
			continue
		}
		s := Secret{}
		if err := md.PrimitiveDecode(raw[name], &s); err != nil {
			// The library's message may quote the value: say only the key.
			f.add("secrets."+name, "secret %s: want a table such as [secrets.%s] with value, file, env, command, credential, age or age_file", name, name)
			continue
		}
		if other, ok := c.Secrets[name]; ok {
			f.add("secrets."+name, "secret %s is declared in %s too: keep one", name, other.file)
			continue
		}
		s.Name, s.file = name, path
		c.Secrets[name] = s
	}
}

func (c *Config) validateSecret(s Secret, f *faults) {
	key := "secrets." + s.Name
	var set []string
	for source, given := range map[string]bool{
		"value": s.Value != "", "file": s.File != "", "env": s.Env != "", "command": len(s.Command) > 0,
		"credential": s.Credential != "", "age": s.Age != "", "age_file": s.AgeFile != "",
	} {
		if given {
			set = append(set, source)
		}
	}
	sort.Strings(set)
	switch len(set) {
	case 0:
		f.add(key, "secret %s has no source, or an empty one: give one of value, file, env, command, credential, age, age_file", s.Name)
	case 1:
	default:
		f.add(key, "secret %s has %d sources (%s): keep one", s.Name, len(set), strings.Join(set, ", "))
	}
	if (s.Age != "" || s.AgeFile != "") && c.Identity == "" && !c.secretsWithheld {
		f.add(key, "secret %s is encrypted with age and [secrets] names no identity file", s.Name)
	}
	f.globs(key+".repos", s.Repos)
	f.globs(key+".refs", s.Refs)
	f.globs(key+".jobs", s.Jobs)
	f.globs(key+".pushers", s.Pushers)
	c.validateProtection(s, f)
}

// Format and String keep a literal value out of %v, %+v and %#v.
func (s Secret) Format(w fmt.State, _ rune) { fmt.Fprint(w, s.String()) }

func (s Secret) String() string { return "secret " + s.Name + " (" + s.Source() + ")" }

// Source names the kind of place the value comes from, as the file spells it.
func (s Secret) Source() string {
	t := reflect.TypeOf(s)
	v := reflect.ValueOf(s)
	for i := range t.NumField() {
		switch key := t.Field(i).Tag.Get("toml"); key {
		case "value", "file", "env", "command", "credential", "age", "age_file":
			if !v.Field(i).IsZero() {
				return key
			}
		}
	}
	return "none"
}
