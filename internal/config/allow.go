package config

import (
	"path"
	"strings"
)

// allowPattern is why a pattern of [mirroring] allow_urls cannot be used, "" if
// it can. What such a pattern means is mirror.Allow's to say; a test there holds
// the two to the same syntax.
func allowPattern(pattern string) (why string) {
	if strings.ContainsFunc(pattern, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
		return "holds blanks or control characters"
	}
	if strings.HasPrefix(pattern, "/") {
		return allowPath(pattern)
	}
	scheme, rest, ok := strings.Cut(pattern, "://")
	if !ok {
		return "is no pattern of URLs: want https://, https://HOST/PATH, ssh://HOST/PATH, or an absolute path"
	}
	switch scheme {
	case "file":
		if !strings.HasPrefix(rest, "/") {
			return "names no absolute path: want file:///PATH"
		}
		return allowPath(rest)
	case "https", "http", "ssh":
	default:
		return "has a scheme that mirrors do not know: want https, http, ssh, or file"
	}
	if rest == "" {
		return ""
	}
	host, urlPath, _ := strings.Cut(rest, "/")
	if _, after, ok := strings.Cut(host, "@"); ok {
		host = after
	}
	port := ""
	if inner, ok := strings.CutPrefix(host, "["); ok {
		address, after, closed := strings.Cut(inner, "]")
		if !closed || address == "" || strings.Trim(address, "0123456789abcdefABCDEF:.") != "" {
			return "has an IPv6 address that cannot be read: want [ADDRESS]"
		}
		if after != "" && !strings.HasPrefix(after, ":") {
			return "has a host that cannot be read"
		}
		host, port = address, strings.TrimPrefix(after, ":")
	} else {
		host, port, _ = strings.Cut(host, ":")
		name := strings.TrimPrefix(host, "*.")
		if host != "*" && (name == "" || strings.Trim(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._") != "") {
			return "has a host that cannot be read: want a name, an address, *, or *.NAME"
		}
	}
	if port != "" && port != "*" && strings.Trim(port, "0123456789") != "" {
		return "has a port that is no number and not *"
	}
	return allowPath("/" + urlPath)
}

func allowPath(p string) (why string) {
	if _, err := path.Match(p, ""); err != nil {
		return "has a path that is a malformed pattern"
	}
	for _, element := range strings.Split(p, "/") {
		if element == "." || element == ".." {
			return "has . or .. in its path"
		}
	}
	return ""
}

// mirrorURL is why a mirror's URL cannot be used whatever is filled into it, "" if
// nothing is seen to be wrong. What is left, package mirror refuses at the push, with
// the name filled in.
func mirrorURL(url string) (why string) {
	const want = "want https://HOST/PATH, http://, ssh://, USER@HOST:PATH, file:///PATH or an absolute path"
	if strings.ContainsFunc(url, func(r rune) bool { return r < ' ' || r == 0x7f }) {
		return "holds control characters"
	}
	if strings.HasPrefix(url, "/") {
		return ""
	}
	scheme, rest, isURL := strings.Cut(url, "://")
	if !isURL {
		address := 0 // where an IPv6 address ends, which has colons of its own
		if strings.Contains(url, "[") {
			address = max(strings.Index(url, "]"), 0)
		}
		host, path, short := strings.Cut(url[address:], ":")
		if host = url[:address] + host; !short || host == "" || path == "" || strings.Contains(host, "/") || strings.HasPrefix(path, ":") || strings.HasPrefix(url, "-") {
			return "is none that mirrors know: " + want
		}
		return ""
	}
	switch scheme {
	case "file":
		return ""
	case "https", "http", "ssh":
	default:
		return "has the scheme " + scheme + ", by which mirrors are not pushed: " + want
	}
	host, path, _ := strings.Cut(rest, "/")
	switch {
	case host == "" || path == "":
		return "names no host or no repository: " + want
	case scheme != "ssh" && strings.ContainsAny(rest, "?#"):
		return "has a ? or #, which no repository's URL has: write %3F, %23"
	case strings.Contains(rest, " "):
		return "has a blank: write %20"
	case !escapesWell(path):
		return "has a % that begins no escape: write %25"
	}
	if i := strings.LastIndexByte(host, '@'); i >= 0 {
		host = host[i+1:]
	}
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		if port := host[i+1:]; len(port) > 5 || strings.Trim(port, "0123456789") != "" {
			return "has a port that is none"
		}
	}
	return ""
}

// escapesWell reports whether every % of a URL's part begins an escape (RFC 3986, 2.1).
func escapesWell(part string) bool {
	for i := strings.IndexByte(part, '%'); i >= 0; i = strings.IndexByte(part, '%') {
		if len(part) < i+3 || strings.Trim(part[i+1:i+3], "0123456789abcdefABCDEF") != "" {
			return false
		}
		part = part[i+3:]
	}
	return true
}
