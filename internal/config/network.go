package config

import (
	"slices"
	"strings"
)

// Network is how quire's own clients (git at mirrors, Git LFS, the forges' APIs,
// webhooks) reach servers over HTTP. Jobs get nothing of it.
type Network struct {
	CAFile     string   `toml:"ca_file"`     // PEM; authorities that are trusted beside the system's
	ClientCert string   `toml:"client_cert"` // PEM; shown to servers that ask for one
	ClientKey  string   `toml:"client_key"`  // PEM; default: in client_cert
	Proxy      string   `toml:"proxy"`       // URL, or "none"; default: the environment's
	NoProxy    []string `toml:"no_proxy"`    // hosts, domains, addresses and their blocks
}

func (n Network) validate(prefix string, f *faults) {
	if n.ClientKey != "" && n.ClientCert == "" {
		f.add(prefix+"client_key", "%s without client_cert", stripIndex(prefix)+"client_key")
	}
	if why := proxyURL(n.Proxy); why != "" {
		f.add(prefix+"proxy", "%s %s", stripIndex(prefix)+"proxy", why)
	}
	for _, host := range n.NoProxy {
		if host == "" || strings.ContainsAny(host, " ,/@") && !isBlock(host) {
			f.add(prefix+"no_proxy", "%s: %q is no host: want names, .DOMAINS, addresses or 10.0.0.0/8, each a string of the list", stripIndex(prefix)+"no_proxy", host)
		}
	}
}

// isBlock reports whether a text looks like a block of addresses (RFC 4632).
func isBlock(s string) bool {
	address, bits, ok := strings.Cut(s, "/")
	return ok && address != "" && bits != "" && strings.Trim(address, "0123456789abcdefABCDEF:.") == "" && strings.Trim(bits, "0123456789") == ""
}

// proxyURL is why a proxy cannot be used, "" if nothing is seen to be wrong. The port
// must be there: git takes 1080 for one that is missing, others 80.
func proxyURL(url string) (why string) {
	if url == "" || url == "none" {
		return ""
	}
	const want = "want http://HOST:PORT, https://HOST:PORT, socks5h://HOST:PORT, or none"
	scheme, rest, ok := strings.Cut(url, "://")
	if !ok || !slices.Contains([]string{"http", "https", "socks5h"}, scheme) {
		return "is no URL that quire knows proxies by: " + want
	}
	if strings.Contains(rest, "@") {
		return "holds a user or a password, which would stand in files, and in ps output of other programs: have the proxy know this machine by its address. " + strings.ToUpper(want[:1]) + want[1:]
	}
	rest = strings.TrimSuffix(rest, "/")
	host, port := rest, ""
	if i := strings.LastIndexByte(rest, ':'); i >= 0 {
		host, port = rest[:i], rest[i+1:]
	}
	if inner, six := strings.CutPrefix(host, "["); six {
		inner, closed := strings.CutSuffix(inner, "]")
		if !closed || inner == "" || strings.Trim(inner, "0123456789abcdefABCDEF:.") != "" {
			return "has a host that cannot be read: " + want
		}
	} else if host == "" || strings.ContainsAny(host, ":/?#%\\ []") {
		return "has a host that cannot be read: " + want
	}
	if port == "" || strings.Trim(port, "0123456789") != "" {
		return "has no port: " + want
	}
	return ""
}
