package config

import (
	"slices"
	"strings"
	"testing"
)

func TestProxyURL(t *testing.T) {
	for url, want := range map[string]string{
		"": "", "none": "", "http://proxy:3128": "", "https://proxy.example.org:8443/": "", "socks5h://127.0.0.1:1080": "", "http://[::1]:3128": "",
		"proxy:3128": "no URL", "ftp://proxy:21": "no URL", "socks4://p:1": "no URL",
		"http://ada:hunter2@proxy:3128": "a user or a password", "http://ada@proxy:3128": "a user or a password",
		"http://proxy": "no port", "http://proxy:": "no port", "http://proxy:x": "no port", "http://proxy:80/pac": "no port",
		"http://:3128": "host", "http://a b:3128": "host", "http://[::1:3128": "host", "http://::1:3128": "host",
	} {
		got := proxyURL(url)
		if (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("%q: the password is told: %s", url, got)
		}
	}
}

func TestNetworkFaults(t *testing.T) {
	_, err := Parse("/etc/quire/config.toml", `
[network]
client_key = "k.pem"
proxy = "proxy"
no_proxy = ["10.0.0.0/8", ".corp.test", "a, b"]
[[mirror]]
repos = ["*"]
url = "https://h/{repo}"
proxy = "http://u:hunter2@p:1"
`)
	if err == nil {
		t.Fatal("no fault")
	}
	for _, want := range []string{":3: network.client_key without client_cert", ":4: network.proxy is no URL", `:5: network.no_proxy: "a, b" is no host`, ":9: mirror.proxy holds a user or a password"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in\n%v", want, err)
		}
	}
}

// The key of a client's certificate is hidden from jobs as secrets are, with its directory.
func TestTheClientKeyIsPrivate(t *testing.T) {
	for text, want := range map[string]string{
		"[network]\nclient_cert = \"/srv/tls/both.pem\"\n":                                                                           "/srv/tls",
		"[network]\nclient_cert = \"/srv/public/c.pem\"\nclient_key = \"/srv/tls/k.pem\"\n":                                          "/srv/tls",
		"[[mirror]]\nrepos = [\"*\"]\nurl = \"https://h/r\"\nclient_cert = \"/srv/public/c.pem\"\nclient_key = \"/srv/tls/k.pem\"\n": "/srv/tls",
	} {
		c, err := Parse("/etc/quire/config.toml", text)
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Private(); !slices.Contains(got, want) || slices.Contains(got, "/srv/public") {
			t.Errorf("%s%q", text, got)
		}
	}
}
