package hooks

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/BurntSushi/toml"

	"quire/internal/config"
	"quire/internal/runner"
)

// settings reads the configuration. A faulty file must not cost a push its
// place in the spool, so of one that can be read at all the two things that the
// hook needs are salvaged; fault then says what is wrong, and no worker is
// started, since it would refuse the file. If c is nil there is no spool.
//
// Of a repository whose record names this user, the configuration is the one
// that the record names, whatever the environment says: a worker is the same
// whoever started it.
func settings(who runner.Runner) (c *config.Config, fault error) {
	path := config.Find()
	if who.Recorded && who.UID == os.Geteuid() && who.Config != "" {
		path = who.Config
		c, fault = config.LoadPublicFile(path)
	} else {
		c, fault = config.LoadPublic()
	}
	if fault == nil {
		return c, nil
	}
	if path == "" {
		return nil, fault
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("%w; let %s read it, or have a file of that user's own (QUIRE_CONFIG names it)", fault, userName(os.Geteuid()))
	}
	return salvage(path, string(text), who), fault
}

// salvage takes state_dir from a file that is otherwise wrong. Where the file has
// lost it (it was half written), it is the one that the repository's record names:
// a push in the default one would be found by nobody. It gives up if the file
// says something about it that cannot be read and nothing is recorded: another
// place than the one meant would be no help.
func salvage(path, text string, who runner.Runner) *config.Config {
	c := config.Defaults()
	c.Path = path
	dir, said := stateDir(text)
	switch {
	case dir != "":
		c.StateDir = dir
	case who.Recorded && who.UID == os.Geteuid() && who.StateDir != "":
		c.StateDir = who.StateDir
	case said:
		return nil
	}
	if !filepath.IsAbs(c.StateDir) {
		return nil
	}
	return &c
}

// stateDir finds state_dir in text that may not be TOML as a whole: then by
// lines, before the first table.
func stateDir(text string) (dir string, said bool) {
	var file struct {
		StateDir *string `toml:"state_dir"`
	}
	if _, err := toml.Decode(text, &file); err == nil {
		if file.StateDir == nil {
			return "", false
		}
		return *file.StateDir, true
	}
	for line := range strings.Lines(text) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "[") {
			break
		}
		if strings.HasPrefix(line, "state_dir") {
			if _, err := toml.Decode(line, &file); err != nil || file.StateDir == nil {
				return "", true
			}
			return *file.StateDir, true
		}
	}
	return "", false
}

// firstFault is the configuration's error in one line.
func firstFault(err error) string {
	var ce *config.Error
	if !errors.As(err, &ce) || len(ce.Faults) < 2 {
		text, _, _ := strings.Cut(err.Error(), "\n")
		return text
	}
	one := config.Error{Path: ce.Path, Faults: ce.Faults[:1]}
	text, _, _ := strings.Cut(one.Error(), "\n")
	return fmt.Sprintf("%s (and %d more)", text, len(ce.Faults)-1)
}
