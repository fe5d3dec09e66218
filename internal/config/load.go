package config

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sort"
	"strconv"
	"strings"

	"github.com/BurntSushi/toml"
)

// Find names the configuration file to use: $QUIRE_CONFIG if set (which then
// must exist), else config.toml of the user's quire directory, else
// /etc/quire/USER.toml, else /etc/quire/config.toml. "" means there is none and
// the defaults hold.
func Find() string {
	if p := os.Getenv("QUIRE_CONFIG"); p != "" {
		return p
	}
	for _, path := range []func() string{userPath, ownSystemPath, func() string { return systemDir + "/config.toml" }} {
		p := path()
		if p == "" {
			continue
		}
		if _, err := os.Stat(p); err == nil || !errors.Is(err, fs.ErrNotExist) {
			return p
		}
	}
	return ""
}

const systemDir = "/etc/quire"

// SystemPath is the configuration of a user who has no home for one, such as
// www-data.
func SystemPath(user string) string { return filepath.Join(systemDir, user+".toml") }

// ownSystemPath is that of this process's user; "" if /etc/passwd has no name for
// the number. os/user would do it too, and cost the hook some 0.1 ms.
func ownSystemPath() string {
	if _, err := os.Stat(systemDir); err != nil {
		return ""
	}
	passwd, err := os.ReadFile("/etc/passwd")
	if err != nil {
		return ""
	}
	id := strconv.Itoa(os.Geteuid())
	for line := range strings.Lines(string(passwd)) {
		if f := strings.Split(line, ":"); len(f) > 2 && f[2] == id && f[0] != "" && f[0] != "config" && !strings.Contains(f[0], "/") {
			return SystemPath(f[0])
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

// Load reads the configuration that Find names, with its secrets.
func Load() (*Config, error) { return loadFound(LoadFile) }

// LoadPublic is Load for programs that need no secrets and may run as a user who
// may not read them.
func LoadPublic() (*Config, error) { return loadFound(LoadPublicFile) }

func loadFound(load func(path string) (*Config, error)) (*Config, error) {
	path := Find()
	if path == "" {
		c := Defaults()
		if c.StateDir == "" {
			return nil, errors.New("no place for quire's state: neither HOME nor XDG_STATE_HOME is set; set one, or name state_dir in a file and the file in QUIRE_CONFIG")
		}
		return &c, nil
	}
	return load(path)
}

// LoadFile reads the configuration at path and the file of secrets beside it. A
// file with literal secrets that others may read is refused.
func LoadFile(path string) (*Config, error) { return loadFile(path, false) }

// LoadPublicFile is LoadFile for a user who may be unable to read the secrets.
func LoadPublicFile(path string) (*Config, error) { return loadFile(path, true) }

// SecretsPath is the file of secrets that belongs to a configuration:
// secrets.toml beside config.toml, NAME.secrets.toml beside NAME.toml.
func SecretsPath(path string) string {
	if path == "" {
		return ""
	}
	dir, base := filepath.Split(path)
	if base == "config.toml" {
		return dir + "secrets.toml"
	}
	return dir + strings.TrimSuffix(base, ".toml") + ".secrets.toml"
}

func loadFile(path string, public bool) (*Config, error) {
	secrets, unread := readSecrets(SecretsPath(path))
	withheld := unread != nil
	if public && errors.Is(unread, fs.ErrPermission) {
		unread = nil
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read configuration: %w", err), unread)
	}
	c, err := parse(source{path, string(text)}, secrets, withheld)
	if err = errors.Join(err, c.checkMode(secrets), unread); err != nil {
		return nil, err
	}
	return c, nil
}

// readSecrets reads a file of secrets, which nobody else may read. None is no
// error.
func readSecrets(path string) (source, error) {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return source{path: path}, nil
	}
	if err != nil {
		return source{path: path}, fmt.Errorf("read secrets: %w; they are for the user that runs the pipelines", err)
	}
	defer f.Close()
	st, err := f.Stat()
	if err == nil && st.Mode().Perm()&0o077 != 0 {
		err = fmt.Errorf("others may read or write it (mode %04o); run: chmod 600 %s", st.Mode().Perm(), path)
	}
	var text []byte
	if err == nil {
		text, err = io.ReadAll(f)
	}
	if err != nil {
		return source{path: path}, fmt.Errorf("read secrets: %s: %w", path, err)
	}
	return source{path, string(text)}, nil
}

// checkMode refuses literal secrets in a configuration that others may read.
// Those in the file of secrets were guarded when that was read.
func (c *Config) checkMode(secrets source) error {
	literal := ""
	for _, name := range c.SecretNames() {
		if s := c.Secrets[name]; s.Value != "" && s.file != secrets.path {
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
		return fmt.Errorf("%s holds the secret %q and others may read it (mode %04o); move [secrets.%s] to %s, with mode 600, or run: chmod 600 %s",
			c.Path, literal, st.Mode().Perm(), literal, secrets.path, c.Path)
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

// source is a file that a configuration is read from.
type source struct{ path, text string }

// Parse reads a configuration from its text; path is for messages and for
// relative file names, which count from the file's directory.
func Parse(path, text string) (*Config, error) {
	c, err := parse(source{path, text}, source{path: SecretsPath(path)}, false)
	if err != nil {
		return nil, err
	}
	return c, nil
}

// parse reads a configuration and its file of secrets. withheld says that there
// is such a file and that its secrets are not known here. With an error it returns
// what it could read.
func parse(conf, secrets source, withheld bool) (*Config, error) {
	file := struct {
		Config
		Secrets map[string]toml.Primitive `toml:"secrets"`
	}{Config: Defaults()}
	faults := &faults{text: conf.text}
	torn := 0 // tables that could not be read
	md, err := toml.Decode(conf.text, &file)
	if err != nil {
		file.Config = Defaults()
		var rest string
		rest, torn = syntaxFaults(conf, faults)
		md, file.Secrets = file.Config.decodeRest(rest, faults)
	}
	c := file.Config
	c.Path = conf.path
	c.Secrets = map[string]Secret{}
	c.secretsWithheld = withheld
	// Both are read before either is judged: one may name what the other holds.
	apart, tornApart := c.parseSecrets(secrets)
	c.decodeSecrets(md, file.Secrets, conf.path, faults)
	if torn+tornApart > 0 {
		// What is named and not declared may stand where nothing could be read.
		c.secretsWithheld = true
	}
	for _, name := range c.SecretNames() {
		if s := c.Secrets[name]; s.file == conf.path {
			c.validateSecret(s, faults)
		} else {
			c.validateSecret(s, apart)
		}
	}
	for _, key := range md.Undecoded() {
		if err == nil || key[0] == "secrets" { // else decodeRest has told of it
			faults.unknown(key)
		}
	}
	c.validate(faults)
	return &c, errors.Join(faults.err(conf.path), apart.err(secrets.path))
}

// parseSecrets reads the file of secrets, which holds the table secrets and
// nothing else. torn is how many tables of it could not be read.
func (c *Config) parseSecrets(secrets source) (f *faults, torn int) {
	f = &faults{text: secrets.text}
	if secrets.text == "" {
		return f, 0 // it costs the hook nothing
	}
	var file struct {
		Secrets map[string]toml.Primitive `toml:"secrets"`
	}
	md, err := toml.Decode(secrets.text, &file)
	if err != nil {
		var rest string
		rest, torn = syntaxFaults(secrets, f)
		file.Secrets = nil
		if md, err = toml.Decode(rest, &file); err != nil {
			f.add("secrets", "secrets: want tables such as [secrets.NAME]")
		}
	}
	c.decodeSecrets(md, file.Secrets, secrets.path, f)
	seen := map[string]bool{}
	for _, key := range md.Undecoded() {
		if key[0] == "secrets" {
			f.unknown(key)
		} else if !seen[key[0]] {
			seen[key[0]] = true
			f.add(key[0], "%s belongs into the configuration; here only [secrets] is read", key[0])
		}
	}
	return f, torn
}

// syntaxFault says where a file is no TOML. The line itself, and what of it the
// library quotes, is shown only where it cannot hold a secret.
func syntaxFault(in source, err error) Fault {
	var pe toml.ParseError
	if !errors.As(err, &pe) {
		return Fault{Text: strings.TrimPrefix(err.Error(), "toml: ")}
	}
	fault := Fault{Line: pe.Position.Line, Text: strings.TrimSpace(pe.Message)}
	if strings.HasSuffix(in.path, "secrets.toml") || inSecrets(in.text, fault.Line) {
		said, _, _ := strings.Cut(fault.Text, " but ")
		if i := strings.IndexAny(said, "\"'`"); i >= 0 {
			said = said[:i]
		}
		fault.Text = "this is no TOML: " + cmp.Or(strings.TrimSpace(said), "it is malformed")
		return fault
	}
	fault.Excerpt = lineOf(in.text, fault.Line)
	return fault
}

// err is all that is wrong with a file, in the order of its lines; nil if nothing
// is.
func (f *faults) err(path string) error {
	if len(f.list) == 0 {
		return nil
	}
	sort.SliceStable(f.list, func(i, j int) bool { return f.list[i].Line < f.list[j].Line })
	return &Error{Path: path, Faults: f.list}
}
