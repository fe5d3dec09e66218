package config

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"github.com/BurntSushi/toml"
)

// Find names the configuration file to use: $QUIRE_CONFIG if set (which then
// must exist), else config.toml of the user's quire directory, else
// /etc/quire/config.toml. "" means there is none and the defaults hold.
func Find() string {
	if p := os.Getenv("QUIRE_CONFIG"); p != "" {
		return p
	}
	for _, p := range []string{userPath(), "/etc/quire/config.toml"} {
		if p == "" {
			continue
		}
		if _, err := os.Stat(p); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return p
		}
	}
	return ""
}

// InstallPath is where a new configuration belongs: /etc for root, else the
// user's own.
func InstallPath() string {
	if p := os.Getenv("QUIRE_CONFIG"); p != "" {
		return p
	}
	if os.Geteuid() == 0 {
		return "/etc/quire/config.toml"
	}
	return userPath()
}

func userPath() string {
	dir := os.Getenv("XDG_CONFIG_HOME")
	if dir == "" {
		home := os.Getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".config")
	}
	return filepath.Join(dir, "quire", "config.toml")
}

func defaultStateDir() string {
	if os.Geteuid() == 0 {
		return "/var/lib/quire"
	}
	dir := os.Getenv("XDG_STATE_HOME")
	if dir == "" {
		home := os.Getenv("HOME")
		if home == "" {
			return ""
		}
		dir = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(dir, "quire")
}

// Load reads the configuration that Find names.
func Load() (*Config, error) {
	path := Find()
	if path == "" {
		c := Defaults()
		if c.StateDir == "" {
			return nil, errors.New("no place for quire's state: neither HOME nor XDG_STATE_HOME is set; set one, or name state_dir in a file and the file in QUIRE_CONFIG")
		}
		return &c, nil
	}
	return LoadFile(path)
}

// LoadFile reads the configuration at path. A file with literal secrets that
// others may read is refused.
func LoadFile(path string) (*Config, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read configuration: %w", err)
	}
	c, err := Parse(path, string(text))
	if err != nil {
		return nil, err
	}
	return c, c.checkMode()
}

func (c *Config) checkMode() error {
	literal := ""
	for _, name := range c.SecretNames() {
		if c.Secrets[name].Value != "" {
			literal = name
			break
		}
	}
	if literal == "" {
		return nil
	}
	st, err := os.Stat(c.Path)
	if err != nil {
		return fmt.Errorf("read configuration: %w", err)
	}
	if st.Mode().Perm()&0o077 != 0 {
		return fmt.Errorf("%s holds the secret %q and others may read it (mode %04o); run: chmod 600 %s",
			c.Path, literal, st.Mode().Perm(), c.Path)
	}
	return nil
}

// SecretNames lists the declared secrets in order.
func (c *Config) SecretNames() []string {
	names := make([]string, 0, len(c.Secrets))
	for n := range c.Secrets {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}

// Parse reads a configuration from its text; path is for messages and for
// relative file names, which count from the file's directory.
func Parse(path, text string) (*Config, error) {
	file := struct {
		Config
		Secrets map[string]toml.Primitive `toml:"secrets"`
	}{Config: Defaults()}
	md, err := toml.Decode(text, &file)
	if err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return nil, &Error{Path: path, Faults: []Fault{{Line: pe.Position.Line, Text: strings.TrimSpace(pe.Message), Excerpt: lineOf(text, pe.Position.Line)}}}
		}
		return nil, &Error{Path: path, Faults: []Fault{{Text: strings.TrimPrefix(err.Error(), "toml: ")}}}
	}
	c := file.Config
	c.Path = path
	faults := &faults{text: text}
	c.decodeSecrets(md, file.Secrets, faults)
	for _, key := range md.Undecoded() {
		faults.unknown(key)
	}
	c.validate(faults)
	if len(faults.list) > 0 {
		sort.SliceStable(faults.list, func(i, j int) bool { return faults.list[i].Line < faults.list[j].Line })
		return nil, &Error{Path: path, Faults: faults.list}
	}
	return &c, nil
}
