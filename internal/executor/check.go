package executor

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"quire/internal/checked"
)

// CheckCommand refuses what no kernel can carry, and what would be another thing
// on the way to the command than it is here. Every executor calls it first,
// whoever has checked the command before. What an error quotes is whole: it is masked
// before it is cut, and that is not here.
func CheckCommand(c Command) error {
	if len(c.Argv) == 0 {
		return errors.New("an empty command")
	}
	for i, s := range c.Argv {
		if err := checked.Argument(s); err != nil { // which is not quoted: it can have megabytes, and must not be cut here
			return fmt.Errorf("word %d of the command: %w", i+1, err)
		}
	}
	for _, s := range c.Env {
		if err := checked.Variable(s); err != nil {
			name, _, _ := strings.Cut(s, "=")
			return fmt.Errorf("environment variable %q: %w", name, err)
		}
	}
	if err := checked.CommandSize(c.Argv, c.Env); err != nil {
		return fmt.Errorf("%s: %w", c.Argv[0], err)
	}
	if c.Dir != "" {
		if err := checked.Path(c.Dir); err != nil {
			return fmt.Errorf("working directory %q: %w", c.Dir, err)
		}
	}
	if c.Image != "" {
		if _, err := checked.NewImage(c.Image); err != nil {
			return fmt.Errorf("image %q: %w", c.Image, err)
		}
	}
	return nil
}

// Check refuses a run that would show its commands what is not theirs, or whose
// names would be something else to bwrap or the engine. Every executor calls it
// before it makes anything.
func Check(s Spec) error {
	for what, path := range map[string]string{
		"workspace": s.Workspace, "run's directory": s.RunDir, "repository": s.GitDir,
	} {
		if path == "" && what == "repository" { // none is shown
			continue
		}
		if !filepath.IsAbs(path) || filepath.Clean(path) != path {
			return fmt.Errorf("the %s %q is no clean absolute path", what, path)
		}
		if err := checked.Bytes(path, checked.MaxPath); err != nil {
			return fmt.Errorf("the %s %q: %w", what, path, err)
		}
	}
	for _, image := range []string{s.Image, s.DefaultImage} {
		if image == "" {
			continue
		}
		if _, err := checked.NewImage(image); err != nil {
			return fmt.Errorf("image %q: %w", image, err)
		}
	}
	if s.Network != "" {
		if err := checked.Line(s.Network, checked.MaxName); err != nil {
			return fmt.Errorf("network %q: %w", s.Network, err)
		}
	}
	if err := checkMounts(s); err != nil {
		return err
	}
	return checkServices(s.Services)
}

func checkServices(services []Service) error {
	taken := map[string]bool{}
	for _, v := range services {
		if _, err := checked.NewHost(v.Name); err != nil {
			return fmt.Errorf("service %q: its name: %w", v.Name, err)
		}
		if name := strings.ToLower(v.Name); taken[name] {
			return fmt.Errorf("service %s: two services have that name", v.Name)
		} else {
			taken[name] = true
		}
		if _, err := checked.NewImage(v.Image); err != nil {
			return fmt.Errorf("service %s: image %q: %w", v.Name, v.Image, err)
		}
		for _, argv := range [][]string{v.Argv, v.Ready} {
			if len(argv) == 0 {
				continue
			}
			if err := CheckCommand(Command{Argv: argv, Env: v.Env}); err != nil {
				return fmt.Errorf("service %s: %w", v.Name, err)
			}
		}
		for _, e := range v.Env {
			if err := checked.Variable(e); err != nil {
				return fmt.Errorf("service %s: its environment: %w", v.Name, err)
			}
		}
	}
	return nil
}

// checkMounts holds every mount to one rule, for sandboxes and containers alike:
// below the workspace, or at an absolute path that a cache may have and that has
// nothing to do with what quire shows or hides there.
func checkMounts(s Spec) error {
	var taken []string
	for _, m := range s.Mounts {
		if !filepath.IsAbs(m.Source) {
			return fmt.Errorf("mount of %q: its source is no absolute path", m.Source)
		}
		if err := checked.Bytes(m.Source, checked.MaxPath); err != nil {
			return fmt.Errorf("mount of %q: %w", m.Source, err)
		}
		if err := checkTarget(m.Target, s); err != nil {
			return fmt.Errorf("mount at %q: %w", m.Target, err)
		}
		for _, t := range taken {
			if checked.Inside(m.Target, t) || checked.Inside(t, m.Target) {
				return fmt.Errorf("mount at %q: it and the one at %s lie in one another", m.Target, t)
			}
		}
		taken = append(taken, m.Target)
	}
	return nil
}

func checkTarget(target string, s Spec) error {
	if !filepath.IsAbs(target) || filepath.Clean(target) != target {
		return errors.New("it is no clean absolute path")
	}
	if below, found := strings.CutPrefix(target, s.Workspace+"/"); found {
		_, err := checked.NewCachePath(below)
		return err
	}
	if _, err := checked.NewCachePath(target); err != nil {
		return err
	}
	// The directory above the run's holds all runs.
	for _, own := range []string{s.Workspace, filepath.Dir(s.RunDir), s.GitDir} {
		if own != "" && checked.Inside(target, own) {
			return fmt.Errorf("it would lie in %s, which is quire's", own)
		}
	}
	// What lies in a hidden directory may be mounted over: only the mount is seen.
	for _, own := range append([]string{s.Workspace, s.RunDir, s.GitDir}, s.Hidden...) {
		if own != "" && checked.Inside(filepath.Clean(own), target) {
			return fmt.Errorf("it would cover %s, which is quire's", own)
		}
	}
	return nil
}
