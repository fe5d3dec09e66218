package config

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

func (c *Config) validate(f *faults) {
	if !filepath.IsAbs(c.StateDir) {
		f.add("state_dir", "state_dir must be an absolute path, not %q", c.StateDir)
	}
	f.atLeast("max_runs", c.MaxRuns, 1)
	f.atLeast("max_runs_per_repository", c.MaxRunsPerRepository, 0)
	f.atLeast("max_jobs", c.MaxJobs, 1)
	f.atLeast("max_runs_per_push", c.MaxRunsPerPush, 1)
	f.oneOf("keep_workspace", c.KeepWorkspace, "never", "failed", "always")
	f.oneOf("hook.wait", c.Hook.Wait, "none", "start", "finish")
	c.Recover.validate(f)
	for _, name := range c.Hook.PusherFrom {
		if name == "" || strings.Trim(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789abcdefghijklmnopqrstuvwxyz") != "" {
			f.add("hook.pusher_from", "hook.pusher_from: %q is no name of a variable", name)
		}
	}
	if c.Eval.Timeout <= 0 {
		f.add("eval.timeout", "eval.timeout must be more than 0: a pipeline that loops for ever would hold its place for ever")
	}
	if c.Eval.Memory < 64<<20 {
		f.add("eval.memory", "eval.memory must be at least 64MiB")
	}
	if c.Log.MaxBytes < 1<<10 {
		f.add("log.max_bytes", "log.max_bytes must be at least 1KiB")
	}
	if c.Log.MaxRunBytes < 1<<10 {
		f.add("log.max_run_bytes", "log.max_run_bytes must be at least 1KiB")
	}
	f.atLeast("limits.commands", c.Limits.Commands, 1)
	if c.Limits.Artifacts < 1<<20 {
		f.add("limits.artifacts", "limits.artifacts must be at least 1MiB: what a push can make quire keep has a bound")
	}
	f.oneOf("web.access", c.Web.Access, "link", "anyone")
	f.oneOf("executor.default", c.Executor.Default, executors...)
	for i := range c.Executor.For {
		r := &c.Executor.For[i]
		key := fmt.Sprintf("executor.for#%d", i+1)
		f.oneOf(key+".use", r.Use, executors...)
		f.some(key+".repos", r.Repos)
	}
	seen := map[string]bool{}
	for i := range c.Mirrors {
		c.validateMirror(&c.Mirrors[i], fmt.Sprintf("mirror#%d", i+1), seen, f)
	}
	c.Network.validate("network.", f)
	for _, pattern := range c.Mirroring.AllowURLs {
		if why := allowPattern(pattern); why != "" {
			f.add("mirroring.allow_urls", "mirroring.allow_urls: %q %s", pattern, why)
		}
	}
	f.globs("submodules.allow", c.Submodules.Allow)
	for i := range c.Notify {
		c.validateNotify(&c.Notify[i], fmt.Sprintf("notify#%d", i+1), f)
	}
}

var executors = []string{"host", "bwrap", "docker"}

func (c *Config) validateMirror(m *Mirror, key string, seen map[string]bool, f *faults) {
	if m.URL == "" {
		f.add(key, "mirror without url")
		return
	}
	if why := mirrorURL(m.URL); why != "" {
		f.add(key+".url", "mirror url %s", why)
	}
	host := m.URL
	if h, user, password, ok := authority(m.URL); ok {
		host = h
		switch {
		case password:
			f.add(key+".url", "mirror url holds a password: declare it in [secrets.NAME] and name it in secret")
		case user && m.Secret == "" && strings.HasPrefix(m.URL, "http"):
			f.add(key+".url", "mirror url names a user, and the mirror no secret: if the user is a token, declare it in [secrets.NAME] and name it in secret")
		}
	}
	if m.Name == "" {
		m.Name = host
	}
	if seen[m.Name] {
		f.add(key, "two mirrors are called %q: give one of them a name", m.Name)
	}
	seen[m.Name] = true
	f.some(key+".repos", m.Repos)
	if len(m.Refs) == 0 {
		m.Refs = []string{"refs/heads/*", "refs/tags/*"}
	}
	f.globs(key+".refs", m.Refs)
	f.globs(key+".exclude", m.Exclude)
	if m.Secret != "" {
		if !c.declared(m.Secret) {
			f.add(key+".secret", "mirror %s names the secret %q, which is not declared in [secrets.%s]", m.Name, m.Secret, m.Secret)
		}
	}
	m.Force = orElse(m.Force, "lease")
	m.Delete = orElse(m.Delete, "owned")
	f.oneOf(key+".force", m.Force, "lease", "never")
	f.oneOf(key+".delete", m.Delete, "owned", "never")
	m.Network().validate(key+".", f)
	if m.Forge != "" {
		f.oneOf(key+".forge", m.Forge, "github", "gitlab", "gitea", "forgejo")
	}
	if m.RetryFor == 0 {
		m.RetryFor = Duration(24 * time.Hour)
	}
}

// declared reports whether there is such a secret; where some are withheld, there
// may be.
func (c *Config) declared(secret string) bool {
	_, ok := c.Secrets[secret]
	return ok || c.secretsWithheld
}

// authority takes host and whether there are a user and a password from a URL (RFC 3986,
// 3.2); ok is false for what is none, such as a path or host:path. net/url
// would do it too, and its initialisation with net/netip's would cost the hook
// 0.1 ms at every push.
func authority(rawURL string) (host string, user, password, ok bool) {
	_, rest, ok := strings.Cut(rawURL, "://")
	if i := strings.IndexAny(rest, "/?#"); i >= 0 {
		rest = rest[:i]
	}
	if i := strings.LastIndexByte(rest, '@'); i >= 0 {
		user, password = i > 0, strings.Contains(rest[:i], ":")
		rest = rest[i+1:]
	}
	if strings.HasPrefix(rest, "[") { // an IPv6 address
		host, _, _ = strings.Cut(rest[1:], "]")
	} else {
		host, _, _ = strings.Cut(rest, ":")
	}
	return host, user, password, ok && host != ""
}

func (c *Config) validateNotify(n *Notify, key string, f *faults) {
	if len(n.Mail) == 0 && n.Webhook == "" {
		f.add(key, "notify without mail or webhook")
	}
	if len(n.On) == 0 {
		n.On = []string{"failed", "fixed"}
	}
	for _, on := range n.On {
		f.oneOf(key+".on", on, "failed", "fixed", "succeeded", "mirror")
	}
	if n.Secret != "" {
		if !c.declared(n.Secret) {
			f.add(key+".secret", "notify names the secret %q, which is not declared", n.Secret)
		}
	}
	f.globs(key+".repos", n.Repos)
	f.globs(key+".refs", n.Refs)
}

func orElse(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}

func (f *faults) atLeast(key string, n, least int) {
	if n < least {
		f.add(key, "%s must be at least %d, not %d", stripIndex(key), least, n)
	}
}

func (f *faults) oneOf(key, s string, allowed ...string) {
	if !slices.Contains(allowed, s) {
		f.add(key, "%s is %q: want one of %s", stripIndex(key), s, strings.Join(allowed, ", "))
	}
}

func (f *faults) some(key string, globs []string) {
	if len(globs) == 0 {
		f.add(key, "%s is missing: name the repositories, [\"*\"] for all", stripIndex(key))
	}
	f.globs(key, globs)
}
