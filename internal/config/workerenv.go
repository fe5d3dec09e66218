package config

import (
	"path/filepath"
	"slices"
	"strings"
)

// workerNames are the variables that a worker, and what it starts, needs from the
// machine. A job sees of them what [env] pass says.
var workerNames = []string{
	"PATH", "HOME", "USER", "LOGNAME", "SHELL", "TMPDIR",
	"XDG_CONFIG_HOME", "XDG_STATE_HOME", "XDG_CACHE_HOME", "XDG_RUNTIME_DIR",
	"QUIRE_BIN", "QUIRE_CONFIG", "CREDENTIALS_DIRECTORY",
	"QUIRE_TESTING", "QUIRE_CRASH_AT", // see event.Reached
	"DOCKER_HOST", "DOCKER_CONFIG", "DOCKER_CERT_PATH", "DOCKER_TLS_VERIFY",
}

// WorkerLocale is the locale of every worker. The one of whoever starts it, which
// an ssh client sends along, would reach the jobs of others. [env] set gives jobs
// another.
const WorkerLocale = "C.UTF-8"

// WorkerEnv is the environment with which everything starts a worker, be it a hook,
// `quire retry` or a timer: a list of names, what jobs may see, and where secrets
// are said to be, less what belongs to a session. PATH is never empty, as it is
// under some web servers.
func (c *Config) WorkerEnv(lookup func(string) (string, bool)) []string {
	names := slices.Concat(workerNames, c.Env.Pass)
	for _, s := range c.Secrets {
		if s.Env != "" {
			names = append(names, s.Env)
		}
	}
	seen := map[string]bool{}
	var env []string
	add := func(name, value string) {
		if name == "PATH" {
			value = withoutGitCore(value)
		}
		if !seen[name] {
			seen[name] = true
			env = append(env, name+"="+value)
		}
	}
	add("LANG", WorkerLocale)
	if c.Path != "" {
		if abs, err := filepath.Abs(c.Path); err == nil {
			add("QUIRE_CONFIG", abs) // a relative name counts from our directory, not the worker's
		}
	}
	for _, name := range names {
		if v, ok := lookup(name); ok && !OfSession(name) && (name != "PATH" || withoutGitCore(v) != "") {
			add(name, v)
		}
	}
	add("PATH", "/usr/local/bin:/usr/bin:/bin")
	return env
}

// OfSession reports whether a variable says something of one person's session: the
// language and time zone they chose, how they came here, what they push.
func OfSession(name string) bool {
	switch name {
	case "LANG", "LANGUAGE", "TZ":
		return true
	}
	return strings.HasPrefix(name, "LC_") || strings.HasPrefix(name, "GIT_") || strings.HasPrefix(name, "SSH_")
}

// withoutGitCore takes out what git puts before PATH for its hooks: the directory
// of its internal programs.
func withoutGitCore(path string) string {
	dirs := slices.DeleteFunc(filepath.SplitList(path), func(dir string) bool { return filepath.Base(dir) == "git-core" })
	return strings.Join(dirs, string(filepath.ListSeparator))
}
