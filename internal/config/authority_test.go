package config

import (
	"strings"
	"testing"
)

func TestAuthority(t *testing.T) {
	for _, tt := range []struct {
		url, host      string
		user, password bool
	}{
		{"https://github.com/me/repo.git", "github.com", false, false},
		{"https://me:hunter2@github.com/me/repo.git", "github.com", true, true},
		{"https://me@github.com/me/repo.git", "github.com", true, false},
		{"https://me:a@b@github.com/repo.git", "github.com", true, true},
		{"ssh://git@[2001:db8::1]:2222/repo.git", "2001:db8::1", true, false},
		{"http://127.0.0.1:3000", "127.0.0.1", false, false},
		{"https://host?x=@y:z", "host", false, false},
		{"git@github.com:me/repo.git", "", false, false},
		{"/srv/git/copy.git", "", false, false},
		{"file:///srv/git/copy.git", "", false, false},
		{"", "", false, false},
	} {
		host, user, password, ok := authority(tt.url)
		if user != tt.user || password != tt.password || ok != (tt.host != "") || ok && host != tt.host {
			t.Errorf("%s: host %q, user %v, password %v, ok %v", tt.url, host, user, password, ok)
		}
	}
}

func TestMirrorURL(t *testing.T) {
	for url, want := range map[string]string{
		"https://h/{repo}.git": "", "http://h:3000/a/b": "", "ssh://git@h/{owner}/{repo}": "", "git@h:{repo}.git": "", "h:r": "", "[::1]:r": "", "git@[2001:db8::1]:a/b": "", "[::1]": "is none",
		"/srv/{repo}.git": "", "file:///srv/{repo}.git": "", "https://h/grün": "", "ssh://h/q?x": "",
		"git://h/r": "the scheme git", "ext::sh -c x": "is none", "fd::17": "is none", "relative/path": "is none", "./r:x": "is none", "-oProxy:x": "is none", ":r": "is none",
		"https://h/a%20b": "", "https://h:8443/{repo}": "", "https://[::1]/r": "", "https://[::1]:8443/r": "", "ssh://git@h:2222/r": "",
		"https://h/a b": "a blank", "https://h h/r": "a blank", "https://h/100%": "no escape", "ssh://h/%zz": "no escape", "https://h:x/r": "a port", "https://h:123456/r": "a port", "ssh://git@h:-1/r": "a port",
		"https://h": "names no host", "https:///x": "names no host", "https://h/": "names no host", "https://h/r?x=y": "? or #", "https://h/\nr": "control",
	} {
		if got := mirrorURL(url); (want == "") != (got == "") || !strings.Contains(got, want) {
			t.Errorf("%q: %q, want %q", url, got, want)
		}
	}
}
