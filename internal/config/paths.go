package config

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Resolve makes a file name of the configuration absolute: ~/ is HOME's, anything
// else relative counts from the configuration file's directory. (Not from the
// working directory: the worker's is /.) Whoever opens or hides a file that the
// configuration names asks here.
func (c *Config) Resolve(name string) string {
	if rest, ok := strings.CutPrefix(name, "~/"); ok {
		if home := os.Getenv("HOME"); home != "" {
			return filepath.Join(home, rest)
		}
	}
	if filepath.IsAbs(name) || c.Path == "" {
		return name
	}
	return filepath.Join(filepath.Dir(c.Path), name)
}

// Private are the files and directories that are quire's alone, as absolute paths:
// its state, the configuration and the files of secrets, and the directories that
// these lie in; each also under the names that symbolic links give it, with the
// directories of those links. A file that does not exist yet is among them.
func (c *Config) Private() []string {
	var out []string
	add := func(path string) {
		if filepath.IsAbs(path) {
			out = append(out, names(filepath.Clean(path))...)
		}
	}
	file := func(path string) {
		for _, name := range names(path) {
			add(name)
			add(filepath.Dir(name))
			// A link on the way may be exchanged while something is hidden (current →
			// releases/2), and what it leads to then mostly lies beside it.
			if _, link := followOne(name); link != "" && filepath.Dir(link) != "/" {
				add(filepath.Dir(link))
			}
		}
	}
	add(c.StateDir)
	if c.Path != "" {
		if path, err := filepath.Abs(c.Path); err == nil {
			file(path)
			file(SecretsPath(path))
		}
	}
	if c.Identity != "" {
		file(c.Resolve(c.Identity))
	}
	for _, n := range c.networks() {
		for _, f := range []string{n.ClientKey, n.ClientCert} {
			if f != "" && (f == n.ClientKey || n.ClientKey == "") {
				file(c.Resolve(f)) // where the key is
			}
		}
	}
	for _, name := range c.SecretNames() {
		s := c.Secrets[name]
		for _, f := range []string{s.File, s.AgeFile} {
			if f != "" {
				file(c.Resolve(f))
			}
		}
		for _, word := range s.Command {
			// The files of a command, and not their directories: that may be /usr/bin.
			if path := c.Resolve(word); strings.Contains(word, "/") && !systems(path) {
				add(path)
			}
		}
	}
	add(os.Getenv("CREDENTIALS_DIRECTORY"))
	slices.Sort(out)
	return slices.Compact(out)
}

// networks are [network] and what each mirror says itself.
func (c *Config) networks() []Network {
	out := []Network{c.Network}
	for _, m := range c.Mirrors {
		out = append(out, m.Network())
	}
	return out
}

// systems says whether a program is the system's and not the operator's.
func systems(path string) bool {
	if strings.HasPrefix(path, "/usr/local/") {
		return false
	}
	for _, dir := range []string{"/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64", "/nix", "/gnu"} {
		if strings.HasPrefix(path, dir+"/") {
			return true
		}
	}
	return false
}

// names are a path and all others that it is reached by on the way along symbolic
// links, the final one last.
func names(path string) []string {
	out := []string{path}
	for range 40 { // the kernel's own bound (path_resolution(7))
		next, link := followOne(path)
		if link == "" {
			break
		}
		out = append(out, next)
		path = next
	}
	return out
}

// followOne replaces the first symbolic link in a path, and says which it was; "" none.
func followOne(path string) (next, link string) {
	for i := 1; i <= len(path); i++ {
		if i < len(path) && path[i] != '/' {
			continue
		}
		to, err := os.Readlink(path[:i])
		if err != nil {
			continue // none, or not there
		}
		if !filepath.IsAbs(to) {
			to = filepath.Join(filepath.Dir(path[:i]), to)
		}
		return filepath.Join(to, path[i:]), path[:i]
	}
	return path, ""
}
