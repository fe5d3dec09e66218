package config

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// config.example.toml is the reference of all keys. Its lines that begin with #
// and no space are settings switched off; switched on, those of tables that are
// there without a # must be the defaults.
func TestExample(t *testing.T) {
	const path = "../../config.example.toml"
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	asShipped, err := Parse(path, text)
	if err != nil {
		t.Fatalf("as shipped: %v", err)
	}
	want := Defaults()
	want.Path, want.Secrets = path, map[string]Secret{}
	if !reflect.DeepEqual(*asShipped, want) {
		t.Errorf("as shipped it changes the defaults:\n got %+v\nwant %+v", *asShipped, want)
	}

	on := regexp.MustCompile(`(?m)^#([^ \n])`).ReplaceAllString(text, "$1")
	all, err := Parse(path, on)
	if err != nil {
		t.Fatalf("with everything switched on: %v", err)
	}
	if len(all.Mirrors) != 1 || len(all.Notify) != 1 || len(all.Executor.For) != 1 || len(all.Secrets) < 6 || all.Identity == "" {
		t.Errorf("an example is not read: %+v", all)
	}
	got := *all
	got.Secrets, got.Identity, got.Mirrors, got.Notify, got.Executor.For = map[string]Secret{}, "", nil, nil, nil
	want.StateDir, want.Env.Set = "/var/lib/quire", map[string]string{}
	if !reflect.DeepEqual(got.Submodules.Allow, []string{"team/*"}) {
		t.Errorf("[submodules] allow is not read: %q", got.Submodules.Allow)
	}
	got.Submodules.Allow = nil // the default is no list at all
	if want.SSH.KnownHosts == nil {
		got.SSH.KnownHosts = nil // [] and absent are the same
	}
	if want.Hook.PusherFrom == nil {
		got.Hook.PusherFrom = nil
	}
	if want.Executor.AllowImages == nil {
		got.Executor.AllowImages = nil
	}
	if want.Network.NoProxy == nil {
		got.Network.NoProxy = nil
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("a default is shown wrongly:\n got %+v\nwant %+v", got, want)
	}

	shown := shownKeys(on)
	secretKeys := reflect.TypeFor[Secret]()
	known := knownKeys()
	for i := range secretKeys.NumField() {
		if name := secretKeys.Field(i).Tag.Get("toml"); name != "-" {
			known = append(known, "secrets."+name)
		}
	}
	for _, key := range append(known, "secrets.identity") {
		if !slices.Contains(shown, key) {
			t.Errorf("%s is not documented", key)
		}
	}
}

// shownKeys lists the keys and tables of a file; a secret's own name is left out.
func shownKeys(text string) []string {
	header := regexp.MustCompile(`^\[\[?([a-z_.]+)\]\]?$`)
	setting := regexp.MustCompile(`^([a-z_]+) = `)
	var keys []string
	table := ""
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if m := header.FindStringSubmatch(line); m != nil {
			table = m[1]
			if strings.HasPrefix(table, "secrets.") {
				table = "secrets"
			}
			keys = append(keys, table)
			table += "."
		} else if m := setting.FindStringSubmatch(line); m != nil {
			keys = append(keys, table+m[1])
		}
	}
	return keys
}
