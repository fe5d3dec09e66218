package mirror

import (
	"fmt"
	"net/url"
	"path/filepath"
	"strings"

	"quire/internal/event"
)

// allow is one pattern of URLs to which pipelines may push:
//
//	SCHEME://                         any host but this machine's own addresses and the like
//	SCHEME://[USER@]HOST[:PORT][/PATH]
//	/PATH  file:///PATH               repositories of this machine
//
// HOST is a name, an address, "*", or "*.NAME", which is every host below NAME.
// One without a star allows the host whatever its addresses are. Without PORT it is
// the scheme's own port; ":*" is any. USER is compared if it is given. In PATH, *
// stays within an element and ** crosses them; one that ends with a slash stands
// for all below it, and none for all of the host. host:path is ssh://host/path.
//
// internal/config checks the syntax when it reads the file.
type allow struct {
	scheme, user, host, port, path string
}

var defaultPorts = map[string]string{"https": "443", "http": "80", "ssh": "22"}

func parseAllow(pattern string) (allow, error) {
	bad := fmt.Errorf("%q is no pattern of URLs: want https://, https://HOST/PATH, ssh://HOST/PATH, or an absolute path", pattern)
	if filepath.IsAbs(pattern) {
		return allow{scheme: "file", path: pattern}, nil
	}
	scheme, rest, ok := strings.Cut(pattern, "://")
	if !ok {
		return allow{}, bad
	}
	a := allow{scheme: scheme}
	switch {
	case scheme == "file" && filepath.IsAbs(rest):
		a.path = rest
		return a, nil
	case scheme != "https" && scheme != "http" && scheme != "ssh":
		return allow{}, bad
	case rest == "":
		return a, nil
	}
	authority, path, hasPath := strings.Cut(rest, "/")
	if hasPath && path != "" {
		a.path = "/" + path
	}
	if user, host, ok := strings.Cut(authority, "@"); ok {
		a.user, authority = user, host
	}
	if inner, ok := strings.CutPrefix(authority, "["); ok {
		host, after, closed := strings.Cut(inner, "]")
		if !closed || after != "" && !strings.HasPrefix(after, ":") {
			return allow{}, bad
		}
		a.host, a.port = host, strings.TrimPrefix(after, ":")
	} else {
		a.host, a.port, _ = strings.Cut(authority, ":")
	}
	if a.host = strings.ToLower(a.host); a.host == "" {
		return allow{}, bad
	}
	if a.port == "" {
		a.port = defaultPorts[scheme]
	}
	return a, nil
}

// matches reports whether a URL of a server is one of the pattern's.
func (a allow) matches(to remote) bool {
	if a.scheme != to.scheme() || a.scheme == "file" {
		return false
	}
	if a.host == "" {
		return true
	}
	port := to.port
	if port == "" {
		port = defaultPorts[a.scheme]
	}
	if a.port != "*" && a.port != port || a.user != "" && a.user != to.user {
		return false
	}
	host := strings.ToLower(to.host)
	if below, ok := strings.CutPrefix(a.host, "*"); ok {
		if !strings.HasSuffix(host, below) || host == below {
			return false
		}
	} else if host != a.host {
		return false
	}
	return a.takes("/" + to.path)
}

// takes compares a path.
func (a allow) takes(path string) bool {
	if a.path == "" {
		return true
	}
	pattern := a.path
	if strings.HasSuffix(pattern, "/") {
		pattern += "**"
	}
	ok, err := event.MatchRepo(pattern, path)
	return ok && err == nil
}

// outright reports whether the pattern names its host, so that the operator has
// said of this very host that it may be pushed to.
func (a allow) outright() bool { return a.host != "" && !strings.HasPrefix(a.host, "*") }

// matchesLocal reports whether a path without links in it is one of the pattern's,
// whose own links (/var/git for /data/git) are followed up to the first star.
func (a allow) matchesLocal(real string) bool {
	if a.scheme != "file" {
		return false
	}
	if a.takes(real) {
		return true
	}
	fixed := a.path
	if i := strings.IndexAny(fixed, `*?[\`); i >= 0 {
		fixed = fixed[:i]
	}
	fixed = fixed[:strings.LastIndexByte(fixed, '/')+1]
	dir, err := filepath.EvalSymlinks(fixed)
	if err != nil {
		return false
	}
	a.path = strings.TrimSuffix(dir, "/") + "/" + strings.TrimPrefix(a.path, fixed)
	return a.takes(real)
}

// scheme is the remote's, with which patterns begin.
func (r remote) scheme() string {
	if r.kind == "http" && r.tls {
		return "https"
	}
	return r.kind
}

// plainPath is why a path could be read by the server as another than a pattern
// was compared with, "" if it cannot.
func plainPath(to remote) (why string) {
	if strings.Contains(to.path, `\`) {
		return "its path holds a backslash"
	}
	for _, element := range strings.Split(to.path, "/") {
		if element == "." || element == ".." {
			return "its path holds the element " + element
		}
	}
	if u, err := url.Parse(to.url); err == nil && strings.Contains(to.url, "://") {
		lower := strings.ToLower(u.EscapedPath())
		for _, code := range []string{"%2f", "%5c", "%25", "%00"} {
			if strings.Contains(lower, code) {
				return "its path holds " + code
			}
		}
	}
	return ""
}
