package runner

import (
	"errors"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/BurntSushi/toml"
)

// parse reads a record. Keys that a later version may add are passed over.
func parse(text string) (Runner, error) {
	var file struct {
		Runner   string `toml:"runner"`
		UID      *int   `toml:"uid"`
		Config   string `toml:"config"`
		StateDir string `toml:"state_dir"`
		Socket   string `toml:"socket"`
		Reason   string `toml:"reason"`
		Off      bool   `toml:"off"`
		Repo     string `toml:"repository"`
	}
	if _, err := toml.Decode(text, &file); err != nil {
		var pe toml.ParseError
		if errors.As(err, &pe) {
			return Runner{}, fmt.Errorf("line %d: %s", pe.Position.Line, pe.Message)
		}
		return Runner{}, err
	}
	if file.UID == nil || *file.UID < 0 {
		return Runner{}, errors.New("no uid says who the runner is")
	}
	for _, p := range [][2]string{{"config", file.Config}, {"state_dir", file.StateDir}, {"socket", file.Socket}, {"repository", file.Repo}} {
		if p[1] != "" && !filepath.IsAbs(p[1]) {
			return Runner{}, fmt.Errorf("%s must be an absolute path, not %q", p[0], p[1])
		}
	}
	return Runner{Name: file.Runner, UID: *file.UID, Config: file.Config, StateDir: file.StateDir, Socket: file.Socket,
		Reason: file.Reason, Off: file.Off, Repository: file.Repo, Recorded: true}, nil
}

// Text is the record as a file. It fails for what TOML cannot hold on a line.
func (r Runner) Text() ([]byte, error) {
	var b strings.Builder
	b.WriteString("# Who runs this repository's pipelines. Written by quire install; see docs/users.md.\n")
	var faults []error
	text := func(key, value, comment string) {
		if !utf8.ValidString(value) || strings.ContainsFunc(value, unicode.IsControl) {
			faults = append(faults, fmt.Errorf("%s cannot hold %q", key, value))
			return
		}
		line := key + ` = "` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(value) + `"`
		if comment != "" {
			line = fmt.Sprintf("%-36s # %s", line, comment)
		}
		b.WriteString(line + "\n")
	}
	text("runner", r.Name, "name, for people")
	b.WriteString(fmt.Sprintf("%-36s # who that is\n", "uid = "+strconv.Itoa(r.UID)))
	text("repository", r.Repository, "the only one that this counts in")
	text("config", r.Config, "")
	text("state_dir", r.StateDir, "")
	text("socket", r.Socket, "where pushes of other users are handed over")
	text("reason", r.Reason, "why root is the runner, if it is")
	if r.Off {
		b.WriteString("off = true # uninstalled; the hook that is still called serves other repositories\n")
	}
	return []byte(b.String()), errors.Join(faults...)
}
