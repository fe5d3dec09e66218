package secret

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"quire/internal/config"
)

// source fetches values from where the configuration says they are.
type source struct {
	cfg      *config.Config
	redactor *Redactor     // for what a secret's command says on its standard error
	limit    time.Duration // of a secret's command
}

// fetched is a value and what a person should know of its source.
type fetched struct {
	value    string
	warnings []string
}

func (s source) fetch(ctx context.Context, d config.Secret) (fetched, error) {
	switch d.Source() {
	case "value":
		return fetched{value: d.Value}, nil
	case "file":
		return s.file(s.cfg.Resolve(d.File))
	case "env":
		return s.env(d.Env)
	case "command":
		return s.command(ctx, d)
	case "credential":
		return s.credential(d.Credential)
	case "age":
		return s.age(strings.NewReader(d.Age), "the value of age in "+s.configName())
	case "age_file":
		return s.ageFile(s.cfg.Resolve(d.AgeFile))
	}
	return fetched{}, errors.New("it has no source; give it one of value, file, env, command, credential, age, age_file")
}

func (s source) configName() string {
	if s.cfg.Path == "" {
		return "the configuration"
	}
	return s.cfg.Path
}

func (s source) file(path string) (fetched, error) {
	value, warnings, err := readPrivate(path)
	if err != nil {
		return fetched{}, err
	}
	return fetched{value: TrimNewline(value), warnings: warnings}, nil
}

func (s source) env(name string) (fetched, error) {
	value, ok := os.LookupEnv(name)
	if !ok {
		return fetched{}, fmt.Errorf("environment variable %s is not set; set it where the worker is started (its unit or the hook's environment), or keep the secret in a file", name)
	}
	return fetched{value: value}, nil
}

// credential reads what systemd put into $CREDENTIALS_DIRECTORY for the unit
// (systemd.exec(5), LoadCredential=). That directory is the unit's alone, so
// permissions are not looked at.
func (s source) credential(name string) (fetched, error) {
	if name != filepath.Base(name) || name == "." || name == ".." {
		return fetched{}, fmt.Errorf("credential %q is no name: a credential is a file directly in $CREDENTIALS_DIRECTORY", name)
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return fetched{}, fmt.Errorf("credential %s: CREDENTIALS_DIRECTORY is not set; start the worker from a systemd unit with LoadCredential=%s:PATH", name, name)
	}
	value, err := readLimited(filepath.Join(dir, name))
	if errors.Is(err, fs.ErrNotExist) {
		return fetched{}, fmt.Errorf("credential %s is not in %s; add LoadCredential=%s:PATH to the worker's unit", name, dir, name)
	}
	if err != nil {
		return fetched{}, err
	}
	return fetched{value: TrimNewline(value)}, nil
}

// readPrivate reads a file that should be its owner's alone, and warns if it is
// not. It does not refuse: a group that shares a key, or an ACL mask that looks
// like one, is the operator's choice.
func readPrivate(path string) (value string, warnings []string, err error) {
	value, err = readLimited(path)
	if err != nil {
		return "", nil, err
	}
	st, err := os.Stat(path)
	if err != nil {
		return "", nil, err
	}
	if mode := st.Mode().Perm(); mode&0o077 != 0 {
		warnings = append(warnings, fmt.Sprintf("others can read %s (mode %04o); run: chmod 600 %s", path, mode, path))
	}
	return value, warnings, nil
}

// readLimited reads a whole file, but no more than shows that it is too long:
// /dev/zero is a file too.
func readLimited(path string) (string, error) {
	f, err := os.Open(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("%w; write the value into it, or correct the path", err)
	case errors.Is(err, fs.ErrPermission):
		return "", fmt.Errorf("%w; make it readable for the user the worker runs as", err)
	case err != nil:
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, MaxLength+2))
	if err != nil {
		return "", err
	}
	return string(b), nil
}

// TrimNewline takes off the one newline that editors and echo put at the end of
// a file. A second one is the value's own.
func TrimNewline(s string) string {
	if rest, ok := strings.CutSuffix(s, "\r\n"); ok {
		return rest
	}
	return strings.TrimSuffix(s, "\n")
}
