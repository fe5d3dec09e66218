package mirror

import (
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// remote is a checked URL.
type remote struct {
	url  string // as git gets it, and as the ledger's key
	kind string // "http", "ssh", "file"
	host string // without port; "" for file
	port string
	user string
	path string // without the leading slash
	tls  bool
}

// scp is the short form of an SSH address, user@host:path. A slash before the
// colon makes it a path, as git reads it (git-push(1), "GIT URLS").
var scp = regexp.MustCompile(`^(?:([A-Za-z0-9._-]+)@)?(\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9][A-Za-z0-9._-]*):(.+)$`)

// maxURL is far above any address of a repository.
const maxURL = 2048

// parseRemote refuses what git would run as a program (ext::, other helpers),
// what it would take for an option, and a URL that holds a password.
func parseRemote(raw string) (remote, error) {
	bad := func(format string, args ...any) (remote, error) {
		return remote{}, fmt.Errorf("mirror url %s: %s", withoutPassword(raw), fmt.Sprintf(format, args...))
	}
	switch {
	case raw == "":
		return remote{}, fmt.Errorf("mirror url is empty")
	case len(raw) > maxURL:
		return remote{}, fmt.Errorf("mirror url is longer than %d bytes", maxURL)
	case strings.HasPrefix(raw, "-"):
		return bad("it starts with a dash")
	case strings.ContainsFunc(raw, func(r rune) bool { return r < ' ' || r == 0x7f }):
		return remote{}, fmt.Errorf("mirror url %q holds control characters", withoutPassword(raw))
	case filepath.IsAbs(raw):
		return remote{url: filepath.Clean(raw), kind: "file", path: strings.TrimPrefix(filepath.Clean(raw), "/")}, nil
	case strings.Contains(raw, "://"):
	default:
		m := scp.FindStringSubmatch(raw)
		if m == nil || strings.HasPrefix(m[3], ":") {
			return bad("want https://…, ssh://…, host:path, file:///… or an absolute path")
		}
		if strings.HasPrefix(m[1], "-") || strings.HasPrefix(m[3], "-") {
			return bad("the user or the path starts with a dash")
		}
		return remote{url: raw, kind: "ssh", user: m[1], host: strings.Trim(m[2], "[]"), path: strings.TrimPrefix(m[3], "/")}, nil
	}
	u, err := url.Parse(raw)
	if err != nil {
		return remote{}, fmt.Errorf("mirror url is malformed: want https://HOST/PATH")
	}
	if _, has := u.User.Password(); has {
		return bad("it holds a password: put it in [secrets.NAME] and name that secret, since a URL is in everybody's ps output")
	}
	if strings.Contains(raw, " ") && u.Scheme != "file" {
		return bad("it has a blank: write %%20")
	}
	r := remote{url: raw, host: u.Hostname(), port: u.Port(), path: strings.TrimPrefix(u.Path, "/")}
	if u.User != nil {
		r.user = u.User.Username()
	}
	switch u.Scheme {
	case "https", "http":
		r.kind, r.tls = "http", u.Scheme == "https"
		if u.RawQuery != "" || u.Fragment != "" {
			return bad("a repository's URL has no ? or #")
		}
		if tokenLike(r.user) {
			return bad("the user in it looks like a token: put it in [secrets.NAME] and name that secret, since a URL is in everybody's ps output and in the ledger")
		}
	case "ssh":
		r.kind = "ssh"
		if strings.HasPrefix(r.user, "-") {
			return bad("the user starts with a dash")
		}
	case "file":
		if u.Host != "" && u.Host != "localhost" {
			return bad("a file URL names no host")
		}
		r.kind, r.host = "file", ""
	default:
		return bad("%s is no way to push that quire knows: want https, http, ssh or file", u.Scheme)
	}
	if r.kind != "file" && (r.host == "" || strings.HasPrefix(r.host, "-")) {
		return bad("it names no host")
	}
	// Where the host ends must be the same to every program that reads the URL.
	authority, _, _ := strings.Cut(raw[strings.Index(raw, "://")+3:], "/")
	if strings.Count(authority, "@") > 1 || strings.ContainsAny(authority, `\ ?#"'<>`) {
		return bad("it cannot be told where its host begins and ends")
	}
	if r.path == "" {
		return bad("it names no repository")
	}
	return r, nil
}

// tokenPrefixes begin the tokens of forges that say so in their documentation:
// GitHub, GitLab, Atlassian.
var tokenPrefixes = []string{"ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "glpat-", "gldt-", "glptt-", "glrt-", "glcbt-", "ATATT", "ATBB", "ATCTT"}

// tokenLike reports whether a URL's user is a token, as far as its look tells: a
// known beginning, or letters and digits in such a mixture and number as no name
// has. That a URL holds the mirror's own secret is found whatever it looks like.
func tokenLike(user string) bool {
	for _, p := range tokenPrefixes {
		if strings.HasPrefix(user, p) {
			return true
		}
	}
	changes, digit := 0, false
	for i := range len(user) {
		c := user[i]
		isDigit := c >= '0' && c <= '9'
		if !isDigit && !(c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z') {
			return false
		}
		if i > 0 && isDigit != digit {
			changes++
		}
		digit = isDigit
	}
	return len(user) >= 20 && changes >= 3
}

// withoutPassword is a URL that may be shown. Of an HTTP address no user is, which
// may be a token.
func withoutPassword(raw string) string {
	scheme, rest, ok := strings.Cut(raw, "://")
	if !ok {
		return raw
	}
	auth, path, slash := strings.Cut(rest, "/")
	at := strings.LastIndexByte(auth, '@')
	if at < 0 {
		return raw
	}
	user, _, _ := strings.Cut(auth[:at], ":")
	if user += "@"; scheme == "http" || scheme == "https" {
		user = ""
	}
	out := scheme + "://" + user + auth[at+1:]
	if slash {
		out += "/" + path
	}
	return out
}

// display is what a person recognizes the target by.
func (r remote) display() string {
	if r.kind == "file" {
		return r.url
	}
	return r.host + "/" + strings.TrimSuffix(r.path, ".git")
}

// loopback reports whether what is sent there stays on the machine.
func (r remote) loopback() bool {
	return r.host == "localhost" || r.host == "::1" || strings.HasPrefix(r.host, "127.")
}
